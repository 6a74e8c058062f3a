package engine

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
)

// Removed says what the store gave up with a node.
type Removed struct {
	Name   string      `json:"name"`
	Shards int         `json:"shards"` // that lay there; meaningful when Known
	Bytes  int64       `json:"bytes"`
	Known  bool        `json:"known"` // the node answered
	Fleet  FleetReport `json:"fleet"`
}

// RemoveNode takes a node out of the store. While shards lie on it, or while it
// does not answer and nobody can tell, that is ErrPrecondition unless force is
// set: every pack with a shard there has one less from then on. The files on
// the node stay; added again, the same directory is the same node.
func (e *Engine) RemoveNode(ctx context.Context, name string, force bool) (Removed, error) {
	out := Removed{Name: name}
	n, err := e.Store.Node(name)
	if err != nil {
		return out, fmt.Errorf("%w; `cairn node list` shows them", err)
	}
	u, err := e.usage(ctx, n)
	out.Shards, out.Bytes, out.Known = u.Shards, u.Bytes, err == nil
	switch {
	case force:
	case err != nil:
		return out, fmt.Errorf("node %s does not tell what lies on it (%v); with --force it is removed and all its shards count as lost: %w", name, err, cairn.ErrPrecondition)
	case u.Shards > 0:
		return out, fmt.Errorf("node %s holds shards of %d packs (%s), each of which could then lose one shard less; with --force they count as lost: %w",
			name, u.Packs, config.Size(u.Bytes), cairn.ErrPrecondition)
	}
	before := e.coding()
	if err := e.Store.RemoveNode(ctx, n.ID); err != nil {
		return out, err
	}
	e.Look(ctx)
	out.Fleet = e.FleetReport()
	out.Fleet.Before = before
	return out, nil
}
