package fleet

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/pack"
	"golang.org/x/sync/errgroup"
)

// fetchMost is how many blocks one request may ask for: memory must not depend
// on the length of a read.
const fetchMost = 64

// Read fills b with the bytes of pack p from off. Every block they lie in was
// proven by a root that a trusted key signed, or decoded from k blocks that
// were. ahead bytes more are fetched with the same request where they lie in
// the same shard, and kept in the cache; they never fail a read. With a context of
// the background nothing is fetched ahead and nothing put into the cache.
//
// ErrUnavailable, naming nodes and causes, when fewer than k shards can be read
// now; ErrLost when fewer than k are on nodes that are still in the fleet.
func (f *Fleet) Read(ctx context.Context, p pack.Params, at []cairn.Location, off uint64, b []byte, ahead int) error {
	total := uint64(max(p.Coding.K, 0)) * p.Length
	if p.Length == 0 || p.Length > pack.MaxLength || off > total || uint64(len(b)) > total-off {
		return fmt.Errorf("fleet: %d bytes at %d of pack %v: %w", len(b), off, p.ID, cairn.ErrInvalid)
	}
	if len(b) == 0 {
		return nil
	}
	first, last := off/p.Length, (off+uint64(len(b))-1)/p.Length
	if first == last {
		return f.readShard(ctx, shard{p, at, uint8(first)}, off%p.Length, b, ahead)
	}
	g, ctx := errgroup.WithContext(ctx)
	for i := first; i <= last; i++ {
		in := off % p.Length
		n := min(uint64(len(b)), p.Length-in)
		part, more := b[:n], 0
		b, off = b[n:], off+n
		if i == last {
			more = ahead
		}
		g.Go(func() error { return f.readShard(ctx, shard{p, at, uint8(i)}, in, part, more) })
	}
	return g.Wait()
}

// shard is one shard of a pack that is being read, and where all of them stand.
type shard struct {
	pack.Params
	at    []cairn.Location
	index uint8
}

func (s shard) key(block int) cache.Key {
	return cache.Key{Pack: s.ID, Index: s.index, Block: uint32(block)}
}

// readShard fills b from off of data shard s, from the cache, from what another
// read fetches just now, or from nodes.
func (f *Fleet) readShard(ctx context.Context, s shard, off uint64, b []byte, ahead int) error {
	r := &run{shard: s, off: off, b: b, lo: int(off / pack.BlockSize), hi: pack.Blocks(off + uint64(len(b)))}
	r.have = make([]bool, r.hi-r.lo)
	if backends.IsBackground(ctx) {
		return f.readApart(ctx, r)
	}
	far := min(r.hi+max(ahead, 0)/pack.BlockSize, pack.Blocks(s.Length))
	for {
		from, to := r.lacking(f.c.Cache)
		if from < 0 {
			return nil
		}
		// Neighbours share a block. What no other read fetches is asked for
		// before waiting for what others do, or each would wait for the last.
		own, others := f.claims(s, from, to, far)
		if err := f.flyAll(ctx, s, own, to); err != nil {
			return err
		}
		for _, fl := range own {
			r.take(fl)
		}
		for _, fl := range others {
			select {
			case <-fl.done:
			case <-ctx.Done():
				return &failure{what: "waiting for a read of the same blocks", class: cairn.ErrUnavailable, ended: ctx.Err()}
			}
			r.take(fl) // whatever it did not bring, this read asks for itself
		}
	}
}

// readApart is readShard for work that nobody waits for. A client that wants the
// same blocks asks for them itself, as it would else wait behind all other clients;
// and they go into no cache, as what was read to be moved is not read here again.
func (f *Fleet) readApart(ctx context.Context, r *run) error {
	for {
		from, to := r.lacking(f.c.Cache)
		if from < 0 {
			return nil
		}
		to = min(to, from+fetchMost)
		blocks, err := f.fetch(ctx, r.shard, from, to, to)
		if err != nil {
			return err
		}
		for i, b := range blocks {
			r.fill(from+i, b)
		}
	}
}

// run is what one read wants of one shard: the bytes from off, which lie in
// blocks [lo, hi).
type run struct {
	shard
	off    uint64
	b      []byte // to be filled
	lo, hi int
	have   []bool // of the blocks: their bytes are in b
}

func (r *run) fill(n int, block []byte) {
	start := uint64(n) * pack.BlockSize
	from := max(start, r.off)
	copy(r.b[from-r.off:], block[from-start:])
	r.have[n-r.lo] = true
}

// lacking is the least run of blocks that holds all that are neither there nor
// in the cache; from is negative when there is none.
func (r *run) lacking(c *cache.Cache) (from, to int) {
	from = -1
	for n := r.lo; n < r.hi; n++ {
		if r.have[n-r.lo] {
			continue
		}
		if block, ok := c.Get(r.key(n)); ok && len(block) == pack.BlockLength(r.Length, n) {
			r.fill(n, block)
			continue
		}
		if from < 0 {
			from = n
		}
		to = n + 1
	}
	return from, to
}

// take fills in what a flight that landed brought.
func (r *run) take(fl *flight) {
	for n := max(r.lo, fl.from); n < min(r.hi, fl.to); n++ {
		if block := fl.block(n); block != nil && !r.have[n-r.lo] {
			r.fill(n, block)
		}
	}
}
