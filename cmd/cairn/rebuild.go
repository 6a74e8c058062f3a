package main

import (
	"context"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
)

func rebuildVerb() verb {
	return verb{
		name: "rebuild", args: "NODE", short: "make everything again that should be on a node and is not",
		usage: `
For a node whose disk was wiped, replaced or restored: each shard that should be there is
looked at, and made again where it does not verify. What verifies stays.

  --full            read every byte of those that are there` + workFlags,
		try: `cairn rebuild dora`,
		run: runRebuild, again: goesOn,
	}
}

func runRebuild(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	var w engine.Work
	f.BoolVar(&w.Full, "full", false, "")
	workFlagsOf(f, &w)
	rest, err := f.parse(args, 1, 1)
	if err != nil {
		return err
	}
	w.Node = rest[0]
	return runWork(ctx, f, rebuildNode(), w)
}
