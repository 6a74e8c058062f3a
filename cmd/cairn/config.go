package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
)

func configCheckVerb() verb {
	return verb{
		name: "config check", short: "whether cairn.toml can work",
		usage: `
  --nodes   also whether the store has nodes enough for store.coding`,
		try: `cairn config check --config ./cairn.toml`,
		run: runConfigCheck,
	}
}

func configShowVerb() verb {
	return verb{
		name: "config show", short: "every setting with its value; secrets are file names",
		try: `cairn config show`,
		run: runConfigShow,
	}
}

func runConfigCheck(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	nodes := f.Bool("nodes", false, "")
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	c, err := f.settings()
	if err != nil {
		return err
	}
	if err := c.CheckSecrets(); err != nil {
		return manyErrors{err}
	}
	if *nodes {
		if _, err := nodesFor().do(ctx, f, wanted{c.Store.Coding.String()}); err != nil {
			return err
		}
	}
	if f.json {
		return e.json(map[string]bool{"ok": true})
	}
	e.printf("ok\n")
	return nil
}

// wanted is a coding.
type wanted struct {
	Coding string `json:"coding"`
}

// nodesFor checks that there are nodes enough for a coding.
func nodesFor() operation[wanted, engine.FleetReport] {
	return operation[wanted, engine.FleetReport]{"config check", func(ctx context.Context, e *engine.Engine, a wanted, _ progress) (engine.FleetReport, error) {
		e.Look(ctx)
		nodes, report := e.Nodes(), e.FleetReport()
		if a.Coding == "auto" {
			if len(nodes) == 0 {
				return report, fmt.Errorf("no nodes yet: objects live on this disk only; `cairn node add`: %w", cairn.ErrUnavailable)
			}
			return report, nil
		}
		want, err := cairn.ParseCoding(a.Coding)
		if err != nil {
			return report, err
		}
		ok := 0
		for _, n := range nodes {
			if n.State == "ok" {
				ok++
			}
		}
		if ok < want.N() {
			return report, fmt.Errorf("store.coding %v needs %d nodes and %d take shards; packs are coded %s until there are more: add nodes, or set coding = \"auto\": %w",
				want, want.N(), ok, orDash(report.Coding), cairn.ErrUnavailable)
		}
		return report, nil
	}}
}

func runConfigShow(_ context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	c, err := f.settings()
	if err != nil {
		return err
	}
	if f.json {
		var b strings.Builder
		if err := c.Show(&b); err != nil {
			return err
		}
		return e.json(map[string]string{"toml": b.String()})
	}
	return c.Show(e.out)
}

// absolute is a file name that was typed, in full.
func absolute(name string) (string, error) {
	full, err := filepath.Abs(name)
	if err != nil {
		return "", fmt.Errorf("%s: %w: %w", name, err, cairn.ErrInvalid)
	}
	return full, nil
}
