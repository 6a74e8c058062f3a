package fleet

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/pack"
	"golang.org/x/sync/errgroup"
)

// Read fills b with the bytes of pack p from off. Every block they lie in was
// proven by a root that a trusted key signed, or decoded from k blocks that
// were. ahead bytes more are fetched with the same request where they lie in
// the same shard, and kept in the cache.
//
// ErrUnavailable when fewer than k shards can be read now, naming the causes.
func (f *Fleet) Read(ctx context.Context, p pack.Params, at []cairn.Location, off uint64, b []byte, ahead int) error {
	if off+uint64(len(b)) > uint64(p.Coding.K)*p.Length {
		return fmt.Errorf("fleet: %d bytes at %d of pack %v: %w", len(b), off, p.ID, cairn.ErrInvalid)
	}
	first, last := off/p.Length, (off+uint64(max(len(b), 1))-1)/p.Length
	if first == last {
		return f.readShard(ctx, p, at, uint8(first), off%p.Length, b, ahead)
	}
	g, ctx := errgroup.WithContext(ctx)
	for i := first; i <= last; i++ {
		in := off % p.Length
		n := min(uint64(len(b)), p.Length-in)
		part := b[:n]
		b, off = b[n:], off+n
		more := 0
		if i == last {
			more = ahead
		}
		g.Go(func() error { return f.readShard(ctx, p, at, uint8(i), in, part, more) })
	}
	return g.Wait()
}

// readShard fills b from off of data shard i.
func (f *Fleet) readShard(ctx context.Context, p pack.Params, at []cairn.Location, i uint8, off uint64, b []byte, ahead int) error {
	lo := int(off / pack.BlockSize)
	hi := int((off+uint64(len(b))-1)/pack.BlockSize) + 1
	far := min(hi+ahead/pack.BlockSize, pack.Blocks(p.Length))
	blocks, err := f.blocks(ctx, p, at, i, lo, hi, far)
	if err != nil {
		return err
	}
	skip := int(off % pack.BlockSize)
	for _, bl := range blocks {
		n := copy(b, bl[skip:])
		b, skip = b[n:], 0
	}
	return nil
}

// blocks returns blocks [lo, hi) of shard i, and fetches up to far while it
// fetches. What another read fetches already is waited for.
func (f *Fleet) blocks(ctx context.Context, p pack.Params, at []cairn.Location, i uint8, lo, hi, far int) ([][]byte, error) {
	out := make([][]byte, hi-lo)
	key := func(n int) cache.Key { return cache.Key{Pack: p.ID, Index: i, Block: uint32(n)} }
	for {
		from, to := -1, lo
		for n := lo; n < hi; n++ {
			if out[n-lo] != nil {
				continue
			}
			if b, ok := f.c.Cache.Get(key(n)); ok && len(b) == pack.BlockLength(p.Length, n) {
				out[n-lo] = b
				continue
			}
			if from < 0 {
				from = n
			}
			to = n + 1
		}
		if from < 0 {
			return out, nil
		}
		busy, claimed := f.claim(key, from, max(to, far))
		if busy != nil {
			select {
			case <-busy:
				continue
			case <-ctx.Done():
				return nil, fmt.Errorf("fleet: %w: %w", ctx.Err(), cairn.ErrUnavailable)
			}
		}
		got, err := f.fetch(ctx, p, at, i, from, claimed)
		for n, b := range got {
			f.c.Cache.Put(key(from+n), b)
			if from+n < hi {
				out[from+n-lo] = b
			}
		}
		f.unclaim(key, from, claimed)
		if err != nil {
			return nil, err
		}
		if claimed >= to {
			return out, nil
		}
	}
}

// claim marks blocks from.. as being fetched, up to the first that is claimed
// or far. Where the very first is claimed by another it returns what to wait
// for.
func (f *Fleet) claim(key func(int) cache.Key, from, far int) (busy chan struct{}, to int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, ok := f.flight[key(from)]; ok {
		return c, 0
	}
	done := make(chan struct{})
	for to = from; to < far; to++ {
		if _, ok := f.flight[key(to)]; ok {
			break
		}
		f.flight[key(to)] = done
	}
	return nil, to
}

func (f *Fleet) unclaim(key func(int) cache.Key, from, to int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	done := f.flight[key(from)]
	for n := from; n < to; n++ {
		delete(f.flight, key(n))
	}
	close(done)
}
