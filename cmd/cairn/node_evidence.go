package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/fleet"
)

func nodeEvidenceVerb() verb {
	return verb{
		name: "node evidence", args: "NAME", short: "what a node sent that was not what it was given",
		usage: `
Confirmed ones first, then the newest; 20, with --json all that are kept, at most 1,000: file,
block, the hash that was signed and the hash of what came. Confirmed means that wrong bytes
came again over a second connection, which is tried until the node is quarantined. Send it to the
node's owner: with the file in hand anybody can check it.`,
		try: `cairn node evidence dora --json`,
		run: runNodeEvidence,
	}
}

// evidence is what a node sent.
type evidence struct {
	Node     string           `json:"node"`
	Evidence []fleet.Evidence `json:"evidence"`
}

func nodeEvidence() operation[named, evidence] {
	return operation[named, evidence]{"node evidence", func(_ context.Context, e *engine.Engine, a named, _ progress) (evidence, error) {
		out, err := e.Evidence(a.Name)
		return evidence{a.Name, out}, err
	}}
}

func runNodeEvidence(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	rest, err := f.parse(args, 1, 1)
	if err != nil {
		return err
	}
	out, err := nodeEvidence().do(ctx, f, named{rest[0]})
	if err != nil {
		return err
	}
	if f.json {
		return e.json(out)
	}
	if len(out.Evidence) == 0 {
		e.printf("%s never sent wrong bytes, as far as is remembered\n", out.Node)
		return nil
	}
	rows := [][]string{{"WHEN", "FILE", "PART", "EXPECTED", "GOT", "CONFIRMED"}}
	confirmed := int64(0)
	for _, x := range out.Evidence {
		if x.Confirmed {
			confirmed++
		}
	}
	for _, x := range shownOf(out.Evidence) {
		part := x.Part
		if part == "block" {
			part = fmt.Sprintf("block %d", x.Block)
		}
		rows = append(rows, []string{x.When.Local().Format(time.DateTime), x.File, part, hashText(x.Expected), hashText(x.Got), confirmedText(x.Confirmed)})
	}
	e.printf("%s", columns(rows))
	e.printf("%s of wrong bytes, %d of them read again over a second connection, and wrong again", count(int64(len(out.Evidence)), "piece"), confirmed)
	if more := len(out.Evidence) - evidenceShown; more > 0 {
		e.printf("; %s not shown: --json has them", count(int64(more), ""))
	}
	e.printf("\n")
	return nil
}

// evidenceShown is how many pieces a person is shown.
const evidenceShown = 20

// shownOf is what a person is shown: the confirmed ones, which are what the
// node's state stands on, then the newest.
func shownOf(all []fleet.Evidence) []fleet.Evidence {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b fleet.Evidence) int {
		switch {
		case a.Confirmed == b.Confirmed:
			return 0
		case a.Confirmed:
			return -1
		}
		return 1
	})
	return all[:min(len(all), evidenceShown)]
}

// confirmedText leaves out that one look was enough: after a node is
// quarantined nothing is read twice.
func confirmedText(yes bool) string {
	if yes {
		return "yes"
	}
	return "-"
}

// hashText is the beginning of a hash: --json has all of it.
func hashText(s string) string {
	if len(s) > 16 {
		return s[:16]
	}
	return orDash(s)
}
