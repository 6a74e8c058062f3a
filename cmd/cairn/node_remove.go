package main

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
)

func nodeRemoveVerb() verb {
	return verb{
		name: "node remove", args: "NAME", short: "take a node out of the store",
		usage: `
  --force   also while shards stand on it: without, it says how many packs have a shard
            there and how many of them would be lost. The files stay there; added
            again, the same directory is the same node

First cairn node drain NAME, unless its disk is gone for good.`,
		try: `cairn node remove dora`,
		run: runNodeRemove,
	}
}

// removal is the argument of verbs that remove something.
type removal struct {
	Name  string `json:"name"`
	Force bool   `json:"force"`
}

func removeNode() operation[removal, engine.Removed] {
	return operation[removal, engine.Removed]{"node remove", func(ctx context.Context, e *engine.Engine, a removal, _ progress) (engine.Removed, error) {
		return e.RemoveNode(ctx, a.Name, a.Force)
	}}
}

func runNodeRemove(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	force := f.Bool("force", false, "")
	rest, err := f.parse(args, 1, 1)
	if err != nil {
		return err
	}
	out, err := removeNode().do(ctx, f, removal{rest[0], *force})
	if err != nil {
		return err
	}
	if f.json {
		return e.json(out)
	}
	what := fmt.Sprintf("Removed %s, which held no shards that count.", out.Name)
	if out.Bytes > 0 {
		what = fmt.Sprintf("Removed %s, which no pack needs; %s of packs that were retired stay on it.", out.Name, bytesText(out.Bytes))
	}
	if out.Weaker.Packs > 0 {
		what = fmt.Sprintf("Removed %s with %s of shards: %s lack one now, which repair makes again.", out.Name, bytesText(out.Bytes), count(out.Weaker.Packs, "pack"))
	}
	if out.Lost.Packs > 0 {
		what += fmt.Sprintf("  LOST: %s, %s; add the same node again to get them back.", count(out.Lost.Packs, "pack"), bytesText(out.Lost.Bytes))
	}
	printFleet(e, what, out.Fleet)
	return nil
}
