package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/store"
)

// Compacting is what compact and recode are asked for.
type Compacting struct {
	Below   float64        `json:"below"` // of compact: packs of which less than this part is live
	To      string         `json:"to"`    // of recode: k+m or auto, from now on; empty for today's
	DryRun  bool           `json:"dry_run"`
	Bwlimit config.Bwlimit `json:"bwlimit"`
}

// CompactReport is what they came to.
type CompactReport struct {
	store.Compacted
	DryRun bool         `json:"dry_run,omitempty"`
	Coding string       `json:"coding"` // of what was written
	Took   float64      `json:"took_s"`
	Doomed store.Doomed `json:"doomed"` // what nothing needs and still takes room on nodes
}

// Compact rewrites the live part of packs of which little is live, and deletes
// what may be deleted by now: what is emptied today goes a day after every node
// knows.
func (e *Engine) Compact(ctx context.Context, c Compacting, report func(Progress)) (CompactReport, error) {
	coding := ""
	if now, err := e.Fleet.Coding(e.Store.Coding()); err == nil {
		coding = now.String()
	}
	return e.compact(ctx, c, "compact", coding, report, func(row index.PackRow, live uint64) bool { return float64(live) < c.Below*float64(row.Bytes) })
}

// Recode writes every pack anew that is not coded as new packs are. With To that
// becomes the store's coding first; ErrUnavailable where there are too few nodes
// for it.
func (e *Engine) Recode(ctx context.Context, c Compacting, report func(Progress)) (CompactReport, error) {
	want := e.Store.Coding()
	if c.To != "" {
		want = c.To
	}
	target, err := e.Fleet.Coding(want)
	if err != nil {
		return CompactReport{}, err
	}
	if want != "auto" && target.String() != want {
		return CompactReport{}, fmt.Errorf("%s needs more nodes that take shards: packs would be coded %v; `cairn node list` shows them: %w", want, target, cairn.ErrUnavailable)
	}
	if c.To != "" && !c.DryRun && c.To != e.Store.Coding() {
		if err := e.Store.SetCoding(ctx, c.To); err != nil {
			return CompactReport{}, err
		}
	}
	return e.compact(ctx, c, "recode", target.String(), report, func(row index.PackRow, _ uint64) bool { return row.Params.Coding != target })
}

func (e *Engine) compact(ctx context.Context, c Compacting, verb, coding string, report func(Progress), want func(index.PackRow, uint64) bool) (out CompactReport, err error) {
	if err := e.needCare(); err != nil {
		return out, err
	}
	start := time.Now()
	out.DryRun, out.Coding = c.DryRun, coding
	out.Compacted, err = e.Store.Compact(ctx, store.Compaction{Want: want, DryRun: c.DryRun, Traffic: traffic{e.Fleet, &pace{limit: c.Bwlimit}}}, func(p store.Compacted) {
		if report != nil {
			report(Progress{Text: verb, Done: int64(p.Packs), Of: int64(p.Of), Unit: "pack", Bytes: p.Live})
		}
	})
	if err != nil {
		return out, err
	}
	if !c.DryRun {
		if err := e.Store.Flush(ctx); err != nil {
			return out, err
		}
		collected, err := e.Store.Collect(ctx)
		if err != nil {
			return out, err
		}
		out.Doomed = collected.Doomed
	}
	out.Took = time.Since(start).Seconds()
	return out, nil
}

// How the background codes old packs anew, once more nodes allow a better coding.
const (
	recodeEvery = time.Minute
	// recodeSettled is how long new packs must have had a coding before old ones
	// get it: nodes that come and go move nothing.
	recodeSettled = 10 * time.Minute
)

// recodeOld codes packs anew that bear fewer failures than new ones do, until ctx
// ends, where the coding is auto. Never the other way: a fleet that shrinks for a
// while is no reason to make packs weaker.
func (e *Engine) recodeOld(ctx context.Context) {
	settled := e.c.Settled
	if settled == 0 {
		settled = recodeSettled
	}
	tick := time.NewTicker(min(recodeEvery, settled))
	defer tick.Stop()
	var was cairn.Coding
	since := time.Now()
	for {
		now, err := e.Fleet.Coding(e.Store.Coding())
		switch {
		case err != nil || e.Store.Coding() != "auto":
			was = cairn.Coding{}
		case now != was:
			was, since = now, time.Now()
		case time.Since(since) >= settled:
			e.recodeTo(ctx, now)
			since = time.Now() // and look again later: what was staged then was left out
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (e *Engine) recodeTo(ctx context.Context, target cairn.Coding) {
	out, err := e.Store.Compact(ctx, store.Compaction{Traffic: traffic{Fleet: e.Fleet}, Want: func(row index.PackRow, _ uint64) bool {
		return row.Params.Coding.M < target.M
	}}, nil)
	switch {
	case err != nil && ctx.Err() == nil:
		e.c.Log.Warn("old packs could not all be coded anew; it is tried again", "coding", target, "packs", out.Packs, "of", out.Of, "err", err)
	case out.Packs > 0:
		e.c.Log.Info("old packs are coded anew", "coding", target, "packs", out.Packs, "bytes", out.Live)
	}
}
