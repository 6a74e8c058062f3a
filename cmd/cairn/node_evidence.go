package main

import (
	"context"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/fleet"
)

func nodeEvidenceVerb() verb {
	return verb{
		name: "node evidence", args: "NAME", short: "what a node sent that was not what it was given",
		usage: `
The newest first, at most 1,000: file, block, the hash that was signed and the hash of what
came. Confirmed means that the same came again over a second connection. Send it to the
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
	for _, x := range out.Evidence {
		part := x.Part
		if part == "block" {
			part = fmt.Sprintf("block %d", x.Block)
		}
		rows = append(rows, []string{x.When.Local().Format(time.DateTime), x.File, part, hashText(x.Expected), hashText(x.Got), yesNo(x.Confirmed)})
	}
	e.printf("%s", columns(rows))
	return nil
}

// hashText is the beginning of a hash: --json has all of it.
func hashText(s string) string {
	if len(s) > 16 {
		return s[:16]
	}
	return orDash(s)
}
