package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/internal/durable"
)

func keyKitVerb() verb {
	return verb{
		name: "key kit", short: "write the recovery kit: what an owner needs beside their identity",
		usage: `
  --out FILE   where to; replaced when it is there

The kit holds the nodes' addresses, host keys and credentials and where the store was last,
in one file that only owners open. It is no use to anybody else, so it may lie in a public
place; and the newest is the best. kit = PATH in cairn.toml has it rewritten by itself
whenever nodes or owners change.`,
		try: `cairn key kit --out ~/cairn-kit.age`,
		run: runKeyKit,
	}
}

func makeKit() operation[none, engine.Kit] {
	return operation[none, engine.Kit]{"key kit", func(ctx context.Context, e *engine.Engine, _ none, _ progress) (engine.Kit, error) {
		return e.MakeKit(ctx)
	}}
}

func runKeyKit(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	name := f.String("out", "", "")
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	if *name == "" {
		return usageError(v, "cairn key kit needs --out FILE")
	}
	to, err := absolute(*name)
	if err != nil {
		return err
	}
	out, err := makeKit().do(ctx, f, none{})
	if err != nil {
		return err
	}
	if err := durable.WriteFile(durable.OS(), filepath.Clean(to), out.Data); err != nil {
		return fmt.Errorf("write the kit: %w", err)
	}
	if f.json {
		return e.json(struct {
			File   string `json:"file"`
			Bytes  int    `json:"bytes"`
			Nodes  int    `json:"nodes"`
			Owners int    `json:"owners"`
			Root   uint64 `json:"root"`
		}{to, len(out.Data), out.Nodes, out.Owners, out.Root})
	}
	e.printf("%s: %s of root %d, for %s.  Keep it away from this machine; any owner's identity opens it.\n",
		to, count(int64(out.Nodes), "node"), out.Root, count(int64(out.Owners), "owner"))
	return nil
}
