package fleet

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// direct reads blocks [lo, hi) of the shard at l from its node, with its tail
// in the same turn unless that is known, and verifies each. Those that verify
// are returned also beside an error, with nil in place of the others.
func (f *Fleet) direct(ctx context.Context, n *node, p pack.Params, l cairn.Location, lo, hi int) ([][]byte, *pack.Tail, error) {
	return f.into(ctx, n, p, l, lo, hi, make([]byte, span(p, lo, hi)))
}

// span is how many bytes blocks [lo, hi) of a shard have.
func span(p pack.Params, lo, hi int) int64 {
	return min(int64(hi)*pack.BlockSize, int64(p.Length)) - int64(lo)*pack.BlockSize
}

// into is direct with the room that the blocks come to, of their span.
func (f *Fleet) into(ctx context.Context, n *node, p pack.Params, l cairn.Location, lo, hi int, b []byte) ([][]byte, *pack.Tail, error) {
	f.earn()
	type tailAnswer struct {
		t   *pack.Tail
		err error
	}
	t := f.tails.get(p, l.Index)
	tails := make(chan tailAnswer, 1) // room for the answer: nobody may take it
	if t == nil {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		ok := f.spawn(func() {
			t, err := f.readTail(ctx, n, p, l)
			tails <- tailAnswer{t, err}
		})
		if !ok {
			return nil, nil, errClosed
		}
	}
	name, off := layout.Path(l.Name(p.ID)), int64(lo)*pack.BlockSize
	if err := n.readAt(ctx, name, b, off); err != nil {
		return nil, nil, f.short(n, err)
	}
	if t == nil {
		a := <-tails // it ends as every call does: answered, too late, or with ctx
		if a.err != nil {
			return nil, nil, a.err
		}
		t = a.t
	}
	blocks, err := verify(t, b, lo, hi)
	if err != nil {
		err = n.fault(backends.OpRead, name, err)
		size := len(b) // all that is kept of it
		f.caught(n, err, badBlocks(t, l, lo, b, blocks), func(ctx context.Context, r backends.Remote) ([]Evidence, error) {
			b := make([]byte, size)
			if err := r.ReadAt(ctx, name, b, off); err != nil {
				return nil, nil // no bytes, none wrong
			}
			blocks, err := verify(t, b, lo, hi)
			return badBlocks(t, l, lo, b, blocks), err
		})
	}
	return blocks, t, err
}

// raw is into with nothing proven and no tail.
func (f *Fleet) raw(ctx context.Context, n *node, p pack.Params, l cairn.Location, lo, hi int, b []byte) ([][]byte, *pack.Tail, error) {
	f.earn()
	if err := n.readAt(ctx, layout.Path(l.Name(p.ID)), b, int64(lo)*pack.BlockSize); err != nil {
		return nil, nil, f.short(n, err)
	}
	blocks := make([][]byte, hi-lo)
	for i := range blocks {
		size := pack.BlockLength(p.Length, lo+i)
		blocks[i], b = b[:size:size], b[size:]
	}
	return blocks, nil, nil
}

// verify cuts b into blocks [lo, hi) and checks each. ErrCorrupt names the
// first that fails; each that does is nil.
func verify(t *pack.Tail, b []byte, lo, hi int) ([][]byte, error) {
	blocks := make([][]byte, hi-lo)
	var first error
	bad := 0
	for i := range blocks {
		n := pack.BlockLength(t.Length, lo+i)
		if err := t.Check(lo+i, b[:n]); err == nil {
			blocks[i] = b[:n:n]
		} else if bad++; first == nil {
			first = err
		}
		b = b[n:]
	}
	if bad > 1 {
		first = fmt.Errorf("%d of %d blocks are wrong: %w", bad, len(blocks), first)
	}
	return blocks, first
}
