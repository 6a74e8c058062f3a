package fleet

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/pack"
	"golang.org/x/sync/errgroup"
)

// Copy puts the shard at l of pack p, which is read once from its own node and
// proven, under a new name on another node that holds nothing of the pack, by the
// rules of placement: a shard leaves a node at a k-th of what Repair reads. Where
// the copy stands, its tail read back, is returned with nil. The file at l stays.
// intend is that of Scatter.
//
// ErrNowhere, with nothing read, when no node is left for it; ErrCorrupt when
// the file is not what was signed; ErrNotExist when it is not there; else
// ErrUnavailable. It takes memory for the file, within that of all repairs.
func (f *Fleet) Copy(ctx context.Context, p pack.Params, at []cairn.Location, l cairn.Location, intend func([]cairn.Location) error) (made cairn.Location, cost Moved, err error) {
	ctx, t := counted(backends.Background(ctx), f.m.repair)
	made, err = f.copy(ctx, p, at, l, intend)
	return made, t.cost(), err
}

func (f *Fleet) copy(ctx context.Context, p pack.Params, at []cairn.Location, l cairn.Location, intend func([]cairn.Location) error) (none cairn.Location, err error) {
	if err := repairable(p, []uint8{l.Index}); err != nil {
		return none, err
	}
	put := f.replacing(p, at, []uint8{l.Index}, intend)
	for _, o := range at {
		put.avoid[o.Node] = true
	}
	put.avoid[l.Node] = true
	if _, err := put.narrow([]uint8{l.Index}); err != nil {
		return none, err
	}
	n := f.node(l.Node)
	if n == nil {
		return none, &failure{what: fmt.Sprintf("shard %d of pack %v: node %v", l.Index, p.ID, l.Node), class: cairn.ErrUnavailable, causes: []error{errLeft}}
	}
	memory, err := f.ration(ctx, p.FileSize())
	if err != nil {
		return none, &failure{what: fmt.Sprintf("copy of shard %d of pack %v", l.Index, p.ID), class: cairn.ErrUnavailable, ended: err}
	}
	defer memory.keep(0)
	file, t, err := f.whole(ctx, n, p, l)
	if err != nil {
		return none, n.seen(ctx, p, l, err)
	}
	put.Trailer, put.file = t.Trailer, func(uint8) []byte { return file }
	made, err := put.run(ctx)
	switch {
	case len(made) == 1:
		return made[0], nil
	case err != nil:
		return none, err
	}
	return none, put.short(ctx.Err(), 0, 1, false)
}

// whole reads the file at l in windows and proves all of it.
func (f *Fleet) whole(ctx context.Context, n *node, p pack.Params, l cairn.Location) ([]byte, *pack.Tail, error) {
	t, err := f.readTail(ctx, n, p, l)
	if err != nil {
		return nil, nil, err
	}
	file := make([]byte, p.FileSize())
	var contents []byte
	g, end := errgroup.WithContext(ctx)
	g.SetLimit(repairAhead)
	for lo, last := 0, pack.Blocks(p.Length); lo < last; lo += windowBlocks {
		g.Go(func() error {
			hi := min(lo+windowBlocks, last)
			off := lo * pack.BlockSize
			_, _, err := f.into(end, n, p, l, lo, hi, file[off:off+int(span(p, lo, hi))])
			return err
		})
	}
	g.Go(func() (err error) {
		contents, err = f.contents(end, n, p, l)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	if err := t.Finish(l.Index, file, contents); err != nil {
		return nil, nil, fmt.Errorf("fleet: proven blocks do not give the root; suspect this machine's memory: %w", err)
	}
	return file, t, nil
}
