package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
)

func statusVerb() verb {
	return verb{
		name: "status", short: "how the store and its nodes are, and what to do about it",
		usage: `
  --check   exit status 1 unless everything is whole, for monitoring`,
		try: `cairn status --check --json`,
		run: runStatus,
	}
}

type none struct{}

func statusOf() operation[none, engine.Status] {
	return operation[none, engine.Status]{"status", func(ctx context.Context, e *engine.Engine, _ none, _ progress) (engine.Status, error) {
		e.Look(ctx)
		return e.Status(ctx)
	}}
}

func runStatus(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	check := f.Bool("check", false, "")
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	s, err := statusOf().do(ctx, f, none{})
	if err != nil {
		return err
	}
	if f.json {
		err = e.json(struct {
			engine.Status
			Serving bool `json:"serving"`
		}{s, f.inGateway})
	} else {
		e.printf("%s", statusText(s, f.inGateway))
	}
	if err == nil && *check && (s.State != engine.Whole || !f.inGateway) {
		return errSaid
	}
	return err
}

// statusText is a status for a person.
func statusText(s engine.Status, serving bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-10s %s\n", strings.ToUpper(s.State), s.Summary)
	if !serving {
		b.WriteString("  no gateway runs: nothing is served and nothing is sent to nodes until `cairn serve`\n")
	}
	for _, wrong := range s.Wrong {
		fmt.Fprintf(&b, "  %s\n", wrong)
	}
	for _, why := range s.Waiting {
		fmt.Fprintf(&b, "  waiting: %s\n", why)
	}
	if s.HereOnly > 0 {
		fmt.Fprintf(&b, "  %s are on this machine only, the oldest for %s: cairn flush\n", bytesText(s.HereOnly), ago(s.OldestHere))
	}
	if len(s.Fleet.Fatal) > 0 {
		fmt.Fprintf(&b, "  the loss of %s alone would lose packs\n", strings.Join(s.Fleet.Fatal, " or of "))
	}
	for _, advice := range s.Recoverable.Advice {
		fmt.Fprintf(&b, "  to do: %s\n", advice)
	}
	if len(s.Nodes) > 0 {
		b.WriteString(nodesTable(s.Nodes))
	}
	fmt.Fprintf(&b, "%s · %s in %s", count(s.Objects, "object"), bytesText(s.Bytes), count(int64(s.Packs), "pack"))
	if s.Fleet.Coding != "" {
		fmt.Fprintf(&b, ", new ones %s · usable %s", s.Fleet.Coding, bytesText(s.Fleet.Usable))
	}
	fmt.Fprintf(&b, " · only here %s\n", bytesText(s.HereOnly))
	fmt.Fprintf(&b, "stage %s of %s · %s for %s · cache hits %.0f %% · up %s · store %s\n", bytesText(s.StagedBytes), bytesText(s.StageLimit),
		count(s.Fsyncs, "fsync"), count(int64(s.Writes), "write"), 100*s.CacheHits, ago(s.Uptime), s.StoreID)
	if len(s.Nodes) > 0 {
		b.WriteString(recoverableText(s.Recoverable))
	}
	return b.String()
}

// nodesTable is one line for each node.
func nodesTable(nodes []engine.NodeState) string {
	rows := [][]string{{"NODE", "KIND", "OPERATOR", "STATE", "WHY", "USED", "FREE", "P95", "WRONG"}}
	for _, n := range nodes {
		free, p95, why := "-", "-", n.Why
		if n.Known {
			free = bytesText(n.Free)
		}
		if n.P95 > 0 {
			p95 = fmt.Sprintf("%.0f ms", n.P95)
		}
		if why != "" && n.Since > 0 {
			why += " " + ago(n.Since)
		}
		rows = append(rows, []string{n.Name, n.Kind, n.Operator, n.State, why, bytesText(n.Used), free, p95, fmt.Sprint(n.Wrong)})
	}
	return columns(rows)
}

// recoverableText is one line on what would come back, were this machine gone.
func recoverableText(r engine.Recoverable) string {
	parts := []string{"no root yet"}
	if r.Root > 0 {
		parts[0] = fmt.Sprintf("root %d on %d of %s, %s ago", r.Root, r.RootOn, count(int64(r.RootOf), "node"), ago(r.RootAge))
	}
	if r.Checkpoint {
		parts = append(parts, "checkpoint "+ago(r.CheckpointAge)+" ago")
	} else {
		parts = append(parts, "no checkpoint yet")
	}
	if !r.Kit.At.IsZero() {
		kit := "kit " + ago(time.Since(r.Kit.At).Seconds()) + " old"
		if r.Kit.Stale {
			kit += ", out of date"
		}
		parts = append(parts, kit)
	}
	if r.Rehearsed != nil {
		parts = append(parts, fmt.Sprintf("rehearsed %s ago in %s", ago(time.Since(r.Rehearsed.At).Seconds()), ago(r.Rehearsed.Took)))
	}
	for _, k := range r.Kept {
		if k.Bytes > 0 {
			parts = append(parts, fmt.Sprintf("kept: %s of %s ago", k.Name, ago(k.Age)))
		}
	}
	return "recovery: " + strings.Join(parts, " · ") + "\n"
}
