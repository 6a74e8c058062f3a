package main

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/demo"
)

func demoVerb() verb {
	return verb{
		name: "demo", short: "a whole cairn on this machine: kill nodes, make them lie, read everything",
		usage: `
  --nodes N         so many SFTP nodes, each of an operator of its own (7)
  --coding K+M      any K shards give a pack back, any M nodes may fail (4+3)
  --dir DIR         keep everything there, and go on with it the next time; without it
                    nothing stays
  --json            one line of JSON when it is ready and one for each command; it runs
                    until quit or SIGTERM, also when its input ends

Commands, on lines or separated by ";"
  load [N]          put N objects of the sizes of a Nix cache, 50 at a time (2,000)
  verify            read everything that load ever put and compare every byte
  kill N            node N is gone, as a machine without power
  lie N [percent]   node N flips bits in that share of its replies (100)
  slow N ms         node N takes so long for each operation
  revive N          node N behaves well again
  flush, status, help, quit

It is the real gateway with real nodes, on free ports of 127.0.0.1. It reads no
cairn.toml. Its log is demo.log in its directory.`,
		try: `cairn demo
echo 'load; kill 3; kill 6; lie 2; verify' | cairn demo`,
		run: runDemo,
	}
}

func runDemo(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	nodes := f.Int("nodes", 0, "")
	coding := f.String("coding", "", "")
	delay := f.Duration("sync-delay", 0, "") // for tests: added to each fsync of the gateway
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	for _, name := range []string{"config", "log"} {
		if f.given(name) {
			return usageError(v, "cairn demo does not take --%s", name)
		}
	}
	for name, empty := range map[string]bool{"nodes": *nodes == 0, "dir": f.dir == "", "coding": *coding == ""} {
		if f.given(name) && empty {
			return usageError(v, "--%s is empty", name)
		}
	}
	c := demo.Config{JSON: f.json, Dir: f.dir, Nodes: *nodes, SyncDelay: *delay, Terminal: e.person && !f.json, Alone: e.process, In: e.in, Out: e.out, Err: e.err}
	if *coding != "" {
		var err error
		if c.Coding, err = cairn.ParseCoding(*coding); err != nil {
			return fmt.Errorf("--coding: %w", err)
		}
	}
	return demo.Run(ctx, c)
}
