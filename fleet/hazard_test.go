package fleet

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/layout"
)

// TestHazardA7H1ScatterRemembersWhatStands: four of seven nodes are up for six
// hours. What stands there is returned and counted again only if it still does;
// nothing here is ever deleted.
func TestHazardA7H1ScatterRemembersWhatStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7, func(c *Config) { c.Watch = time.Minute })
		synctest.Wait()
		down(r, r.nodes[4:]...)
		sp := r.seal(coding("4+3"), 200*kib)
		known := &intents{}
		at, err := r.Scatter(t.Context(), sp.Sealed, nil, known.add)
		wantClass(t, "first", err, cairn.ErrUnavailable)
		if len(at) != 4 {
			t.Fatalf("%v", at)
		}
		checkPlaces(t, r, sp, at)
		known.check(t, r, sp)

		wait(6 * time.Hour)
		swept := r.at(at[2].Node) // meanwhile somebody cleaned up
		swept.mem.Drop(layout.Path(at[2].Name(sp.ID)))
		for _, n := range r.nodes[4:] {
			n.faulty.SetDown(false)
		}
		wait(3 * time.Minute)
		stand := r.Verify(t.Context(), sp.Params, at)
		if len(stand) != 3 || slices.Contains(stand, at[2]) {
			t.Fatalf("what is gone counts: %v", stand)
		}
		again, err := r.Scatter(t.Context(), sp.Sealed, stand, known.add)
		must(t, err)
		checkPlaces(t, r, sp, again)
		known.check(t, r, sp)
		for _, l := range stand {
			if !slices.Contains(again, l) {
				t.Errorf("what stood is not returned: %v", l)
			}
		}
		for _, n := range r.nodes {
			if calls, _ := n.take(backends.OpDelete); len(calls) > 0 {
				t.Errorf("deleted: %v", calls)
			}
		}
	})
}

// TestHazardA8NamesAreNeverReused, not on the node that failed and not by a
// second scatter of the same pack.
func TestHazardA8NamesAreNeverReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3)
		synctest.Wait()
		sp := r.seal(coding("2+1"), 100*kib)
		down(r, r.nodes[2])
		used := map[string]bool{}
		for range 5 {
			if _, err := r.Scatter(t.Context(), sp.Sealed, nil, noIntent); err == nil {
				t.Fatal("three shards stand on two nodes")
			}
		}
		for _, n := range r.nodes {
			calls, _ := n.take(backends.OpPut)
			for _, c := range calls {
				if used[c.Name] {
					t.Errorf("%s is used twice", c.Name)
				}
				used[c.Name] = true
			}
		}
		if len(used) != 10 {
			t.Errorf("%d names", len(used))
		}

		// Two good files of one shard are normal, listed and readable.
		found, err := r.Survey(t.Context())
		if err == nil || len(found[sp.ID]) != 2*layout.MaxPerNode {
			t.Errorf("%d places, %v", len(found[sp.ID]), err)
		}
		sp.where = found[sp.ID]
		r.read(sp, 0, len(sp.bytes), 0)
	})
}

// TestHazardC12NowhereToGo: as many operators as shards, and one is gone for
// good. Nothing doubles up silently, and the error says what to do.
func TestHazardC12NowhereToGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		sp := r.spread(coding("4+3"), 100*kib)
		for _, n := range r.nodes {
			n.take("")
		}
		r.set(r.nodes[1:]...)
		at, err := r.Scatter(t.Context(), sp.Sealed, sp.where, noIntent)
		wantClass(t, "scatter", err, cairn.ErrUnavailable)
		if len(at) != 6 || !strings.Contains(err.Error(), "add one") {
			t.Errorf("%v, %v", at, err)
		}
		for _, n := range r.nodes {
			if calls, _ := n.take(backends.OpPut); len(calls) > 0 {
				t.Errorf("doubled up on %s", n.Name)
			}
		}
		r.addNode()
		r.set(r.nodes[1:]...)
		at, err = r.Scatter(t.Context(), sp.Sealed, at, noIntent)
		must(t, err)
		checkPlaces(t, r, sp, at)
	})
}
