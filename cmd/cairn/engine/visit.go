package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/index"
)

// visit brings the few files that every node must have up to date on those that
// can be reached: a marker that was damaged, the files of keys, the newest root
// (C16). ErrFork when another gateway writes to the store, then nothing of its
// roots is touched; other errors name nodes whose marker is not as it should be.
func (e *Engine) visit(ctx context.Context) error {
	nodes, err := e.Store.Nodes()
	if err != nil {
		return err
	}
	// Markers first: a node without its marker gets nothing.
	var causes error
	for _, n := range nodes {
		_, err := e.Fleet.Remark(ctx, e.marker(n), func() ([]fleet.Standing, error) { return e.standing(n.ID) })
		causes = errors.Join(causes, err)
	}
	return errors.Join(causes, e.keeper.Look(ctx))
}

// standing lists some shards that are recorded on a node, as many as prove whose
// directory it is.
func (e *Engine) standing(id cairn.NodeID) (out []fleet.Standing, err error) {
	for row, err := range e.Store.Packs(cairn.PackID{}) {
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(row.At, func(l cairn.Location) bool { return l.Node == id })
		if row.State != index.Spread || i < 0 {
			continue
		}
		if out = append(out, fleet.Standing{Params: row.Params, At: row.At[i]}); len(out) == fleet.ProvenBy {
			break
		}
	}
	return out, nil
}
