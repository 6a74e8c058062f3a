package engine

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
)

// Removed says what the store gave up with a node.
type Removed struct {
	Name  string      `json:"name"`
	Bytes int64       `json:"bytes"` // of shards that stand there
	Fleet FleetReport `json:"fleet"`
}

// RemoveNode takes a node out of the store. While shards stand on it that is
// ErrPrecondition unless force is set: every pack with a shard there has one
// less from then on. The files on the node stay; added again, the same
// directory is the same node.
func (e *Engine) RemoveNode(ctx context.Context, name string, force bool) (Removed, error) {
	n, err := e.Store.Node(name)
	if err != nil {
		return Removed{}, fmt.Errorf("%w; `cairn node list` shows them", err)
	}
	out := Removed{Name: name, Bytes: e.Store.Used(n.ID)}
	if out.Bytes > 0 && !force {
		return out, fmt.Errorf("node %s holds %s of shards; without them each of their packs survives the loss of one shard less; with --force they count as lost: %w",
			name, config.Size(out.Bytes), cairn.ErrPrecondition)
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
