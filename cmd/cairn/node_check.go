package main

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
)

func nodeCheckVerb() verb {
	return verb{
		name: "node check", args: "NAME", short: "measure a node and hold it to the contract, live",
		usage: `
  --mark    its cairn.json is missing, and its disk is mounted: somebody looked. Writes the
            file again where this store's keys and the shards recorded there prove that it is
            this node; refuses where nothing lies there, or what is another's
Works in tmp/ of the node and leaves no file there. Exit status 6 when the node does not
answer or shows no marker, 5 when it does not keep a promise.`,
		try: `cairn node check carol`,
		run: runNodeCheck,
	}
}

// named is the argument of verbs that need a name only.
type named struct {
	Name string `json:"name"`
}

// checking is what node check is asked for.
type checking struct {
	named
	Mark bool `json:"mark"`
}

func checkNode() operation[checking, engine.NodeReport] {
	return operation[checking, engine.NodeReport]{"node check", func(ctx context.Context, e *engine.Engine, a checking, report progress) (engine.NodeReport, error) {
		return e.CheckNode(ctx, a.Name, a.Mark, report.text)
	}}
}

func runNodeCheck(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	mark := f.Bool("mark", false, "")
	rest, err := f.parse(args, 1, 1)
	if err != nil {
		return err
	}
	out, err := checkNode().do(ctx, f, checking{named{rest[0]}, *mark})
	if err != nil {
		return err
	}
	if f.json {
		if err := e.json(out); err != nil {
			return err
		}
	} else {
		e.printf("%s  %s\n", out.Name, out.Remote)
		if out.Marked != "" {
			e.printf("  marker     cairn.json was missing and is written again: %s\n", out.Marked)
		}
		printMeasured(e, out)
	}
	switch passed := out.Passed(); {
	case passed == out.Of:
		return nil
	case len(out.Checks) < out.Of:
		return fmt.Errorf("node %s: only %d of %d checks could be made: %w", out.Name, len(out.Checks), out.Of, cairn.ErrUnavailable)
	default:
		return fmt.Errorf("node %s keeps %d of %d promises: %w", out.Name, passed, out.Of, cairn.ErrCorrupt)
	}
}
