package scrub

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
)

// Drain moves every shard off a node: copied from it and proven, or, where it
// does not answer or has wrong bytes, made again from the others; recorded; and
// only then removed there. It can be cut off at any moment and called again. Once
// no pack needs the node any more the report says that it may be removed. The
// node is to be draining before, or new shards go on coming.
func (s *Scrub) Drain(ctx context.Context, node cairn.NodeID, r Request, progress func(Progress)) (Report, error) {
	m := newMeter("drain", r, progress)
	ctx, end, err := s.begin(ctx, "drain "+node.String(), false)
	if err != nil {
		return m.done(s), err
	}
	defer end()
	err = s.drainAll(ctx, node, r, m)
	return m.done(s), err
}

func (s *Scrub) drainAll(ctx context.Context, node cairn.NodeID, r Request, m *meter) error {
	l, err := s.loadOf(ctx, node)
	if err != nil {
		return err
	}
	m.update(func(p *Progress, _ *Report) {
		p.Phase, p.Node = "moving", s.name(node)
		p.OfPacks, p.OfBytes = l.shards, l.bytes
	})
	if r.DryRun {
		m.update(func(_ *Progress, rep *Report) {
			rep.Left, rep.LeftSize = l.shards, l.bytes
			rep.says("%s would move off node %s", many(l.shards, "shard"), s.name(node))
		})
		return nil
	}
	err = s.rows(ctx, node, cairn.PackID{}, func(ctx context.Context, row index.PackRow) error {
		o, err := s.moveOff(ctx, row.Params.ID, node)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.became(ctx, row.Params.ID, o, err)
		m.update(func(p *Progress, rep *Report) {
			p.Packs++
			p.Bytes += o.bytes
			rep.add(o)
			rep.failed(row.Params.ID, o, err)
		})
		return nil
	}, func(cairn.PackID, int) {})
	if err != nil {
		return err
	}
	return s.drained(ctx, node, m)
}

// drained says what is left on a node: of packs that count, in every state that
// may yet be read.
func (s *Scrub) drained(ctx context.Context, node cairn.NodeID, m *meter) error {
	left, size, waiting := int64(0), int64(0), int64(0)
	n := 0
	for row, err := range s.c.Store.Packs(cairn.PackID{}) {
		if err != nil {
			return err
		}
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		on := int64(len(indexOn(row, node)))
		switch {
		case s.ours(row):
			left += on
			size += on * row.Params.FileSize()
		case row.State <= index.Spread:
			waiting += on
		}
	}
	m.update(func(_ *Progress, rep *Report) {
		rep.Left, rep.LeftSize = left+waiting, size
		name := s.name(node)
		switch {
		case left > 0:
			rep.says("%s still stand on node %s: %s", many(left, "shard"), name, whyMost(rep.Stuck))
		case waiting > 0:
			rep.says("%s on node %s of packs that are still staged on this machine: they move once the stage lets go of these packs (stage.settle, 10m unless set); a gateway that runs moves them then by itself, and the same command says when none is left", many(waiting, "shard"), name)
		default:
			rep.MayRemove = true
			rep.says("nothing needs node %s any more: it may be removed now", name)
		}
	})
	return nil
}

// moveOff moves the shards of one pack off a node. The order is that of mend.
func (s *Scrub) moveOff(ctx context.Context, id cairn.PackID, node cairn.NodeID) (outcome, error) {
	v := s.view()
	var o outcome
	if v.of(node).answers() {
		var err error
		if o, err = s.copyOff(ctx, v, id, node, nil); err != nil || o.stuck == nil || o.busy {
			return o, err
		}
	}
	// Not from itself, then from the others.
	made, err := s.mend(ctx, id, v, func(a *assessed) []uint8 { return indexOn(a.row, node) }, cairn.NodeID{}, atOnce)
	made.made += o.made
	made.bytes += o.bytes
	made.removed += o.removed
	made.moved.Add(o.moved)
	return made, err
}

// errVeto is that a place is not wanted.
var errVeto = errors.New("the place that was drawn is no better")

// copyOff moves the shards of a pack from a node by copying. veto may refuse a
// place before anything is put there.
func (s *Scrub) copyOff(ctx context.Context, v *view, id cairn.PackID, node cairn.NodeID, veto func(index.PackRow, []cairn.Location) error) (o outcome, err error) {
	if !s.hold(id) {
		return outcome{busy: true}, nil
	}
	defer s.let(id)
	defer s.settled(id)
	row, err := s.c.Store.Pack(id)
	if errors.Is(err, cairn.ErrNotExist) || err == nil && !s.ours(row) {
		return outcome{}, nil
	}
	if err != nil {
		return outcome{}, err
	}
	for _, l := range slices.Clone(row.At) {
		if l.Node != node || s.isBad(place{id, l}) {
			if l.Node == node {
				o.stuck = &Stuck{Pack: id, ID: id.String(), Why: "its bytes there are wrong"}
			}
			continue
		}
		if err := s.c.Nodes.Spend(ctx, node, row.Params.FileSize()); err != nil {
			if ctx.Err() != nil {
				return o, ctx.Err()
			}
			o.stuck = &Stuck{Pack: id, ID: id.String(), Why: err.Error()}
			return o, nil
		}
		start := time.Now()
		made, cost, err := s.c.Nodes.Copy(ctx, row.Params, row.At, l, func(at []cairn.Location) error {
			if veto != nil {
				if err := veto(row, at); err != nil {
					return err
				}
			}
			s.spendAt(ctx, row.Params.FileSize(), at)
			return s.intend(ctx, id, at)
		})
		o.moved.Add(cost)
		switch {
		case ctx.Err() != nil:
			return o, ctx.Err()
		case errors.Is(err, errVeto):
			return o, errVeto
		case err != nil:
			o.stuck = &Stuck{Pack: id, ID: id.String(), Why: err.Error()}
			continue
		}
		a := s.assess(v, row)
		old, err := s.place(id, &a, []cairn.Location{made})
		if err != nil {
			s.takeBack(ctx, id, []cairn.Location{made})
			return o, err
		}
		o.made++
		o.bytes += row.Params.FileSize()
		s.madeBytes(row.Params.FileSize(), time.Since(start))
		o.removed += s.retire(ctx, v, id, old)
		if row, err = s.c.Store.Pack(id); err != nil || row.State != index.Spread {
			return o, nil // it was moved, and is retired since
		}
	}
	return o, nil
}

// drainLoop moves shards off nodes that are draining, until ctx ends.
func (s *Scrub) drainLoop(ctx context.Context) {
	pause := time.Minute
	for ctx.Err() == nil {
		changed := s.c.Nodes.Changed()
		v := s.view()
		moved := false
		for _, id := range v.order {
			n := v.nodes[id]
			if !n.leaving || n.is == gone || ctx.Err() != nil {
				continue
			}
			one, end, err := s.begin(ctx, "drain "+id.String(), true)
			if err != nil {
				continue // a person's is running
			}
			m := newMeter("drain", Request{}, nil)
			err = s.drainAll(one, id, Request{}, m)
			cut := one.Err() != nil
			end()
			r := m.done(s)
			if err != nil && !cut {
				s.c.Log.Warn("node could not be drained", "node", n.Name, "err", err)
			}
			if r.Made > 0 {
				moved = true
				s.c.Log.Info("node is being drained", "node", n.Name, "moved", r.Made, "left", r.Left)
			}
		}
		// What failed is tried again later and later, sooner when nodes change.
		pause = min(2*pause, time.Hour)
		if moved {
			pause = time.Minute
		}
		s.wait(ctx, 10*time.Second, nil, nil)
		s.wait(ctx, pause, changed, nil)
	}
}
