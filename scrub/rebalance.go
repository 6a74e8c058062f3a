package scrub

import (
	"context"
	"errors"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/index"
)

const (
	// A node gives shards while it is fuller than all nodes are on average by
	// rebalanceFrom of its size, until it is by rebalanceTo.
	rebalanceFrom = 0.05
	rebalanceTo   = 0.02
	// vetoesMost is how often in a row the fleet may draw a place that is no
	// better before a pack is left where it is.
	vetoesMost = 3
)

// fill is how full a node is.
type fill struct{ used, size int64 }

func (f fill) part() float64 { return float64(f.used) / float64(f.size) }

// Rebalance moves shards from nodes that are fuller than the others to those
// with room, copy first, and never two of a pack to one operator that had one
// before. With r.Node only that node gives shards. It can be cut off at any
// moment and called again.
func (s *Scrub) Rebalance(ctx context.Context, r Request, progress func(Progress)) (Report, error) {
	m := newMeter("rebalance", r, progress)
	ctx, end, err := s.begin(ctx, "rebalance", false)
	if err != nil {
		return m.done(s), err
	}
	defer end()
	err = s.rebalanceAll(ctx, r, m)
	return m.done(s), err
}

func (s *Scrub) rebalanceAll(ctx context.Context, r Request, m *meter) error {
	v := s.view()
	givers, err := s.chosen(v, r.Node)
	if err != nil {
		return err
	}
	fills, mean := s.fills(v)
	todo := make(map[cairn.NodeID]int64)
	total := int64(0)
	for _, id := range givers {
		f, ok := fills[id]
		if ok && f.part() > mean+rebalanceFrom {
			todo[id] = f.used - int64((mean+rebalanceTo)*float64(f.size))
			total += todo[id]
		}
	}
	m.update(func(p *Progress, rep *Report) {
		p.Phase, p.OfBytes = "moving", total
		rep.Left, rep.LeftSize = int64(len(todo)), total
	})
	if r.DryRun || total == 0 {
		m.update(func(_ *Progress, rep *Report) {
			rep.says("%s would have to move for every node to be as full as the others (%.0f %%)", config.Size(total), mean*100)
		})
		return nil
	}
	for _, id := range v.order {
		if todo[id] > 0 {
			if err := s.relieve(ctx, id, todo[id], fills, mean, m); err != nil {
				return err
			}
		}
	}
	m.update(func(_ *Progress, rep *Report) {
		rep.Left, rep.LeftSize = 0, max(0, rep.LeftSize-rep.Written)
		rep.says("%s moved", many(rep.Made, "shard"))
	})
	return nil
}

// fills tells how full the nodes are that take shards and whose size is known,
// and how full all of them are together.
func (s *Scrub) fills(v *view) (map[cairn.NodeID]fill, float64) {
	out := make(map[cairn.NodeID]fill)
	var all fill
	for _, id := range v.order {
		n := v.nodes[id]
		if n.is == here && !n.leaving && n.Known && n.Total > 0 {
			f := fill{max(0, n.Total-n.Free), n.Total}
			out[id] = f
			all.used += f.used
			all.size += f.size
		}
	}
	if all.size == 0 {
		return out, 0
	}
	return out, all.part()
}

// errEnough ends a pass over the rows.
var errEnough = errors.New("enough was moved")

// relieve moves about n bytes off a node.
func (s *Scrub) relieve(ctx context.Context, node cairn.NodeID, n int64, fills map[cairn.NodeID]fill, mean float64, m *meter) error {
	m.update(func(p *Progress, _ *Report) { p.Node = s.name(node) })
	moved := int64(0)
	got := make(map[cairn.NodeID]int64) // by those that took; guarded by the meter
	err := s.rows(ctx, node, cairn.PackID{}, func(ctx context.Context, row index.PackRow) error {
		enough := false
		m.update(func(*Progress, *Report) { enough = moved >= n })
		if enough {
			return errEnough
		}
		v := s.view()
		var drawn cairn.NodeID
		veto := func(row index.PackRow, at []cairn.Location) error {
			for _, l := range at {
				worse := false
				m.update(func(*Progress, *Report) {
					f, ok := fills[l.Node]
					worse = !ok || float64(f.used+got[l.Node]) >= mean*float64(f.size)
				})
				if worse || s.doubles(v, row, node, l.Node) {
					return errVeto
				}
				drawn = l.Node
			}
			return nil
		}
		for range vetoesMost {
			o, err := s.copyOff(ctx, v, row.Params.ID, node, veto)
			if errors.Is(err, errVeto) {
				continue
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			m.update(func(p *Progress, rep *Report) {
				moved += o.bytes
				got[drawn] += o.bytes
				p.Packs++
				p.Bytes += o.bytes
				rep.add(o)
				rep.failed(row.Params.ID, o, err)
			})
			break
		}
		return nil
	}, func(cairn.PackID, int) {})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// doubles reports whether a shard that goes from one node to another would
// stand at an operator that has one of the pack already, other than the one it
// leaves.
func (s *Scrub) doubles(v *view, row index.PackRow, from, to cairn.NodeID) bool {
	for _, l := range row.At {
		if l.Node != from && (l.Node == to || v.domain(v.of(l.Node)) == v.domain(v.of(to))) {
			return true
		}
	}
	return false
}
