package scrub

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
)

// Scrub brings markers, roots and keys on all nodes up to date, lists the nodes,
// or the one of r.Node, and compares with the rows; with
// r.Sample or r.Full it then reads that part of the shards whole. A shard that
// is not there at this look is lost only when it is not there an hour later
// either, which the next Scrub or Run finds out. With r.Repair it mends what is
// known to be sick. A scrub of bytes that was cut off goes on where it was. The
// error is one of the index, or of ctx, or that no node could be listed.
func (s *Scrub) Scrub(ctx context.Context, r Request, progress func(Progress)) (Report, error) {
	m := newMeter("scrub", r, progress)
	if r.Sample < 0 || r.Sample > 1 {
		return m.done(s), fmt.Errorf("scrub: a sample of %g is no part from 0 to 1: %w", r.Sample, cairn.ErrInvalid)
	}
	ctx, end, err := s.begin(ctx, "scrub", false)
	if err != nil {
		return m.done(s), err
	}
	defer end()
	err = s.find(ctx, r, m)
	if err == nil && r.Repair && !r.DryRun {
		err = s.repairAll(ctx, Request{Node: r.Node}, m)
	}
	s.save(ctx)
	return m.done(s), err
}

func (s *Scrub) find(ctx context.Context, r Request, m *meter) error {
	v := s.view()
	nodes, err := s.chosen(v, r.Node)
	if err != nil {
		return err
	}
	if r.Full {
		r.Sample = 1
	}
	c, err := s.take(ctx, v, byGrace, func(cairn.PackID) bool { return true }, 0)
	if err != nil {
		return err
	}
	s.note(c)
	shards, bytes := int64(0), int64(0)
	for _, id := range nodes {
		if l := c.nodes[id]; l != nil {
			shards += l.shards
			bytes += int64(r.Sample * float64(l.bytes))
		}
	}
	m.update(func(p *Progress, rep *Report) { p.OfPacks, p.OfBytes = shards, bytes })
	if r.DryRun {
		m.update(func(_ *Progress, rep *Report) {
			rep.Left, rep.LeftSize = shards, bytes
			rep.says("%s would be listed, %s compared, %s read", many(int64(len(nodes)), "node"), many(shards, "shard"), config.Size(bytes))
		})
		return nil
	}
	if err := s.visit(ctx); err != nil {
		m.say("markers, roots and keys could not be brought up to date everywhere: %v", err)
		m.update(func(_ *Progress, rep *Report) {
			rep.says("markers, roots and keys could not be brought up to date everywhere: %v", err)
		})
	}
	if err := s.findPresence(ctx, v, nodes, m); err != nil {
		return err
	}
	second := s.settleMarks(ctx, false)
	m.update(func(_ *Progress, rep *Report) {
		rep.Packs = min(rep.Packs, c.packs) // each node's were counted
		rep.Lost += second.Lost
		rep.Found += second.Found
		rep.Removed += second.Removed
		rep.NoShards += second.NoShards
	})
	if r.Sample > 0 {
		if err := s.findBytes(ctx, nodes, r, m); err != nil {
			return err
		}
	}
	m.update(func(_ *Progress, rep *Report) {
		rep.found()
		if !r.Repair {
			rep.sayStaged(c)
		}
	})
	return ctx.Err()
}

// findPresence lists nodes, one after another.
func (s *Scrub) findPresence(ctx context.Context, v *view, nodes []cairn.NodeID, m *meter) error {
	var causes error
	listed := 0
	for _, id := range nodes {
		m.update(func(p *Progress, _ *Report) { p.Phase, p.Node = "listing", s.name(id) })
		r, err := s.presence(ctx, id)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			causes = errors.Join(causes, err)
			m.say("%s was not listed: %v", s.name(id), err)
			m.update(func(_ *Progress, rep *Report) {
				rep.says("node %s was not listed: its shards are unknown, not missing", s.name(id))
			})
			continue
		}
		listed++
		m.update(func(p *Progress, rep *Report) {
			p.Packs += r.Shards
			rep.Packs += r.Packs
			rep.Shards += r.Shards
			rep.Read += r.Read
			rep.Requests += r.Requests
			rep.Wrong += r.Wrong
			rep.Missing += r.Missing
			rep.Lost += r.Lost
			rep.Unread += r.Unread
			rep.Unknown += r.Unknown
			rep.Extra += r.Extra
		})
	}
	if listed == 0 && causes != nil {
		return fmt.Errorf("scrub: no node could be listed: %w", causes)
	}
	return nil
}

// found says what a scrub came to.
func (r *Report) found() {
	if left := r.Extra - r.Removed - r.Found; left > 0 {
		r.says("%s extra, in no row: taken up where a shard is missing, removed once all others of their packs were just verified", many(left, "file"))
	}
	if r.NoShards > 0 {
		r.says("%s with the name of a shard and other bytes, or of a shard that cannot be: left there, see the log", many(r.NoShards, "file"))
	}
	if r.Wrong+r.Missing+r.Lost+r.Unread == 0 {
		r.says("everything that was looked at is as it should be: %s", many(r.Shards, "shard"))
		return
	}
	if r.Wrong > 0 {
		r.says("%s with wrong bytes", many(r.Wrong, "shard"))
	}
	if r.Missing > 0 {
		r.says("%s not there; lost if they are not there in an hour either", many(r.Missing, "shard"))
	}
	if r.Lost > 0 {
		r.says("%s lost: not there at two looks an hour apart", many(r.Lost, "shard"))
	}
	if r.Unread > 0 {
		r.says("nothing could be found out about %s", many(r.Unread, "shard"))
	}
}
