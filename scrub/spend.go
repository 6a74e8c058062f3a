package scrub

import (
	"context"
	"time"

	"github.com/cairn-storage/cairn"
)

// spendFor waits for the budgets of the nodes that are read from. Where few
// shards are left the data goes before a month's budget, and before a timetable
// after a minute.
func (s *Scrub) spendFor(ctx context.Context, a *assessed, at []cairn.Location, urgent bool) error {
	p := a.row.Params
	each := (int64(p.Coding.K)*int64(p.Length) + int64(len(at)) - 1) / int64(len(at))
	for _, l := range at {
		wait, cancel := ctx, context.CancelFunc(func() {})
		if urgent {
			wait, cancel = context.WithTimeout(ctx, time.Minute)
		}
		err := s.c.Nodes.Spend(wait, l.Node, each+p.TailSize())
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !urgent:
			return err
		}
	}
	return nil
}

// spendAt counts what is about to be put against the budgets of the nodes that
// get it. They were chosen for their room, and what was read for it is in hand:
// nothing is waited for longer than a minute.
func (s *Scrub) spendAt(ctx context.Context, size int64, at []cairn.Location) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, l := range at {
		if err := s.c.Nodes.Spend(ctx, l.Node, size); err != nil {
			s.c.Log.Debug("a shard is put beyond the budget of its node", "node", s.name(l.Node), "err", err)
		}
	}
}
