package main

import (
	"context"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
)

func nodeResetVerb() verb {
	return verb{
		name: "node reset", args: "NAME", short: "forget what is held against a node",
		usage: `
For a node whose owner mended it: quarantine, suspicion, reputation and failures are
forgotten, and it is tried at once. The evidence against it stays; cairn scrub --node NAME
--full tells whether its bytes are right now.`,
		try: `cairn node reset dora && cairn scrub --node dora --full --repair`,
		run: runNodeReset,
	}
}

func resetNode() operation[named, engine.NodeState] {
	return operation[named, engine.NodeState]{"node reset", func(_ context.Context, e *engine.Engine, a named, _ progress) (engine.NodeState, error) {
		return e.ResetNode(a.Name)
	}}
}

func runNodeReset(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	rest, err := f.parse(args, 1, 1)
	if err != nil {
		return err
	}
	out, err := resetNode().do(ctx, f, named{rest[0]})
	if err != nil {
		return err
	}
	if f.json {
		return e.json(out)
	}
	e.printf("Nothing is held against %s any more.  Next: cairn scrub --node %s --full --repair\n%s", out.Name, out.Name, nodesTable([]engine.NodeState{out}))
	return nil
}
