package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// history fills a store with some of everything and returns what must read:
// several log packs, deletes, a copy, a large object, and something staged only.
func (r *rig) history(t *testing.T) map[string][]byte {
	t.Helper()
	want := make(map[string][]byte)
	put := func(key string, data []byte) {
		must(t, r.put(key, data))
		want[key] = data
	}
	for round := range uint64(4) {
		for i := range uint64(3) {
			put(fmt.Sprint("k", i), content(10*round+i, 3000))
		}
		put(fmt.Sprint("r", round), content(round, 100))
		if round == 1 {
			put("big", content(7, 300<<10))
		}
		if round == 2 {
			must(t, r.Delete(t.Context(), keyOf("r0"), Condition{}))
			want["r0"] = nil
			_, err := r.Copy(t.Context(), Copy{From: keyOf("big"), To: keyOf("copy")})
			must(t, err)
			want["copy"] = want["big"]
			_, err = r.CreateAccess(t.Context(), "someone", []Grant{{Bucket: "*", Level: Read}})
			must(t, err)
		}
		must(t, r.Flush(t.Context()))
	}
	r.pass(soon)
	put("staged", content(8, 2000))
	must(t, r.Delete(t.Context(), keyOf("k2"), Condition{}))
	want["k2"] = nil
	return want
}

// holds fails unless exactly want reads.
func (r *rig) holds(t *testing.T, when string, want map[string][]byte) {
	t.Helper()
	n := 0
	for key, data := range want {
		if got, err := r.get(key); !same(got, err, data) {
			t.Errorf("%s: %s is %d bytes, %v; want %d", when, key, len(got), err, len(data))
		}
		if data != nil {
			n++
		}
	}
	l, err := r.List(t.Context(), ListRequest{Bucket: "bbb", Max: 1000})
	if err != nil || len(l.Objects) != n {
		t.Errorf("%s: %d objects are listed, %v; want %d", when, len(l.Objects), err, n)
	}
}

// The index alone is lost or rots: it is made again from stage and nodes without
// anybody's help, also with as many nodes away as the coding allows.
func TestHazardC15(t *testing.T) {
	lose := func(t *testing.T, r *rig) { must(t, index.Destroy(r.fs, indexDir())) }
	rot := func(suffix string) func(*testing.T, *rig) {
		return func(t *testing.T, r *rig) {
			names, err := r.fs.List(indexDir())
			must(t, err)
			hit := 0
			for _, n := range names {
				if strings.Contains(n, suffix) {
					size, err := r.fs.Size(indexDir() + "/" + n)
					must(t, err)
					for off := int64(0); off < size; off += 97 {
						flip(t, r.fs, indexDir()+"/"+n, off)
					}
					hit++
				}
			}
			if hit == 0 {
				t.Fatalf("no file of the index is called %s", suffix)
			}
		}
	}
	cases := map[string]struct {
		harm func(*testing.T, *rig)
		away int
	}{
		"lost":                  {lose, 0},
		"lost, two nodes away":  {lose, 2},
		"its tables rot":        {rot(".sst"), 0},
		"its manifest rots":     {rot("MANIFEST"), 1},
		"half of it is missing": {func(t *testing.T, r *rig) { must(t, r.fs.Remove(indexDir()+"/"+first(t, r, ".sst"))) }, 0},
	}
	for what, c := range cases {
		simulated(t, 5, func(c *Config) { c.Coding, c.Settle = "3+2", releaseTick }, func(t *testing.T, r *rig) {
			want := r.history(t)
			before, err := r.Status(t.Context())
			must(t, err)
			r.close()
			c.harm(t, r)
			r.down(c.away)
			r.open()
			for key := range want { // rot may be met only when it is read
				if _, err := r.get(key); errors.Is(err, cairn.ErrUnavailable) {
					r.reopen()
					break
				}
			}
			r.holds(t, what, want)
			if as, err := r.Accesses(t.Context()); err != nil || len(as) != 1 {
				t.Errorf("%s: %d access keys, %v", what, len(as), err)
			}
			after, err := r.Status(t.Context())
			must(t, err)
			if after.Objects != before.Objects || after.Bytes != before.Bytes || after.Packs < before.Packs {
				t.Errorf("%s: figures were %+v and are %+v", what, before, after)
			}
			must(t, r.put("later", content(1, 100)))
			want["later"] = content(1, 100)
			r.down(0)
			r.reopen()
			r.holds(t, what+", then a restart", want)
		})
	}
}

// first is the name of a file of the index.
func first(t *testing.T, r *rig, suffix string) string {
	t.Helper()
	names, err := r.fs.List(indexDir())
	must(t, err)
	for _, n := range names {
		if strings.HasSuffix(n, suffix) {
			return n
		}
	}
	t.Fatalf("no %s in the index", suffix)
	return ""
}

// A log pack or a pack that records name is on no node that answers: the store
// refuses, says which, and goes on when the node is back. Nothing is taken for
// deleted meanwhile.
func TestHazardC15Hole(t *testing.T) {
	for _, kind := range []pack.Kind{pack.Log, pack.Data} {
		simulated(t, 3, func(c *Config) { c.Coding, c.Settle = "1+0", releaseTick }, func(t *testing.T, r *rig) {
			r.close()
			away := r.addNode(3) // holds nothing, but who knows
			r.open()
			away.State = "draining"
			must(t, r.SetNode(t.Context(), away.Node))
			want := r.history(t)
			var hidden cairn.PackID
			var names string
			for id, s := range r.survey() {
				if s.Kind == kind && (kind == pack.Data || s.Number == 3) {
					hidden, names = id, map[pack.Kind]string{pack.Log: "log pack 3", pack.Data: id.String()}[kind]
				}
			}
			l := r.shards()[hidden][0]
			holder, name := r.nodes[l.Node[0]-1].mem, layout.Path(l.Name(hidden))
			b, _ := holder.Bytes(name)
			r.close()
			must(t, index.Destroy(r.fs, indexDir()))
			must(t, holder.Delete(t.Context(), name))
			away.faulty.SetDown(true)
			for range 2 {
				if err := r.tryOpen(); !errors.Is(err, cairn.ErrUnavailable) || !strings.Contains(err.Error(), names) {
					t.Fatalf("%v: %v, want one that names %s", kind, err, names)
				}
			}
			holder.SetBytes(name, b)
			r.down(0)
			r.open()
			r.holds(t, kind.String(), want)
		})
	}
}

// gone are nodes on which a pack moves away under a reader.
type gone struct {
	Nodes
	once  atomic.Bool
	moves func()
}

func (g *gone) Read(ctx context.Context, p pack.Params, at []cairn.Location, off uint64, b []byte, ahead int) error {
	if g.once.CompareAndSwap(false, true) {
		g.moves()
	}
	return g.Nodes.Read(ctx, p, at, off, b, ahead)
}

// A read that meets "not found" because the shards just moved looks again where
// they are; one that finds them nowhere says so, and asks no third time.
func TestHazardC17(t *testing.T) {
	simulated(t, 3, nil, func(t *testing.T, r *rig) {
		g := &gone{}
		g.once.Store(true)
		r.close()
		r.tune = func(c *Config) {
			g.Nodes = c.Nodes
			c.PackSize, c.Coding, c.Settle, c.Nodes = minPack, "1+1", releaseTick, g
		}
		r.open()
		must(t, r.put("x", content(1, 2000)))
		must(t, r.Flush(t.Context()))
		r.pass(soon)
		id := r.packsOf("x")[0]
		g.moves = func() { // every shard gets a new name on its node, as a repair would give
			must(t, r.idx.UpdatePack(id, func(row *index.PackRow) error {
				for i, l := range row.At {
					l.Write++
					row.At[i] = l
				}
				return nil
			}))
			for _, n := range r.nodes {
				for _, name := range n.mem.Names() {
					s, err := layout.ParsePath(name)
					if err != nil || s.Pack != id {
						continue
					}
					b, _ := n.mem.Bytes(name)
					s.Write++
					n.mem.SetBytes(layout.Path(s), b)
					must(t, n.mem.Delete(t.Context(), name))
				}
			}
		}
		r.reopen()
		g.once.Store(false)
		r.want("x", content(1, 2000))
		r.reopen()
		for _, n := range r.nodes {
			for _, name := range n.mem.Names() {
				if s, err := layout.ParsePath(name); err == nil && s.Pack == id {
					must(t, n.mem.Delete(t.Context(), name))
				}
			}
		}
		if got, err := r.get("x"); err == nil {
			t.Errorf("an object of which no shard stands reads %d bytes", len(got))
		}
	})
}

// A reader of a version goes on reading it while the object is overwritten and
// deleted, its pack spread and the stage released under it.
func TestHazardC18(t *testing.T) {
	simulated(t, 3, settled, func(t *testing.T, r *rig) {
		const size = 30 * pack.FrameSize
		must(t, r.put("x", content(1, size)))
		must(t, r.put("s", content(2, 60_000)))
		_, large, err := r.Open(t.Context(), keyOf("x"))
		must(t, err)
		_, small, err := r.Open(t.Context(), keyOf("s"))
		must(t, err)
		rd, err := large.Range(t.Context(), 0, size)
		must(t, err)
		pinned := r.acquire(r.packsOf("s")[0])
		must(t, r.put("x", content(3, 100)))
		must(t, r.Delete(t.Context(), keyOf("s"), Condition{}))
		must(t, r.Flush(t.Context()))
		r.pass(soon)
		if n := len(stageFiles(t, r.fs)); n != 0 {
			t.Fatalf("%d stages are left", n)
		}
		b := make([]byte, 100)
		if err := pinned.file.ReadAt(b, 0); err != nil {
			t.Errorf("the file of a released stage is closed under its reader: %v", err)
		}
		r.release(pinned)
		if err := pinned.file.ReadAt(b, 0); err == nil {
			t.Error("the file of a released stage stays open without a reader")
		}
		got, err := io.ReadAll(rd)
		if !same(got, err, content(1, size)) {
			t.Errorf("the old version reads %d bytes, %v", len(got), err)
		}
		got, err = readRange(t.Context(), small, 0, 60_000)
		if !same(got, err, content(2, 60_000)) {
			t.Errorf("the deleted version reads %d bytes, %v", len(got), err)
		}
	})
}
