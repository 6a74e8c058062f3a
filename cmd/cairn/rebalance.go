package main

import (
	"context"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
)

func rebalanceVerb() verb {
	return verb{
		name: "rebalance", short: "move shards until every node is as full as the others",
		usage: `
New packs go where there is room, so this is needed only where a node was added to full
ones and is to take its part at once. Packs that lack shards come first: cairn repair.
` + workFlags,
		try: `cairn rebalance --dry-run`,
		run: runRebalance, again: goesOn,
	}
}

func runRebalance(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	var w engine.Work
	workFlagsOf(f, &w)
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	return runWork(ctx, f, rebalanceNodes(), w)
}
