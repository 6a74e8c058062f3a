package scrub

import (
	"context"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
)

// Repair makes the shards again that are not good now, worst packs first,
// without waiting for any grace but that of nodes that stopped answering only
// minutes ago. With r.Node only packs that have, or had, a shard there count. It
// can be cut off at any moment and called again: what was made is recorded pack
// by pack. The error is one of the index, or of ctx; what could not be mended
// is in the report, with the reason.
func (s *Scrub) Repair(ctx context.Context, r Request, progress func(Progress)) (Report, error) {
	m := newMeter("repair", r, progress)
	ctx, end, err := s.begin(ctx, "repair", false)
	if err != nil {
		return m.done(s), err
	}
	defer end()
	err = s.repairAll(ctx, r, m)
	return m.done(s), err
}

func (s *Scrub) repairAll(ctx context.Context, r Request, m *meter) error {
	only, err := s.only(r)
	if err != nil {
		return err
	}
	var mended mendedSum
	failed := make(map[cairn.PackID]*Stuck) // they are not tried twice; at most stuckKept
	for {
		v := s.view()
		if len(v.order) == 0 {
			return fmt.Errorf("scrub: there are no nodes: %w", cairn.ErrUnavailable)
		}
		var still []Stuck
		c, err := s.take(ctx, v, atOnce, func(id cairn.PackID) bool {
			if f := failed[id]; f != nil {
				still = append(still, *f)
				return true
			}
			return only != nil && !only(id)
		}, 0)
		if err != nil {
			return err
		}
		s.note(c)
		f := c.figures(v)
		m.update(func(p *Progress, _ *Report) {
			p.Phase = "repairing"
			p.OfPacks = p.Packs + max(int64(len(c.worst)), f.backPacks)
			p.OfBytes = p.Bytes + f.bytes
		})
		if r.DryRun {
			m.update(func(_ *Progress, rep *Report) {
				rep.Packs = int64(len(c.worst))
				rep.Left, rep.LeftSize = f.backShards, f.bytes
				rep.Stuck = c.stuck
				rep.says("%s would be made again, worst first", many(f.backShards, "shard"))
			})
			return nil
		}
		if len(c.worst) == 0 || len(failed) >= stuckKept {
			m.update(func(_ *Progress, rep *Report) {
				rep.repaired(c, still, mended, f.shards.Away)
				rep.sayStaged(c)
			})
			return nil
		}
		busy := 0
		s.mendAll(ctx, c.worst, atOnce, func(id cairn.PackID, o outcome) {
			m.update(func(p *Progress, rep *Report) {
				switch {
				case o.stuck != nil:
					failed[id] = o.stuck
				case o.busy:
					busy++ // it is mended in the background right now
				case o.made == 0:
					failed[id] = &Stuck{Pack: id, ID: id.String(), Why: "it changed meanwhile"}
				}
				mended.add(o)
				if !o.busy {
					p.Packs++
					p.Bytes += o.bytes
					rep.add(o)
				}
			})
		})
		if busy > 0 {
			s.wait(ctx, time.Second, nil, nil)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// only is the packs that a request is about; nil for all.
func (s *Scrub) only(r Request) (func(cairn.PackID) bool, error) {
	if r.Node == "" {
		return nil, nil
	}
	nodes, err := s.chosen(s.view(), r.Node)
	if err != nil {
		return nil, err
	}
	return func(id cairn.PackID) bool {
		row, err := s.c.Store.Pack(id)
		return err == nil && (len(indexOn(row, nodes[0])) > 0 || len(row.At) < row.Params.Coding.N())
	}, nil
}

func (r *Report) add(o outcome) {
	r.Packs++
	r.Shards += int64(o.made)
	r.Made += int64(o.made)
	r.Removed += int64(o.removed)
	r.Read += o.moved.Read
	r.Written += o.moved.Written
	r.Requests += int64(o.moved.Requests)
}

// mendedSum is what one repair made.
type mendedSum struct{ shards, packs int64 }

func (s *mendedSum) add(o outcome) {
	if o.made > 0 {
		s.shards += int64(o.made)
		s.packs++
	}
}

// repaired says what Repair came to, where c is the census after it, failed are
// packs that were tried in vain, and so many shards are on nodes that are away.
func (r *Report) repaired(c *census, failed []Stuck, mended mendedSum, away int64) {
	r.Left += c.stuckAll + int64(len(failed)+len(c.worst))
	for _, x := range append(failed, c.stuck...) {
		r.stuckAt(x)
	}
	switch {
	case mended.packs > 0:
		r.says("%s made again in %s", many(mended.shards, "shard"), many(mended.packs, "pack"))
	case r.Left == 0 && r.Verb != "rebuild": // which says what it came to
		r.says("nothing to mend")
	}
	if away > 0 {
		r.says("left alone: %s on nodes that are away for a moment", many(away, "shard"))
	}
	if r.Left > 0 {
		r.says("%s could not be mended: %s", many(r.Left, "pack"), whyMost(r.Stuck))
	}
}

// whyMost is the reason that most of the packs have.
func whyMost(all []Stuck) string {
	count, most := make(map[string]int), ""
	for _, s := range all {
		if count[s.Why]++; count[s.Why] > count[most] {
			most = s.Why
		}
	}
	return most
}
