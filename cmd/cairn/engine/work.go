package engine

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/scrub"
	"github.com/cairn-storage/cairn/store"
)

// Work is what a verb that looks after shards is asked for.
type Work struct {
	scrub.Request
	Bwlimit config.Bwlimit `json:"bwlimit"` // of this verb, on top of cairn.toml's
}

// Scrub compares what the nodes list with the index, and reads bytes where w asks
// for it. See scrub.Scrub.
func (e *Engine) Scrub(ctx context.Context, w Work, report func(Progress)) (scrub.Report, error) {
	if err := e.needCare(); err != nil {
		return scrub.Report{}, err
	}
	var seen store.Seen
	if !w.DryRun {
		var err error
		if seen, err = e.Store.SeeUnseen(ctx); err != nil {
			return scrub.Report{}, err
		}
	}
	r, err := e.scrub.Scrub(withPace(ctx, w.Bwlimit), w.Request, of(report))
	r.Says = append(seenText(seen), r.Says...)
	return r, err
}

// seenText says what came back that a recovery had not seen.
func seenText(s store.Seen) (out []string) {
	if s.Packs > 0 {
		out = append(out, fmt.Sprintf("%s that the recovery had not seen: %s of what was written in them count again, but where somebody wrote since", number(int64(s.Packs), "pack"), number(int64(s.Records), "record")))
	}
	if s.Refused > 0 {
		out = append(out, fmt.Sprintf("%s that came back do not count and stay where they are: what was written after the log that the recovery knew", number(int64(s.Refused), "pack")))
	}
	if s.Left != "" {
		out = append(out, "not everything was seen since the recovery: "+s.Left)
	}
	return out
}

// Repair makes missing shards again, the worst pack first.
func (e *Engine) Repair(ctx context.Context, w Work, report func(Progress)) (scrub.Report, error) {
	if err := e.needCare(); err != nil {
		return scrub.Report{}, err
	}
	return e.scrub.Repair(withPace(ctx, w.Bwlimit), w.Request, of(report))
}

// Rebuild makes everything again that should be on a node and does not verify.
func (e *Engine) Rebuild(ctx context.Context, w Work, report func(Progress)) (scrub.Report, error) {
	id, err := e.caredNode(w.Node)
	if err != nil {
		return scrub.Report{}, err
	}
	return e.scrub.Rebuild(withPace(ctx, w.Bwlimit), id, w.Request, of(report))
}

// Rebalance moves shards until every node is as full as the others.
func (e *Engine) Rebalance(ctx context.Context, w Work, report func(Progress)) (scrub.Report, error) {
	if err := e.needCare(); err != nil {
		return scrub.Report{}, err
	}
	return e.scrub.Rebalance(withPace(ctx, w.Bwlimit), w.Request, of(report))
}

// Drain keeps new shards from a node and moves those there to others. The node
// stays draining when it is cut off, and a gateway goes on with it.
//
// Order: the state is recorded first, so that nothing comes while the rest
// leaves.
func (e *Engine) Drain(ctx context.Context, w Work, report func(Progress)) (scrub.Report, error) {
	id, err := e.caredNode(w.Node)
	if err != nil {
		return scrub.Report{}, err
	}
	if !w.DryRun {
		draining := stateDraining
		if _, err := e.SetNode(ctx, w.Node, NodeChange{State: &draining}); err != nil {
			return scrub.Report{}, err
		}
	}
	return e.scrub.Drain(withPace(ctx, w.Bwlimit), id, w.Request, of(report))
}

func (e *Engine) caredNode(name string) (cairn.NodeID, error) {
	if err := e.needCare(); err != nil {
		return cairn.NodeID{}, err
	}
	n, err := e.Store.Node(name)
	if err != nil {
		return cairn.NodeID{}, fmt.Errorf("%w; `cairn node list` shows them", err)
	}
	return n.ID, nil
}

// of is report for the progress of package scrub.
func of(report func(Progress)) func(scrub.Progress) {
	return func(p scrub.Progress) {
		if report == nil {
			return
		}
		if p.Text != "" {
			report(Progress{Text: p.Text})
			return
		}
		text := p.Phase
		if p.Node != "" {
			text += " " + p.Node
		}
		report(Progress{Text: text, Done: p.Packs, Of: p.OfPacks, Unit: "shard", Bytes: p.Bytes, Rate: p.Rate, Left: max(p.ETA, 0)})
	}
}
