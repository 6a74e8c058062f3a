package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/store"
)

func compactVerb() verb {
	return verb{
		name: "compact", short: "write what is left of half-empty packs anew, and free the rest",
		usage: `
A running gateway does this by itself, each hour, and at once when the nodes are full. What
is emptied goes from the nodes a day after every node knows that it is retired, so that no
older state of the store can miss it.

  --below P         packs of which less than this is live: 0.5 or 50% (50%)` + workFlags,
		try: `cairn compact --below 80% --dry-run`,
		run: runCompact, again: goesOn,
	}
}

func recodeVerb() verb {
	return verb{
		name: "recode", short: "write every pack anew that is not coded as new ones are",
		usage: `
With coding = "auto" a running gateway does this by itself when more nodes allow a better
coding.

  --to K+M|auto     make this the store's coding first` + workFlags,
		try: `
cairn recode --dry-run
cairn recode --to 4+3 --bwlimit 8M`,
		run: runRecode, again: goesOn,
	}
}

func compactStore() operation[engine.Compacting, engine.CompactReport] {
	return operation[engine.Compacting, engine.CompactReport]{"compact", func(ctx context.Context, e *engine.Engine, c engine.Compacting, report progress) (engine.CompactReport, error) {
		e.LookAtStart(ctx)
		return e.Compact(ctx, c, report)
	}}
}

func recodeStore() operation[engine.Compacting, engine.CompactReport] {
	return operation[engine.Compacting, engine.CompactReport]{"recode", func(ctx context.Context, e *engine.Engine, c engine.Compacting, report progress) (engine.CompactReport, error) {
		e.LookAtStart(ctx)
		return e.Recode(ctx, c, report)
	}}
}

func compactFlags(f *flags, c *engine.Compacting) {
	f.BoolVar(&c.DryRun, "dry-run", false, "")
	f.Func("bwlimit", "", func(s string) (err error) {
		c.Bwlimit, err = config.ParseBwlimit(s)
		return err
	})
}

func runCompact(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	c := engine.Compacting{Below: 0.5}
	f.Func("below", "", func(s string) (err error) { c.Below, err = parseShare(s); return err })
	compactFlags(f, &c)
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	return runCompacting(ctx, f, compactStore(), c)
}

func runRecode(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	var c engine.Compacting
	f.StringVar(&c.To, "to", "", "")
	compactFlags(f, &c)
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	if f.given("to") && c.To != "auto" {
		if _, err := cairn.ParseCoding(c.To); err != nil {
			return usageError(v, "--to: %v", err)
		}
	}
	return runCompacting(ctx, f, recodeStore(), c)
}

func runCompacting(ctx context.Context, f *flags, op operation[engine.Compacting, engine.CompactReport], c engine.Compacting) error {
	out, err := op.do(ctx, f, c)
	if err != nil {
		return err
	}
	if f.json {
		return f.e.json(out)
	}
	f.e.printf("%s", compactText(out))
	return nil
}

// compactText is what compact or recode came to.
func compactText(r engine.CompactReport) string {
	var b strings.Builder
	switch {
	case r.DryRun:
		fmt.Fprintf(&b, "%s would be written anew, %s live, coded %s\n", count(int64(r.Of), "pack"), bytesText(r.LiveOf), orDash(r.Coding))
	case r.Of == 0:
		b.WriteString("nothing to write anew\n")
	default:
		fmt.Fprintf(&b, "%s of %s written anew, %s live, into %s coded %s, in %s\n", number(int64(r.Packs)), count(int64(r.Of), "pack"), bytesText(r.Live),
			count(int64(r.Made), "pack"), orDash(r.Coding), ago(r.Took))
	}
	if r.Waiting > 0 {
		fmt.Fprintf(&b, "%s wait for uploads in progress that lie in them\n", count(int64(r.Waiting), "pack"))
	}
	if r.Dear > 0 {
		fmt.Fprintf(&b, "%s left as they are: their nodes have no traffic left for it this month\n", count(int64(r.Dear), "pack"))
	}
	b.WriteString(doomedText(r.Doomed))
	return b.String()
}

// doomedText says what still takes room on nodes, and for how long.
func doomedText(d store.Doomed) string {
	if d.Packs == 0 {
		return ""
	}
	are := "are"
	if d.Packs == 1 {
		are = "is"
	}
	text := fmt.Sprintf("%s, %s on nodes, %s needed no more", count(int64(d.Packs), "pack"), bytesText(d.Bytes), are)
	switch {
	case d.Next > 0:
		text += fmt.Sprintf(": the first go in about %s", ago(d.Next))
	case d.Rootless > 0:
		text += ": they go a day after every node knows, which the next checkpoint tells"
	}
	return text + "\n"
}

func number(n int64) string {
	text, _, _ := strings.Cut(count(n, "x"), " ")
	return text
}
