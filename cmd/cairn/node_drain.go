package main

import (
	"context"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
)

func nodeDrainVerb() verb {
	return verb{
		name: "node drain", args: "NAME", short: "move everything off a node, so that it may be removed",
		usage: `
The node takes no new shards from now on, and those there move to others: copied, each
proven and read back, or made again where the node does not answer. It ends with the words
"may be removed now", and cairn node remove does that. Cut off, a running gateway goes on
with it. To end it: cairn node set NAME --state ok.
` + workFlags + `

Exit status 6 when something is left, with why.`,
		try: `cairn node drain dora && cairn node remove dora`,
		run: runNodeDrain, again: "the node stays draining: the same command goes on, and a gateway that runs does by itself; cairn node set NAME --state ok ends it",
	}
}

func runNodeDrain(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	var w engine.Work
	workFlagsOf(f, &w)
	rest, err := f.parse(args, 1, 1)
	if err != nil {
		return err
	}
	w.Node = rest[0]
	return runWork(ctx, f, drainNode(), w)
}
