package recovery

import (
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

// cutOff changes a body as a checkpoint as of log pack n does, in one pack.
func cutOff(n uint64) func(*pack.RootBody) {
	return func(b *pack.RootBody) {
		id := cairn.NewPackID(n, [10]byte{7})
		b.CutOff = pack.CutOff{Number: n, Last: cairn.Stamp{Life: 1, LSN: 10 * n}}
		b.Runs = []pack.CheckpointRun{{From: 1, To: 1, Rows: 1, CutOff: n, Part: pack.Part{Size: 10, Extents: []pack.Extent{{Pack: id, Length: 10}}},
			Packs: []pack.PackPlace{{Params: pack.Params{Store: testStore, ID: id, Epoch: 1, Coding: cairn.Coding{K: 1, M: 1}, Length: 4096, Contents: 4096}, Bytes: 100}}}}
	}
}

// TestHazardA9EverywhereIsWhatEveryNodeTook: a root counts as everywhere only
// when every node took it that is not gone; a node that shows less, also after
// it confirmed more, takes that back.
func TestHazardA9EverywhereIsWhatEveryNodeTook(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		c := w.config(durable.NewMem(), w.gate)
		var gone cairn.NodeID
		c.Gone = func(id cairn.NodeID) bool { return id == gone }
		k := w.keeper(c)
		want := func(k *Keeper, what string, seq, number uint64) {
			t.Helper()
			if s, cut := k.Everywhere(); s != seq || cut.Number != number || cut.Last.LSN != 10*number {
				t.Errorf("%s: root %d with cut-off %+v is everywhere, want root %d with %d", what, s, cut, seq, number)
			}
		}
		want(k, "before the first root", 0, 0)
		k.Start()
		must(t, k.Root(t.Context(), func(b *pack.RootBody) { cutOff(1)(b); mark("a")(b) }))
		wait(2 * time.Second)
		want(k, "all took it", 1, 1)
		away := w.nodes[2]
		away.faulty.SetDown(true)
		must(t, k.Root(t.Context(), cutOff(2)))
		wait(2 * time.Hour)
		want(k, "one is away", 1, 1)
		for n := range uint64(8) { // the root that it has is kept no more
			must(t, k.Root(t.Context(), cutOff(3+n)))
		}
		want(k, "one is away for long", 0, 0)
		gone = away.ID
		want(k, "it is gone", 10, 10)
		gone = cairn.NodeID{}
		away.faulty.SetDown(false)
		wait(2 * time.Hour)
		want(k, "it is back", 10, 10)
		dropRoots(w.nodes[0], 8)
		w.nodes[0].faulty.SetDown(false)
		wait(2 * time.Second)
		must(t, k.Close(t.Context()))
		k = w.keeper(c)
		want(k, "nothing was seen since the start", 0, 0)
		k.Start()
		wait(2 * time.Second)
		want(k, "one was rolled back and got it again", 10, 10)
	})
}

// TestHazardA9KeptRootsPinTheirCheckpoints: the lowest cut-off and the packs of
// all roots that are kept, also after a restart; nothing is known where one of
// them cannot be read.
func TestHazardA9KeptRootsPinTheirCheckpoints(t *testing.T) {
	bubble(t, 2, func(t *testing.T, w *world) {
		disk := durable.NewMem()
		c := w.config(disk, w.gate)
		k := w.keeper(c)
		want := func(what string, low uint64, packs int, known bool) {
			t.Helper()
			l, p, ok := k.Kept()
			if l != low || len(p) != packs || ok != known {
				t.Errorf("%s: above %d, %d packs, %v; want %d, %d, %v", what, l, len(p), ok, low, packs, known)
			}
			newest, _ := k.Body()
			older := k.Older()
			if len(older) != max(packs, 1)-1 {
				t.Errorf("%s: %d older roots, want %d", what, len(older), packs-1)
			}
			for i, b := range older {
				if b.CutOff.Number != newest.CutOff.Number-uint64(i)-1 {
					t.Errorf("%s: older root %d is as of %d, the newest of %d", what, i, b.CutOff.Number, newest.CutOff.Number)
				}
			}
		}
		want("no root", 0, 0, false)
		for n := range uint64(5) {
			must(t, k.Root(t.Context(), cutOff(n+1)))
		}
		want("all five", 1, 5, true)
		for n := range uint64(10) {
			must(t, k.Root(t.Context(), cutOff(n+6)))
		}
		want("eight of fifteen", 8, 8, true)
		must(t, k.Close(t.Context()))
		k = w.keeper(c)
		want("after a restart", 8, 8, true)
		must(t, k.Close(t.Context()))
		names, err := localNames(disk, k.dir())
		must(t, err)
		must(t, disk.Remove(k.path(names[len(names)-1])))
		k = w.keeper(c)
		want("the oldest is lost", 0, 7, false)
		must(t, k.Root(t.Context(), cutOff(16)))
		want("eight again", 9, 8, true)
	})
}
