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

func purgeVerb() verb {
	return verb{
		name: "purge", args: "BUCKET/KEY", short: "a secret leaked into the store: its bytes go from every node, now",
		usage: `
The object is deleted, the others in its packs are written anew, and the packs go from all
nodes at once, without the day's grace. It prints node by node who confirmed. Not found by
it: earlier versions of the key, copies under other keys (they are named), and what an
operator's node keeps in its trash or in snapshots. A node that does not answer is asked
again by itself; the secret counts as leaked all the same: change it.

  --yes             do not ask
  --bwlimit RATE    write the others no faster than this, such as 8M, or a timetable
                    "08:00,1M 23:00,off"; nodes' traffic and hours do not hold it up
  --dry-run         say in which packs and on which nodes the bytes lie, and do nothing

Exit status 6 when a node has not confirmed.`,
		try: `cairn purge cache/etc/secret.env`,
		run: runPurge, again: "the same command goes on with it, also when the object is gone by then",
	}
}

// purging is what purge is asked for.
type purging struct {
	Name    string         `json:"name"`
	Bwlimit config.Bwlimit `json:"bwlimit"`
}

func purgeObject() operation[purging, store.Purged] {
	return operation[purging, store.Purged]{"purge", func(ctx context.Context, e *engine.Engine, a purging, report progress) (store.Purged, error) {
		k, err := keyOf(a.Name)
		if err != nil {
			return store.Purged{}, err
		}
		e.LookAtStart(ctx)
		return e.Purge(ctx, k, a.Bwlimit, report)
	}}
}

// keyOf reads BUCKET/KEY.
func keyOf(name string) (k cairn.Key, err error) {
	k.Bucket, k.Object, _ = strings.Cut(name, "/")
	return k, k.Check()
}

func runPurge(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	yes := f.Bool("yes", false, "")
	dry := f.Bool("dry-run", false, "")
	var limit config.Bwlimit
	f.Func("bwlimit", "", func(s string) (err error) { limit, err = config.ParseBwlimit(s); return err })
	rest, err := f.parse(args, 1, 1)
	if err != nil {
		return err
	}
	if _, err := keyOf(rest[0]); err != nil {
		return err
	}
	if *dry {
		return dryPurge(ctx, f, rest[0])
	}
	if !*yes && !e.ask(ctx, fmt.Sprintf("%s is deleted for good, from every node, without any grace.  Go on?", rest[0])) {
		return fmt.Errorf("%s stays; --yes purges it without asking: %w", rest[0], cairn.ErrPrecondition)
	}
	out, err := purgeObject().do(ctx, f, purging{rest[0], limit})
	if err != nil {
		return err
	}
	if f.json {
		err = e.json(out)
	} else {
		e.printf("%s", purgeText(rest[0], out))
	}
	if err != nil {
		return err
	}
	return confirmed(out)
}

// dryPurge tells where the bytes lie.
func dryPurge(ctx context.Context, f *flags, name string) error {
	out, err := locateObject().do(ctx, f, named{name})
	if err != nil {
		return err
	}
	if f.json {
		return f.e.json(out)
	}
	nodes := make(map[string]bool)
	for _, p := range out.Packs {
		for _, s := range p.Shards {
			nodes[s.Node] = true
		}
	}
	f.e.printf("%s, %s, lies in %s on %s: those packs would go at once, and what else is in them would be written anew\n",
		out.Key, bytesText(out.Size), count(int64(len(out.Packs)), "pack"), count(int64(len(nodes)), "node"))
	return nil
}

// confirmed is nil when every node said that the files are gone.
func confirmed(p store.Purged) error {
	var silent []string
	for _, n := range p.Nodes {
		if n.Left > 0 {
			silent = append(silent, n.Name)
		}
	}
	if len(silent) == 0 {
		return nil
	}
	return fmt.Errorf("%s did not confirm yet; a running gateway asks again by itself: %w", strings.Join(silent, ", "), cairn.ErrUnavailable)
}

func purgeText(name string, p store.Purged) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is deleted, with %s; what else was in there (%s) was written anew.\n", name, count(int64(p.Packs), "pack"), bytesText(p.Moved))
	rows := [][]string{}
	for _, n := range p.Nodes {
		what := fmt.Sprintf("confirmed: %s gone", count(int64(n.Gone), "file"))
		if n.Left > 0 {
			what = fmt.Sprintf("NOT confirmed: %s left: %s", count(int64(n.Left), "file"), n.Why)
		}
		rows = append(rows, []string{"  " + n.Name, what})
	}
	b.WriteString(columns(rows))
	for _, k := range p.Copies {
		fmt.Fprintf(&b, "A copy of the same bytes is not purged: %v\n", k)
	}
	return b.String()
}
