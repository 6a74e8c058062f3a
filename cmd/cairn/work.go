package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/scrub"
)

// workFlags are in the help of every verb that looks after shards.
const workFlags = `
  --dry-run         say what would be done and do nothing
  --bwlimit RATE    no faster than this, such as 8M, or a timetable "08:00,1M 23:00,off";
                    on top of scrub.bwlimit and each node's traffic and hours`

// goesOn is what such a verb says when it is interrupted.
const goesOn = "what was done stays done, nothing is half done; the same command goes on, and a gateway that runs does by itself"

// worker is an operation of the engine on shards.
type worker func(e *engine.Engine, ctx context.Context, w engine.Work, report func(engine.Progress)) (scrub.Report, error)

func work(name string, do worker) operation[engine.Work, scrub.Report] {
	return operation[engine.Work, scrub.Report]{name, func(ctx context.Context, e *engine.Engine, w engine.Work, report progress) (scrub.Report, error) {
		e.LookAtStart(ctx)
		return do(e, ctx, w, report)
	}}
}

func scrubStore() operation[engine.Work, scrub.Report] { return work("scrub", (*engine.Engine).Scrub) }
func repairStore() operation[engine.Work, scrub.Report] {
	return work("repair", (*engine.Engine).Repair)
}
func rebuildNode() operation[engine.Work, scrub.Report] {
	return work("rebuild", (*engine.Engine).Rebuild)
}
func rebalanceNodes() operation[engine.Work, scrub.Report] {
	return work("rebalance", (*engine.Engine).Rebalance)
}
func drainNode() operation[engine.Work, scrub.Report] {
	return work("node drain", (*engine.Engine).Drain)
}

// workFlagsOf adds the flags that all of them have.
func workFlagsOf(f *flags, w *engine.Work) {
	f.BoolVar(&w.DryRun, "dry-run", false, "")
	f.Func("bwlimit", "", func(s string) (err error) {
		w.Bwlimit, err = config.ParseBwlimit(s)
		return err
	})
}

// runWork carries out op and tells what came of it.
func runWork(ctx context.Context, f *flags, op operation[engine.Work, scrub.Report], w engine.Work) error {
	r, err := op.do(ctx, f, w)
	if err != nil {
		return err
	}
	if f.json {
		err = f.e.json(r)
	} else {
		f.e.printf("%s", reportText(r))
	}
	if err != nil {
		return err
	}
	return outcomeOf(r)
}

// outcomeOf is the class of what a report says is not as it should be.
func outcomeOf(r scrub.Report) error {
	lost := 0
	for _, s := range r.Stuck {
		if s.Lost {
			lost++
		}
	}
	switch {
	case r.DryRun:
		return nil
	case lost > 0:
		return fmt.Errorf("%s cannot be made whole by any node that is away: %w", count(int64(lost), "pack"), cairn.ErrLost)
	case r.Verb == "scrub" && r.Wrong > 0 && r.Made < r.Wrong:
		return fmt.Errorf("%s with wrong bytes; `cairn events` and `cairn node evidence` say more, repair makes them again: %w", count(r.Wrong, "shard"), cairn.ErrCorrupt)
	case r.Left > 0:
		return fmt.Errorf("%d left to do: %w", r.Left, cairn.ErrUnavailable)
	}
	return nil
}

// reportText is what a verb came to, for a person.
func reportText(r scrub.Report) string {
	var b strings.Builder
	if r.Resumed {
		b.WriteString("Went on where the one before was cut off.\n")
	}
	for _, s := range r.Says {
		fmt.Fprintf(&b, "%s\n", s)
	}
	for i, s := range r.Stuck {
		if i == stuckShown {
			fmt.Fprintf(&b, "  and %s more: --json has them\n", count(int64(len(r.Stuck)-i), "pack"))
			break
		}
		have := ""
		if s.Need > 0 {
			have = fmt.Sprintf("%d of the %d shards it needs can be read: ", s.Have, s.Need)
		}
		fmt.Fprintf(&b, "  pack %s: %s%s\n", s.ID, have, s.Why)
	}
	if r.Alarm != "" {
		fmt.Fprintf(&b, "%s\n", r.Alarm)
	}
	gone := "lost"
	if r.Verb == "rebuild" { // they are made again from the others
		gone = "not there"
	}
	if r.DryRun && r.Read == 0 && r.Requests == 0 {
		return b.String() // nothing was done
	}
	parts := []string{count(r.Packs, "pack"), count(r.Shards, "shard")}
	for _, p := range []struct {
		n    int64
		what string
	}{{r.Made, "made"}, {r.Found, "found"}, {r.Removed, "old files removed"}, {r.Wrong, "wrong"}, {r.Lost, gone}} {
		if p.n > 0 {
			parts = append(parts, count(p.n, "")+" "+p.what)
		}
	}
	parts = append(parts, "read "+bytesText(r.Read), "written "+bytesText(r.Written), count(r.Requests, "request"), tookText(r.Took))
	b.WriteString(strings.Join(parts, " · ") + "\n")
	return b.String()
}

// tookText is how long a verb took.
func tookText(seconds float64) string {
	if seconds < 10 {
		return fmt.Sprintf("%.1fs", seconds)
	}
	return ago(seconds)
}

// stuckShown is how many packs are named one by one.
const stuckShown = 10
