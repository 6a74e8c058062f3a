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
--full tells whether its bytes are right now.

  --empty   its disk was replaced by an empty one, which becomes this node; cairn rebuild
            NAME makes again what it held. Refuses where anything of a store lies there.
            Never for a disk that is only not mounted`,
		try: `cairn node reset dora && cairn scrub --node dora --full --repair`,
		run: runNodeReset,
	}
}

// reset is what node reset is asked for.
type reset struct {
	named
	Empty bool `json:"empty"`
}

func resetNode() operation[reset, engine.NodeState] {
	return operation[reset, engine.NodeState]{"node reset", func(ctx context.Context, e *engine.Engine, a reset, _ progress) (engine.NodeState, error) {
		return e.ResetNode(ctx, a.Name, a.Empty)
	}}
}

func runNodeReset(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	empty := f.Bool("empty", false, "")
	rest, err := f.parse(args, 1, 1)
	if err != nil {
		return err
	}
	out, err := resetNode().do(ctx, f, reset{named{rest[0]}, *empty})
	if err != nil {
		return err
	}
	if f.json {
		return e.json(out)
	}
	if *empty {
		e.printf("The empty directory is %s now.  Next: cairn rebuild %s\n%s", out.Name, out.Name, nodesTable([]engine.NodeState{out}))
		return nil
	}
	e.printf("Nothing is held against %s any more.  Next: cairn scrub --node %s --full --repair\n%s", out.Name, out.Name, nodesTable([]engine.NodeState{out}))
	return nil
}
