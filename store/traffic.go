package store

import (
	"context"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// Traffic bounds what compaction moves with nodes. What it reads from the stage
// or the cache is nobody's traffic and not asked for.
type Traffic interface {
	// Spend waits until n bytes may be read from a node; of class ErrFull when its
	// month's budget is used up.
	Spend(ctx context.Context, node cairn.NodeID, n int64) error
	// SpendPuts waits until n shards of size bytes each may be put on as many
	// nodes, whichever; of class ErrFull when the budgets of too few allow it.
	SpendPuts(ctx context.Context, n int, size int64) error
	// Affords reports whether the budget of a node allows n bytes more.
	Affords(node cairn.NodeID, n int64) bool
	// Within returns the context for placing what SpendPuts allowed.
	Within(ctx context.Context) context.Context
}

// within is the context in which a staged pack is placed.
func (p *staged) within(ctx context.Context) context.Context {
	if p.traffic == nil {
		return ctx
	}
	return p.traffic.Within(ctx)
}

// spendRead waits until n bytes at off of a pack may be read, where nodes have to
// be asked for them.
func (w *rewriter) spendRead(id cairn.PackID, off uint32, n int) error {
	if w.traffic == nil || w.s.Staged(id) {
		return nil
	}
	row, err := w.s.idx.Pack(id)
	if err != nil || row.State == index.Staged {
		return nil // the read says so
	}
	for shard, size := range w.s.c.Nodes.Lacks(row.Params, uint64(off), n) {
		for _, node := range sources(row, shard) {
			if err := w.traffic.Spend(w.ctx, node, size); err != nil {
				return err
			}
		}
	}
	return nil
}

// sources is who is asked for bytes of a data shard: the node that has it, or k
// others where none does.
func sources(row index.PackRow, shard uint8) (out []cairn.NodeID) {
	for _, l := range row.At {
		if l.Index == shard {
			return []cairn.NodeID{l.Node}
		}
		if len(out) < row.Params.Coding.K {
			out = append(out, l.Node)
		}
	}
	return out
}

// spendPuts waits until a pack of n bytes may be placed.
func (w *rewriter) spendPuts(n uint32) error {
	if w.traffic == nil {
		return nil
	}
	c, err := w.s.c.Nodes.Coding(w.s.Coding())
	if err != nil {
		return err
	}
	return w.traffic.SpendPuts(w.ctx, c.N(), int64(pack.ShardLength(uint64(n), c)))
}

// affordable reports whether the month's budgets of the nodes that a pack is read
// from allow its live bytes.
func (k *compaction) affordable(row index.PackRow, live uint64) bool {
	if k.c.Traffic == nil {
		return true
	}
	each := int64(live) / int64(row.Params.Coding.K)
	for _, l := range row.At {
		if int(l.Index) < row.Params.Coding.K && !k.c.Traffic.Affords(l.Node, each) {
			return false
		}
	}
	return true
}
