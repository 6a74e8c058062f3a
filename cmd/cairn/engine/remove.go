package engine

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn"
)

// Removed says what the store gave up with a node.
type Removed struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"` // of shards that stand there, those of retired packs included
	// Weaker are the packs that have a shard there and can be read without it, and
	// Lost those that cannot: fewer than k shards are left even when every other
	// node comes back.
	Weaker Sum         `json:"weaker"`
	Lost   Sum         `json:"lost"`
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
	if out.Weaker, out.Lost, err = e.cost(ctx, n.ID); err != nil {
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

// cost is what the packs on a node are without it.
func (e *Engine) cost(ctx context.Context, id cairn.NodeID) (weaker, lost Sum, err error) {
	l, _, err := e.glance(ctx)
	if err != nil {
		return Sum{}, Sum{}, err
	}
	h, err := holdingsOf(e.Store.Packs(cairn.PackID{})) // of now, not of a moment ago
	if err != nil {
		return Sum{}, Sum{}, err
	}
	nodes, _ := e.nodeStates(l)
	weaker, lost = h.without(setsOf(nodes).ours, id)
	return weaker, lost, nil
}

// without tells, of the packs that have a shard on a node and can be read from
// nodes that count, which can be without it and which cannot.
func (h *holdings) without(counts func(cairn.NodeID) bool, id cairn.NodeID) (weaker, lost Sum) {
	others := func(o cairn.NodeID) bool { return o != id && counts(o) }
	for i := range h.rows {
		r := &h.rows[i]
		with, left := r.left(counts), r.left(others)
		switch {
		case left == with:
		case left < r.coding.K && with >= r.coding.K:
			lost.add(r.Sum)
		default:
			weaker.add(r.Sum)
		}
	}
	return weaker, lost
}
