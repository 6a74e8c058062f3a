package fleet

import (
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cairn-storage/cairn"
)

// TestReputation: a node falls below 0.95 to be suspect, after 20 looks at least,
// and rises above 0.98 to be well again; what was long ago fades.
func TestReputation(t *testing.T) {
	for _, x := range []struct {
		what  string
		looks string // g good, m missing, w wrong, s slow, each with how often before it
		good  float64
		state string
	}{
		{"nobody looked", "", 1, "ok"},
		{"19 bad looks say little", strings.Repeat("m", 19), .05, "ok"},
		{"20 bad looks", strings.Repeat("m", 20), .05, "suspect"},
		{"all is well", strings.Repeat("g", 100), 1, "ok"},
		{"one in fifty is missing", strings.Repeat(strings.Repeat("g", 49)+"m", 20), .98, "ok"},
		{"one in ten is missing", strings.Repeat(strings.Repeat("g", 9)+"m", 20), .9, "suspect"},
		{"one in ten is wrong", strings.Repeat(strings.Repeat("g", 9)+"w", 20), .9, "suspect"},
		{"one in ten is slow", strings.Repeat(strings.Repeat("g", 9)+"s", 20), .95, "ok"},
		{"one in five is slow", strings.Repeat("ggggs", 40), .9, "suspect"},
		{"suspect until above 0.98: not yet", strings.Repeat("g", 180) + strings.Repeat("m", 20) + strings.Repeat("g", 400), .966, "suspect"},
		{"suspect until above 0.98: well", strings.Repeat("g", 180) + strings.Repeat("m", 20) + strings.Repeat("g", 1000), .99, "ok"},
		{"never suspect at 0.966 alone", strings.Repeat(strings.Repeat("g", 29)+"m", 100), .966, "ok"},
		{"long ago is forgotten", strings.Repeat("m", 500) + strings.Repeat("g", 8000), 1, "ok"},
	} {
		t.Run(x.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 3, unwatched)
				synctest.Wait()
				n := r.nodes[0]
				for _, c := range x.looks {
					r.Judge(n.ID, map[rune]Outcome{'g': Good, 'm': Missing, 'w': Wrong, 's': Slow}[c])
				}
				s := r.state(n)
				if s.State != x.state || math.Abs(s.Good-x.good) > .012 || s.Looks != len(x.looks) {
					t.Errorf("%s, %.3f after %d looks, want %s, %.3f", s.State, s.Good, s.Looks, x.state, x.good)
				}
				if s.State == "suspect" && !strings.Contains(s.Why, "%") {
					t.Errorf("why: %q", s.Why)
				}
				r.Judge(cairn.NodeID{99}, Wrong) // is passed over
			})
		})
	}
}

// TestBadReputationOrdersPreference: fewer new shards, and none while others are
// enough; reads elsewhere first; what verifies counts.
func TestBadReputationOrdersPreference(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 4, unwatched)
		synctest.Wait()
		bad := r.nodes[1]
		before := r.node(bad.ID).weight()
		for range 30 {
			r.Judge(bad.ID, Missing)
		}
		if after := r.node(bad.ID).weight(); after > before/20 {
			t.Errorf("weight %g, was %g", after, before)
		}
		if rank := r.node(bad.ID).rank(); rank != 2 {
			t.Errorf("rank %d", rank)
		}
		on := func(c string) bool {
			sp := r.spread(coding(c), 10*kib)
			r.read(sp, 0, len(sp.bytes), 0)
			return slices.ContainsFunc(sp.where, func(l cairn.Location) bool { return l.Node == bad.ID })
		}
		for range 5 {
			if on("2+1") {
				t.Error("it gets shards while others are enough")
			}
		}
		if !on("2+2") {
			t.Error("it gets none while others are too few")
		}
		if err := r.Reset(bad.ID); err != nil || r.state(bad).State != "ok" || r.state(bad).Good != 1 || r.state(bad).Looks != 0 {
			t.Errorf("%v, %+v", err, r.state(bad))
		}
	})
}
