package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// surveyMost bounds the shards believed of one node's listing: 16 TiB of shards
// of 4 MiB. What a node invents up to there costs some 200 bytes each.
const surveyMost = 4 << 20

// Survey lists the shards on every node. Names that are not shards are left
// out, and so is what a node names beyond layout.MaxPerNode files of a pack.
// Nodes that did not answer, showed no marker or named more than can be, of whom
// nothing is believed, are named in the error, with what the others hold beside
// it: a shard not seen there is unknown, not missing. What is listed may still
// not be there.
func (f *Fleet) Survey(ctx context.Context) (map[cairn.PackID][]cairn.Location, error) {
	nodes := f.all()
	lists := make([][]cairn.ShardName, len(nodes))
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() {
			if lists[i], errs[i] = n.survey(ctx); errors.Is(errs[i], cairn.ErrCorrupt) {
				lists[i] = nil
			}
		})
	}
	wg.Wait()
	found := make(map[cairn.PackID][]cairn.Location)
	for i, n := range nodes {
		for _, s := range lists[i] {
			l := cairn.Location{Index: s.Index, Node: n.ID, Write: s.Write}
			here := 0
			for _, o := range found[s.Pack] {
				here += bit(o.Node == n.ID)
			}
			if here < layout.MaxPerNode && !slices.Contains(found[s.Pack], l) {
				found[s.Pack] = append(found[s.Pack], l)
			}
		}
		lists[i] = nil
	}
	if err := errors.Join(errs...); err != nil {
		return found, fmt.Errorf("fleet: survey: %w", err)
	}
	return found, nil
}

// survey lists the node's shards. A listing that ends with ErrForeign is
// complete. An unmounted disk lists nothing and no error, so the marker is
// looked at afterwards.
func (n *node) survey(ctx context.Context) ([]cairn.ShardName, error) {
	var names []cairn.ShardName
	for e, err := range n.list(ctx, layout.PacksDir) {
		switch {
		case errors.Is(err, backends.ErrForeign):
			n.f.c.Log.Info("files that are not ours lie among the shards", "node", n.Name, "err", err)
			continue // it was the last pair
		case err != nil:
			return names, err
		case len(names) == surveyMost:
			return nil, n.fault(backends.OpList, layout.PacksDir, fmt.Errorf("more than %d shards: %w", surveyMost, cairn.ErrCorrupt))
		}
		if s, err := layout.ParsePath(e.Name); err == nil && e.Size >= leastShard {
			names = append(names, s)
		}
	}
	return names, n.present(ctx)
}

// leastShard is the size of the smallest shard file there can be, bytes.
const leastShard = 2*pack.MinPadded + 32

// at lists the places of a pack whose nodes are in the fleet, those first that
// are most likely to answer.
func (f *Fleet) at(at []cairn.Location) []place {
	var ps []place
	for _, l := range at {
		if n := f.node(l.Node); n != nil {
			ps = append(ps, place{n, l, n.rank()})
		}
	}
	slices.SortStableFunc(ps, func(a, b place) int { return cmp.Compare(b.rank, a.rank) })
	return ps
}

// first asks one place after another until one answers well. ErrLost when no
// place is on a node of the fleet, ErrCorrupt when all answered and none well,
// ErrUnavailable otherwise.
func (f *Fleet) first(ctx context.Context, id cairn.PackID, at []cairn.Location, what string, ask func(place) error) error {
	e := &failure{what: fmt.Sprintf("%s of pack %v", what, id), class: cairn.ErrCorrupt}
	ps := f.at(at)
	for _, p := range ps {
		err := ask(p)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			e.class, e.ended = cairn.ErrUnavailable, ctx.Err()
			return e
		}
		if !errors.Is(err, cairn.ErrNotExist) && !errors.Is(err, cairn.ErrCorrupt) {
			e.class = cairn.ErrUnavailable
		}
		e.causes = join(e.causes, err)
	}
	if len(ps) == 0 {
		return f.unreadable(shard{Params: pack.Params{ID: id, Coding: cairn.Coding{K: 1}}, at: at}, nil)
	}
	return e
}

// Trailer returns the verified trailer of a pack of which only places are
// known: the first that verifies, since only one sealing of a pack ever left a
// gateway. ErrCorrupt when every place answered and none holds a shard of it,
// as with names that a node invented.
func (f *Fleet) Trailer(ctx context.Context, id cairn.PackID, at []cairn.Location) (t pack.Trailer, err error) {
	err = f.first(ctx, id, at, "trailer", func(p place) error {
		tail, err := f.unknownTail(ctx, p.n, id, p.l)
		if err == nil {
			t = tail.Trailer
		}
		return err
	})
	return t, err
}

// unknownRead is what is read of the end of a file at first: enough for the
// tail of a shard of up to 100 MiB.
const unknownRead = 64 << 10

func (f *Fleet) unknownTail(ctx context.Context, n *node, id cairn.PackID, l cairn.Location) (*pack.Tail, error) {
	name := layout.Path(l.Name(id))
	size, err := n.stat(ctx, name)
	if err != nil {
		return nil, err
	}
	bad := func(err error) (*pack.Tail, error) {
		err = n.fault(backends.OpRead, name, err)
		f.wrong(n, err)
		return nil, err
	}
	if size < leastShard {
		return bad(fmt.Errorf("%d bytes are no shard: %w", size, cairn.ErrCorrupt))
	}
	b := make([]byte, min(size, unknownRead))
	if err := n.readAt(ctx, name, b, size-int64(len(b))); err != nil {
		return nil, f.short(n, err)
	}
	if more := tailOf(b); more > len(b) && int64(more) <= size {
		b = make([]byte, more)
		if err := n.readAt(ctx, name, b, size-int64(len(b))); err != nil {
			return nil, f.short(n, err)
		}
	}
	t, err := pack.OpenUnknownTail(b, size, f.c.Trust)
	if err != nil {
		return bad(err)
	}
	if t.ID != id || t.Index != l.Index || t.Store != f.c.Store {
		return bad(fmt.Errorf("the file of shard %d of %v holds shard %d of %v: %w", l.Index, id, t.Index, t.ID, cairn.ErrCorrupt))
	}
	return t, nil
}

// tailOf is the length of the tail that the end b of a file tells, 0 when it
// tells none.
func tailOf(b []byte) int {
	n, err := pack.TrailerLength(b[len(b)-pack.FooterSize:])
	if err != nil || n > len(b) {
		return 0
	}
	t, err := pack.ParseTrailer(b[len(b)-n:]) // which bounds the length
	if err != nil {
		return 0
	}
	return int(t.TailSize())
}

// Contents returns the sealed contents of the pack that p describes, from any
// shard that has them as signed.
func (f *Fleet) Contents(ctx context.Context, p pack.Params, at []cairn.Location) (b []byte, err error) {
	if p.Contents > pack.MaxContents || p.Length > pack.MaxLength {
		return nil, fmt.Errorf("fleet: contents of %d bytes of pack %v: %w", p.Contents, p.ID, cairn.ErrInvalid)
	}
	err = f.first(ctx, p.ID, at, "contents", func(pl place) error {
		b, err = f.contents(ctx, pl.n, p, pl.l)
		return err
	})
	return b, err
}

func (f *Fleet) contents(ctx context.Context, n *node, p pack.Params, l cairn.Location) ([]byte, error) {
	t := f.tails.get(p, l.Index)
	if t == nil {
		var err error
		if t, err = f.readTail(ctx, n, p, l); err != nil {
			return nil, err
		}
	}
	name, off := layout.Path(l.Name(p.ID)), int64(p.Length)
	b := make([]byte, p.Contents)
	if err := n.readAt(ctx, name, b, off); err != nil {
		return nil, f.short(n, err)
	}
	if err := t.CheckContents(b); err != nil {
		err = n.fault(backends.OpRead, name, err)
		f.caught(n, err, []Evidence{exhibit(p.ID, l, partContents, 0, &t.Hash, b)}, func(ctx context.Context, r backends.Remote) ([]Evidence, error) {
			b := make([]byte, len(b))
			if err := r.ReadAt(ctx, name, b, off); err != nil {
				return nil, nil // no bytes, none wrong
			}
			if err := t.CheckContents(b); err != nil {
				return []Evidence{exhibit(p.ID, l, partContents, 0, &t.Hash, b)}, err
			}
			return nil, nil
		})
		return nil, err
	}
	return b, nil
}
