package corrupt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
)

// indexBench harms one file of an index at rest. The index is a view: whatever
// happens to it, a second start at the latest has everything.
type indexBench struct {
	*worlds
	w     *world
	names []string
}

func openIndex(t *testing.T, w *worlds) bench {
	b := &indexBench{worlds: w, w: w.spread()}
	names, err := b.w.disk.List(filepath.Join(dir, "index"))
	must(t, err)
	for _, n := range names {
		if size, err := b.w.disk.Size(filepath.Join(dir, "index", n)); err == nil && size > 0 {
			b.names = append(b.names, n)
		}
	}
	if len(b.names) < 3 {
		t.Fatalf("the index has files %v", names)
	}
	return b
}

// indexClass is what kind of file of the engine name is.
func indexClass(name string) string {
	if ext := filepath.Ext(name); ext == ".sst" || ext == ".blob" || ext == ".log" {
		return ext[1:]
	}
	kind, _, _ := strings.Cut(name, "-")
	kind, _, _ = strings.Cut(kind, ".")
	return strings.ToLower(kind)
}

func (b *indexBench) do(t *testing.T, r *rand.Rand) (o outcome) {
	name := b.names[r.IntN(len(b.names))]
	full := filepath.Join(dir, "index", name)
	disk := b.w.copyOf()
	data, err := contentOf(disk, full)
	if err != nil {
		o.err = err
		return o
	}
	other, err := contentOf(disk, filepath.Join(dir, "index", b.names[r.IntN(len(b.names))]))
	if err != nil {
		o.err = err
		return o
	}
	s := span{indexClass(name), 0, len(data)}
	if r.IntN(3) == 0 { // where an engine's files say what the rest is
		s = span{s.class + " end", max(0, len(data)-64), len(data)}
	}
	c := alter(r, data, s, [][]byte{other})
	o.class, o.what, o.result = c.class, name+": "+c.how, exact
	if o.err = replace(disk, full, c.data); o.err != nil {
		return o
	}
	o.err = startTwice(t, b.worlds, b.w, disk, newBoxes(b.w.boxes), &o)
	return o
}

// startTwice starts a gateway, reads, and starts it again: after that at the
// latest everything must be exact.
func startTwice(t *testing.T, ws *worlds, w *world, disk *durable.Mem, boxes boxes, o *outcome) error {
	var said alarms
	for start := range 2 {
		g, err := ws.open(t.Context(), disk, &reach{boxes: boxes}, cache.Config{MemoryBytes: 1 << 20, Log: slog.New(&said)})
		if err != nil {
			if !known(err) || start == 1 {
				return fmt.Errorf("start %d: %w", start+1, err)
			}
			o.result = failed
			continue
		}
		got := readAll(t.Context(), g.Store, w)
		if err := g.close(t.Context()); err != nil && !known(err) {
			return fmt.Errorf("close: %w", err)
		}
		switch {
		case got.wrong != nil:
			return got.wrong
		case len(got.stale) > 0:
			return fmt.Errorf("start %d: %w", start+1, got.say())
		case got.fine():
			if o.result == exact && said.Load() > 0 {
				o.result = noticed
			}
			return nil
		case start == 1:
			return fmt.Errorf("after two starts: %w", got.say())
		}
		o.result = failed
	}
	return errors.New("two starts failed")
}

// alarms counts what the product says at level Error.
type alarms struct{ atomic.Int64 }

func (a *alarms) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }
func (a *alarms) WithAttrs([]slog.Attr) slog.Handler           { return a }
func (a *alarms) WithGroup(string) slog.Handler                { return a }

// Handle counts.
func (a *alarms) Handle(context.Context, slog.Record) error {
	a.Add(1)
	return nil
}

// rebuildBench takes the index away and harms up to m shards of each pack: the
// index must be made again from what is left.
type rebuildBench struct {
	*worlds
	w     *world
	packs []spreadPack
}

func openRebuild(t *testing.T, w *worlds) bench {
	return &rebuildBench{w, w.spread(), spreadPacks(t, w.house, newBoxes(w.spread().boxes))}
}

func (b *rebuildBench) do(t *testing.T, r *rand.Rand) (o outcome) {
	o.class, o.result = "shards, and the index lost", exact
	boxes := newBoxes(b.w.boxes)
	var what []string
	for _, p := range b.packs {
		for _, i := range r.Perm(len(p.at))[:r.IntN(lossy+1)] {
			l := p.at[i]
			name := layout.Path(l.Name(p.ID))
			data, _ := boxes[l.Node[0]-1].Bytes(name)
			q := b.packs[r.IntN(len(b.packs))].at[i]
			other, _ := boxes[q.Node[0]-1].Bytes(layout.Path(q.Name(p.ID)))
			c := alter(r, data, pick(r, shardSpans(p.Params)), [][]byte{other})
			boxes[l.Node[0]-1].SetBytes(name, c.data)
			what = append(what, fmt.Sprintf("%s on n%d: %s: %s", name, l.Node[0]-1, c.class, c.how))
		}
	}
	o.what = strings.Join(what, "; ")
	disk := b.w.copyOf()
	if o.err = disk.VFS().RemoveAll(filepath.Join(dir, "index")); o.err != nil {
		return o
	}
	o.err = startTwice(t, b.worlds, b.w, disk, boxes, &o)
	return o
}
