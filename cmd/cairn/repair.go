package main

import (
	"context"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
)

func repairVerb() verb {
	return verb{
		name: "repair", short: "make missing shards again now, the worst packs first",
		usage: `
A running gateway repairs by itself: at once when a pack has k+1 or fewer good shards, else
when a node was away for a day (repair.after). This does not wait: every shard counts as
missing that is on a node which does not answer, is quarantined or was given up.
With nowhere to put a shard it says so: add a node.

  --node NAME       only packs with a shard on this node` + workFlags,
		try: `
cairn repair --dry-run
cairn repair --bwlimit 4M`,
		run: runRepair, again: goesOn,
	}
}

func runRepair(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	var w engine.Work
	f.StringVar(&w.Node, "node", "", "")
	workFlagsOf(f, &w)
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	return runWork(ctx, f, repairStore(), w)
}
