package fleet

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn"
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
// the same shard, and kept in the cache; they never fail a read.
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
	lo := int(off / pack.BlockSize)
	hi := pack.Blocks(off + uint64(len(b)))
	far := min(hi+max(ahead, 0)/pack.BlockSize, pack.Blocks(s.Length))
	have := make([]bool, hi-lo)
	fill := func(n int, block []byte) {
		start := uint64(n) * pack.BlockSize
		from := max(start, off)
		copy(b[from-off:], block[from-start:])
		have[n-lo] = true
	}
	for {
		from, to := -1, lo
		for n := lo; n < hi; n++ {
			if have[n-lo] {
				continue
			}
			if block, ok := f.c.Cache.Get(s.key(n)); ok && len(block) == pack.BlockLength(s.Length, n) {
				fill(n, block)
				continue
			}
			if from < 0 {
				from = n
			}
			to = n + 1
		}
		if from < 0 {
			return nil
		}
		fl, mine := f.claim(s, from, min(max(to, far), from+fetchMost))
		if mine {
			err := f.fly(ctx, s, fl, min(to, fl.to))
			if err != nil {
				return err
			}
		}
		select {
		case <-fl.done:
		case <-ctx.Done():
			return &failure{what: "waiting for a read of the same blocks", class: cairn.ErrUnavailable, ended: ctx.Err()}
		}
		// Whatever another's read did not bring, this one asks for itself.
		for n := from; n < min(to, fl.to); n++ {
			if block := fl.block(n); block != nil && !have[n-lo] {
				fill(n, block)
			}
		}
	}
}
