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
  --force   also while shards stand on it: they count as lost then. The files stay
            there; added again, the same directory is the same node`,
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
	what := fmt.Sprintf("Removed %s, which held no shards.", out.Name)
	if out.Bytes > 0 {
		what = fmt.Sprintf("Removed %s with %s of shards, which count as lost.", out.Name, bytesText(out.Bytes))
	}
	printFleet(e, what, out.Fleet)
	return nil
}
