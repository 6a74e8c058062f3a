package engine

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/scrub"
)

// Removed says what the store gave up with a node.
type Removed struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"` // of shards that stand there, those of retired packs included
	// Weaker are the packs that have a shard there and can be read without it, and
	// Lost those that cannot: fewer than k shards are left even when every other
	// node comes back.
	Weaker scrub.Sum   `json:"weaker"`
	Lost   scrub.Sum   `json:"lost"`
	Fleet  FleetReport `json:"fleet"`
}

// RemoveNode takes a node out of the store. While shards stand on it that is
// ErrPrecondition unless force is set, and the error says what it would cost:
// every pack with a shard there has one less from then on. The files on the node
// stay; added again, the same directory is the same node.
func (e *Engine) RemoveNode(ctx context.Context, name string, force bool) (Removed, error) {
	n, err := e.Store.Node(name)
	if err != nil {
		return Removed{}, fmt.Errorf("%w; `cairn node list` shows them", err)
	}
	out := Removed{Name: name, Bytes: e.Store.Used(n.ID)}
	if err := e.needCare(); err != nil {
		return out, err
	}
	if out.Weaker, out.Lost, err = e.scrub.Cost(ctx, n.ID); err != nil {
		return out, err
	}
	// Files of packs that nothing needs any more do not count: drain leaves them.
	if !force && out.Weaker.Packs+out.Lost.Packs > 0 {
		return out, out.refusal()
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

func (r Removed) refusal() error {
	held := fmt.Sprintf("node %s holds %s of shards of %s", r.Name, size(r.Bytes), number(r.Weaker.Packs+r.Lost.Packs, "pack"))
	if r.Lost.Packs > 0 {
		return fmt.Errorf("%s, and without it %s, %s, would be lost: `cairn node drain %s` moves them away first; with --force they are lost: %w",
			held, number(r.Lost.Packs, "pack"), size(r.Lost.Bytes), r.Name, cairn.ErrPrecondition)
	}
	return fmt.Errorf("%s; every one stays readable without it, with a shard less until repair made it again: `cairn node drain %s` moves them first, or remove it with --force: %w",
		held, r.Name, cairn.ErrPrecondition)
}
