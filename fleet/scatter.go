package fleet

import (
	"context"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/pack"
)

// Scatter makes all n shards of s stand, each on its own node and verified by a
// fresh read of its tail. Those in have stand already, unless their node left
// the fleet. Where a node fails another takes its place at once. intend is
// called with the places of every round, never two calls at a time, and must
// make them durable before any shard of it is put, so that a crash leaves
// nothing on a node that is not known here.
//
// It returns every place where a shard stands; the error is nil only when all n
// do, and otherwise ErrUnavailable naming the nodes and causes, or that of
// intend. A name is never used twice, so an answer that never came costs a
// stray file and no doubt.
//
// With a context of the background (backends.Background) shards are put one after
// the other, with rests, see turn.
func (f *Fleet) Scatter(ctx context.Context, s *pack.Sealed, have []cairn.Location, intend func([]cairn.Location) error) ([]cairn.Location, error) {
	var at []cairn.Location
	p := f.placing(s.Trailer, func(i uint8) []byte { return s.Files[i] }, intend)
	p.slowly = backends.IsBackground(ctx)
	for _, l := range have {
		if int(l.Index) < len(p.taken) && f.node(l.Node) != nil {
			at = append(at, l)
			p.taken[l.Index], p.avoid[l.Node] = l.Node, true
		}
	}
	made, err := p.run(ctx)
	at = append(at, made...)
	switch {
	case !slices.Contains(p.taken, cairn.NodeID{}):
		return at, nil
	case err != nil:
		return at, err
	}
	stand := 0
	for _, id := range p.taken {
		stand += bit(id != cairn.NodeID{})
	}
	return at, &failure{what: fmt.Sprintf("%d of %d shards of %v stand, and no node is left for the others: wait for one, or add one", stand, len(p.taken), s.ID),
		class: cairn.ErrUnavailable, ended: ctx.Err(), causes: p.causes}
}
