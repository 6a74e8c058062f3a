package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// Survey lists the shards on every node. Names that are not shards are left
// out. Nodes that did not answer are named in the error, with what the others
// hold beside it: a shard not seen there is unknown, not missing.
func (f *Fleet) Survey(ctx context.Context) (map[cairn.PackID][]cairn.Location, error) {
	var mu sync.Mutex
	found := make(map[cairn.PackID][]cairn.Location)
	var errs []error
	var wg sync.WaitGroup
	for _, n := range f.all() {
		wg.Go(func() {
			for e, err := range n.list(ctx, layout.PacksDir) {
				mu.Lock()
				if err != nil {
					errs = append(errs, err)
				} else if s, err := layout.ParsePath(e.Name); err == nil {
					found[s.Pack] = append(found[s.Pack], cairn.Location{Index: s.Index, Node: n.ID, Write: s.Write})
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return found, errors.Join(errs...)
}

// Trailer returns the verified trailer of a pack of which only places are
// known: the first that verifies, since only one sealing of a pack ever left a
// gateway.
func (f *Fleet) Trailer(ctx context.Context, id cairn.PackID, at []cairn.Location) (pack.Trailer, error) {
	var errs []error
	for _, l := range at {
		n := f.node(l.Node)
		if n == nil {
			continue
		}
		t, err := f.unknownTail(ctx, n, id, l)
		if err == nil {
			return t.Trailer, nil
		}
		errs = append(errs, err)
	}
	return pack.Trailer{}, fmt.Errorf("fleet: no shard of pack %v tells what it is: %w", id, errors.Join(append(errs, cairn.ErrUnavailable)...))
}

// unknownRead is enough for the tail of a shard of up to 64 MiB.
const unknownRead = 64 << 10

func (f *Fleet) unknownTail(ctx context.Context, n *node, id cairn.PackID, l cairn.Location) (*pack.Tail, error) {
	name := layout.Path(l.Name(id))
	size, err := n.stat(ctx, name)
	if err != nil {
		return nil, err
	}
	b := make([]byte, min(size, unknownRead))
	if err := n.readAt(ctx, name, b, size-int64(len(b))); err != nil {
		return nil, err
	}
	t, err := pack.OpenUnknownTail(b, size, f.c.Trust)
	if err == nil && (t.ID != id || t.Index != l.Index || t.Store != f.c.Store) {
		err = fmt.Errorf("fleet: file of shard %d of %v holds shard %d of %v: %w", l.Index, id, t.Index, t.ID, cairn.ErrCorrupt)
	}
	if err != nil {
		f.wrong(n, err)
		return nil, n.fault("read", err)
	}
	return t, nil
}

// Contents returns the sealed contents of the pack that p describes, from any
// shard that has them as signed.
func (f *Fleet) Contents(ctx context.Context, p pack.Params, at []cairn.Location) ([]byte, error) {
	var errs []error
	for _, l := range at {
		n := f.node(l.Node)
		if n == nil {
			continue
		}
		b, err := f.contents(ctx, n, p, l)
		if err == nil {
			return b, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("fleet: contents of pack %v cannot be read now: %w", p.ID, errors.Join(append(errs, cairn.ErrUnavailable)...))
}

func (f *Fleet) contents(ctx context.Context, n *node, p pack.Params, l cairn.Location) ([]byte, error) {
	t, err := f.tail(ctx, n, p, l)
	if err != nil {
		return nil, err
	}
	b := make([]byte, p.Contents)
	if err := n.readAt(ctx, layout.Path(l.Name(p.ID)), b, int64(p.Length)); err != nil {
		return nil, err
	}
	if err := t.CheckContents(b); err != nil {
		f.wrong(n, err)
		return nil, n.fault("read", err)
	}
	return b, nil
}
