package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/index"
)

// eon is the grace of these tests: simulated time costs some of the real one.
const eon = 12 * time.Minute

// collecting runs f over a store that keeps roots and releases soon.
func collecting(t *testing.T, n int, coding string, f func(*testing.T, *rig, *rootFile)) {
	tune, roots := rooted(coding)
	simulated(t, n, func(c *Config) { tune(c); c.Settle, c.Grace, c.CheckpointEvery = releaseTick, eon, 10000*time.Hour }, func(t *testing.T, r *rig) {
		f(t, r, roots)
		if r.Store != nil {
			r.booked()
		}
	})
}

// rest flushes and lets stages go.
func (r *rig) rest() {
	r.tb.Helper()
	must(r.tb, r.Flush(r.tb.Context()))
	r.pass(soon)
}

func (r *rig) collect() Collected {
	r.tb.Helper()
	out, err := r.Collect(r.tb.Context())
	must(r.tb, err)
	return out
}

// retireAll takes everything that is dead up to where only graces are left.
func (r *rig) retireAll() {
	r.tb.Helper()
	r.rest()
	r.collect() // marks
	r.rest()
	r.collect() // retires
	r.rest()
	r.checkpoint()
	r.rest()
	r.collect() // begins the grace
}

// fileCount is how many files of packs are on nodes.
func (r *rig) fileCount(ids ...cairn.PackID) (n int) {
	all := r.shards()
	for _, id := range ids {
		n += len(all[id])
	}
	return n
}

func (r *rig) packState(id cairn.PackID) string {
	row, err := r.Pack(id)
	if errors.Is(err, cairn.ErrNotExist) {
		return "dropped"
	}
	must(r.tb, err)
	return row.State.String()
}

// TestDeadPacksGo: bytes that nothing refers to leave the nodes after one grace,
// and nothing else does.
func TestDeadPacksGo(t *testing.T) {
	collecting(t, 3, "1+1", func(t *testing.T, r *rig, roots *rootFile) {
		must(t, r.put("a", content(1, tinyPack)))
		must(t, r.put("b", content(2, tinyPack)))
		r.rest()
		a, b := r.packsOf("a"), r.packsOf("b")
		r.checkpoint()
		must(t, r.Delete(t.Context(), keyOf("a"), Condition{}))
		if out := r.collect(); out.Dead != 1 || r.packState(a[0]) != "retiring" {
			t.Fatalf("%+v, pack is %v", out, r.packState(a[0]))
		}
		if out := r.collect(); out.Retired != 0 {
			t.Errorf("retired while the delete may still be taken back: %+v", out)
		}
		r.rest()
		if out := r.collect(); out.Retired != 1 || r.packState(a[0]) != "retired" {
			t.Fatalf("%+v, pack is %v", out, r.packState(a[0]))
		}
		r.pass(2 * eon)
		if out := r.collect(); out.Rootless != 1 || out.Deleted != 0 {
			t.Errorf("without a root: %+v", out)
		}
		r.rest()
		r.checkpoint()
		if out := r.collect(); out.InGrace != 1 || out.Next < 700 || out.Deleted != 0 {
			t.Errorf("in its grace: %+v", out)
		}
		r.pass(eon - 2*time.Minute)
		if n := r.fileCount(a...); n != 2 || r.packState(a[0]) != "retired" {
			t.Errorf("%d files, %v, before the grace was over", n, r.packState(a[0]))
		}
		r.pass(20 * time.Minute) // by itself
		if n := r.fileCount(a...); n != 0 || r.packState(a[0]) != "dropped" {
			t.Errorf("%d files are left of a pack that is %v", n, r.packState(a[0]))
		}
		r.booked()
		r.want("b", content(2, tinyPack))
		if n := r.fileCount(b...); n != 2 {
			t.Errorf("%d files of a live pack", n)
		}
		base := r.base(roots)
		r.burn()
		r.recover(base)
		r.want("b", content(2, tinyPack))
		r.wantErr("a", cairn.ErrNotExist)
		r.booked()
	})
}

// TestHazardA6H1: a copy keeps the bytes of a source that was deleted.
func TestHazardA6H1CopyKeepsBytes(t *testing.T) {
	collecting(t, 2, "1+1", func(t *testing.T, r *rig, _ *rootFile) {
		data := content(1, tinyPack)
		must(t, r.put("x", data))
		_, err := r.Copy(t.Context(), Copy{From: keyOf("x"), To: keyOf("y")})
		must(t, err)
		must(t, r.Delete(t.Context(), keyOf("x"), Condition{}))
		r.retireAll()
		r.pass(2 * eon)
		r.want("y", data)
		if out := r.collect(); out.Packs != 0 {
			t.Errorf("%+v", out)
		}
	})
}

// TestHazardA6H2: the parts of an upload that waits for days for its end, and the
// packs of a large write under way that left the stage, are nobody's object and
// stay.
func TestHazardA6H2PartsAndWritesUnderWayStay(t *testing.T) {
	collecting(t, 2, "1+1", func(t *testing.T, r *rig, _ *rootFile) {
		up, err := r.CreateUpload(t.Context(), Upload{Key: keyOf("x")})
		must(t, err)
		part := content(1, tinyPack+5)
		must(t, r.part("x", up.ID, 1, part))
		slow := r.upload("slow", -1)
		first := content(2, tinyPack)
		slow.give(first)
		slow.give([]byte("more"))
		r.retireAll()
		r.pass(3 * eon)
		_, err = r.complete("x", up.ID, part)
		must(t, err)
		must(t, slow.end(nil))
		r.retireAll()
		r.pass(2 * eon)
		r.want("x", part)
		r.want("slow", append(first, "more"...))
	})
}

// TestHazardC18ReadersPin: what a reader has begun it can read to its end, also
// when that takes longer than a grace; then it goes.
func TestHazardC18ReadersPin(t *testing.T) {
	collecting(t, 2, "1+1", func(t *testing.T, r *rig, _ *rootFile) {
		data := content(1, 3*tinyPack)
		must(t, r.put("x", data))
		r.rest()
		ids := r.packsOf("x")
		_, src, err := r.Open(t.Context(), keyOf("x"))
		must(t, err)
		must(t, r.Delete(t.Context(), keyOf("x"), Condition{}))
		for range 3 {
			r.retireAll()
			r.pass(2 * eon)
		}
		if got := r.packState(ids[0]); got != "retiring" {
			t.Errorf("a pack that a reader pins is %v", got)
		}
		got, err := readRange(t.Context(), src, 0, int64(len(data)))
		if err != nil || !slices.Equal(got, data) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		must(t, src.Close())
		r.retireAll()
		r.pass(2 * eon)
		if n := r.fileCount(ids...); n != 0 {
			t.Errorf("%d files are left after the reader closed", n)
		}
	})
}

// TestHazardA9H2: nothing is deleted while a node does not know that it is
// retired, nor while a kept root is from before.
func TestHazardA9H2RootsEverywhereFirst(t *testing.T) {
	collecting(t, 2, "1+1", func(t *testing.T, r *rig, roots *rootFile) {
		must(t, r.put("x", content(1, tinyPack)))
		r.rest()
		ids := r.packsOf("x")
		r.checkpoint()
		roots.set(8, 1+roots.count()) // one node sees no more of them
		must(t, r.Delete(t.Context(), keyOf("x"), Condition{}))
		r.retireAll()
		r.pass(5 * eon)
		if n := r.fileCount(ids...); n != 2 {
			t.Fatalf("%d files stand of a pack that a node thinks alive", n)
		}
		roots.set(8, 0)
		r.pass(eon / 2)
		if n := r.fileCount(ids...); n != 2 {
			t.Fatalf("%d files stand before the grace", n)
		}
		r.pass(3 * eon)
		if n := r.fileCount(ids...); n != 0 {
			t.Errorf("%d files are left", n)
		}
	})
}

// TestHazardA9H1: log packs go only below the lowest cut-off of all kept roots,
// and then recovery from any of them, or a scan, is whole.
func TestHazardA9H1LogPacksGoBelowTheCutOff(t *testing.T) {
	collecting(t, 2, "1+1", func(t *testing.T, r *rig, roots *rootFile) {
		must(t, r.put("x", content(1, 100)))
		r.rest()
		id := r.packsOf("x")[0] // a log pack
		r.checkpoint()
		must(t, r.Delete(t.Context(), keyOf("x"), Condition{}))
		must(t, r.put("y", content(2, 100)))
		r.retireAll()
		r.pass(2 * eon)
		if r.packState(id) == "dropped" {
			t.Fatalf("kept roots need log pack %v", id)
		}
		for i := range 9 { // the roots from before are kept no more
			must(t, r.put("z", content(uint64(i), 100)))
			r.rest()
			r.checkpoint()
		}
		r.retireAll()
		r.pass(2 * eon)
		if got := r.packState(id); got != "dropped" || r.fileCount(id) != 0 {
			t.Errorf("log pack is %v", got)
		}
		roots.mu.Lock()
		kept := slices.Clone(roots.roots[len(roots.roots)-8:])
		roots.mu.Unlock()
		for _, b := range kept {
			base := r.base(roots)
			base.CutOff, base.Runs, base.Life = b.CutOff, b.Runs, b.Life
			r.burn()
			r.recover(base)
			r.want("y", content(2, 100))
			r.wantErr("x", cairn.ErrNotExist)
			r.want("z", content(8, 100))
		}
	})
}

// TestCheckpointPacksGo: those of superseded checkpoints, when no kept root names
// them any more.
func TestCheckpointPacksGo(t *testing.T) {
	collecting(t, 2, "1+1", func(t *testing.T, r *rig, roots *rootFile) {
		for i := range 30 {
			must(t, r.put("k", content(uint64(i), 100)))
			r.rest()
			r.checkpoint()
		}
		for range 3 {
			r.retireAll()
			r.pass(2 * eon)
		}
		_, named, _ := roots.Kept()
		stand := 0
		for row, err := range r.idx.Packs(cairn.PackID{}) {
			must(t, err)
			if row.Kind.String() == "checkpoint" {
				stand++
				if !named[row.Params.ID] && row.State == index.Spread {
					t.Errorf("checkpoint pack %v is %v", row.Params.ID, row.State)
				}
			}
		}
		for id := range named {
			if r.fileCount(id) != 2 {
				t.Errorf("checkpoint pack %v, which a root names, has %d files", id, r.fileCount(id))
			}
		}
		if stand > len(named)+3 {
			t.Errorf("%d checkpoint packs are known, roots name %d", stand, len(named))
		}
	})
}

// onDeletes gives deletes of shards a fate.
func onDeletes(fate backendtest.Fate) backendtest.Choose {
	return func(op, name string, _ int) backendtest.Fate {
		if op == backends.OpDelete && strings.Contains(name, "packs/") {
			return fate
		}
		return backendtest.Works
	}
}

// TestDeletesThatFail: a node that fails, that works and says it failed, that
// lies, or is away: the row stays with what is not confirmed, and goes when it is.
func TestDeletesThatFail(t *testing.T) {
	for _, fate := range []backendtest.Fate{backendtest.Fails, backendtest.WorksButFails, backendtest.Lies, backendtest.Hangs} {
		t.Run(fate.String(), func(t *testing.T) {
			collecting(t, 3, "1+2", func(t *testing.T, r *rig, _ *rootFile) {
				must(t, r.put("x", content(1, tinyPack)))
				r.rest()
				ids := r.packsOf("x")
				must(t, r.Delete(t.Context(), keyOf("x"), Condition{}))
				r.retireAll()
				r.nodes[1].faulty.SetChoose(onDeletes(fate))
				r.pass(2 * eon)
				gone := fate == backendtest.WorksButFails
				if n := r.fileCount(ids...); n != map[bool]int{true: 0, false: 1}[gone] || gone != (r.packState(ids[0]) == "dropped") {
					t.Errorf("%d files stand, the pack is %v", n, r.packState(ids[0]))
				}
				r.booked()
				r.reopen()
				r.booked()
				r.nodes[1].faulty.SetChoose(nil)
				r.pass(2 * time.Hour)
				if n := r.fileCount(ids...); n != 0 || r.packState(ids[0]) != "dropped" {
					t.Errorf("%d files are left, the pack is %v", n, r.packState(ids[0]))
				}
			})
		})
	}
}

// TestNodeTakenOutIsNotWaitedFor: what stood there counts as gone.
func TestNodeTakenOutIsNotWaitedFor(t *testing.T) {
	collecting(t, 3, "1+2", func(t *testing.T, r *rig, _ *rootFile) {
		must(t, r.put("x", content(1, tinyPack)))
		r.rest()
		ids := r.packsOf("x")
		must(t, r.Delete(t.Context(), keyOf("x"), Condition{}))
		r.retireAll()
		r.nodes[2].faulty.SetDown(true)
		r.pass(2 * eon)
		if r.packState(ids[0]) != "retired" {
			t.Fatalf("the pack is %v while a node is away", r.packState(ids[0]))
		}
		must(t, r.RemoveNode(t.Context(), r.nodes[2].ID))
		r.pass(time.Hour)
		if r.packState(ids[0]) != "dropped" {
			t.Errorf("the pack is %v", r.packState(ids[0]))
		}
	})
}

// TestAbandonedBytesGo: what a write that failed left on nodes is collected.
func TestAbandonedBytesGo(t *testing.T) {
	collecting(t, 2, "1+1", func(t *testing.T, r *rig, _ *rootFile) {
		up := r.upload("x", -1)
		up.give(content(1, tinyPack))
		up.give([]byte("more"))
		r.pass(time.Minute)
		if len(r.shards()) == 0 {
			t.Fatal("nothing was spread")
		}
		if err := up.end(context.Canceled); err == nil {
			t.Fatal("an aborted body was stored")
		}
		must(t, r.put("y", content(3, 100)))
		r.retireAll()
		r.pass(2 * eon)
		for id, s := range r.survey() {
			if s.Kind.String() == "data" {
				t.Errorf("data pack %v is left", id)
			}
		}
	})
}
