package scrub

import (
	"context"
	"errors"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
)

// Rebuild makes everything again that the rows have on a node and that does not
// verify there, on it, or elsewhere where it takes no more, and repairs the packs that lack shards. A
// shard that verifies, by one block or with r.Full as a whole, stays where it
// is. It goes on where one before was cut off.
func (s *Scrub) Rebuild(ctx context.Context, node cairn.NodeID, r Request, progress func(Progress)) (Report, error) {
	m := newMeter("rebuild", r, progress)
	ctx, end, err := s.begin(ctx, "rebuild "+node.String(), false)
	if err != nil {
		return m.done(s), err
	}
	defer end()
	err = s.rebuildAll(ctx, node, r, m)
	return m.done(s), err
}

func (s *Scrub) rebuildAll(ctx context.Context, node cairn.NodeID, r Request, m *meter) error {
	l, err := s.loadOf(ctx, node)
	if err != nil {
		return err
	}
	key := "rebuild " + node.String()
	from, resumed := s.resume(key)
	m.update(func(p *Progress, rep *Report) {
		p.Phase, p.Node = "rebuilding", s.name(node)
		p.OfPacks, p.OfBytes = l.shards, l.bytes
		rep.Resumed = resumed && !r.DryRun
	})
	if r.DryRun {
		m.update(func(_ *Progress, rep *Report) {
			rep.Left, rep.LeftSize = l.shards, l.bytes
			rep.says("%s of node %s would be looked at, and made again where they do not verify", many(l.shards, "shard"), s.name(node))
		})
		return nil
	}
	if resumed {
		m.say("going on where the rebuild before was cut off")
	}
	var sum rebuilt
	err = s.rows(ctx, node, from, func(ctx context.Context, row index.PackRow) error {
		return s.rebuildOne(ctx, node, row, r, m, &sum)
	}, func(last cairn.PackID, n int) { s.reached(ctx, key, last, n) })
	if err != nil {
		return err
	}
	s.finished(ctx, key)
	m.update(func(_ *Progress, rep *Report) { rep.rebuilt(s.name(node), sum) })
	err = s.repairAll(ctx, Request{Node: r.Node}, m) // what lost its place in the rows before
	m.update(func(_ *Progress, rep *Report) { rep.Left = max(rep.Left, sum.stuck) })
	return err
}

// rebuilt is what a rebuild found on a node. It is guarded by the meter.
type rebuilt struct{ good, made, there, stuck int64 }

// rebuilt says what a rebuild came to.
func (r *Report) rebuilt(name string, sum rebuilt) {
	if sum.made == 0 {
		r.says("node %s: %s good, nothing to make again", name, many(sum.good, "shard"))
		return
	}
	r.says("node %s: %s good; %s made again, %s of them on it and %s on other nodes", name, many(sum.good, "shard"), many(sum.made, "shard"), number(sum.there), number(sum.made-sum.there))
}

func (s *Scrub) rebuildOne(ctx context.Context, node cairn.NodeID, row index.PackRow, r Request, m *meter, sum *rebuilt) error {
	id := row.Params.ID
	var sick []uint8
	looked := 0
	n := uint64(1)
	if r.Full {
		n = 0
	}
	for _, l := range row.At {
		if l.Node != node {
			continue
		}
		looked++
		if !s.view().of(node).answers() {
			sick = append(sick, l.Index)
			continue
		}
		cost, err := s.c.Nodes.Examine(ctx, row.Params, l, 0, n)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		m.update(func(p *Progress, rep *Report) {
			p.Bytes += row.Params.FileSize()
			rep.Read += cost.Read
			rep.Requests += int64(cost.Requests)
			switch {
			case errors.Is(err, cairn.ErrNotExist):
				rep.Lost++
			case errors.Is(err, cairn.ErrCorrupt):
				rep.Wrong++
			}
		})
		if err != nil {
			sick = append(sick, l.Index)
		}
	}
	if len(sick) == 0 {
		m.update(func(p *Progress, rep *Report) {
			p.Packs++
			rep.Packs++
			sum.good += int64(looked)
		})
		return nil
	}
	o, err := s.mend(ctx, id, s.view(), func(a *assessed) []uint8 {
		// Of the row as it stands now, and only what it still has there.
		return slices.DeleteFunc(indexOn(a.row, node), func(i uint8) bool { return !slices.Contains(sick, i) })
	}, node, atOnce)
	s.became(ctx, id, o, err)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	m.update(func(p *Progress, rep *Report) {
		p.Packs++
		sum.good += int64(looked - len(sick))
		sum.made += int64(o.made)
		if o.stuck != nil || err != nil {
			sum.stuck++
		}
		for _, l := range o.places {
			if l.Node == node {
				sum.there++
			}
		}
		rep.add(o)
		rep.failed(id, o, err)
	})
	return nil
}
