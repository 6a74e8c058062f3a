package fleet

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
)

// TestBackgroundPutsKeepToHoursAndTraffic: they go to nodes that may have them
// now, and wait or are refused while those are too few; people's do not.
func TestBackgroundPutsKeepToHoursAndTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins at midnight UTC
		r := newRig(t, 4, unwatched)
		set := func(i int, key, value string) {
			r.nodes[i].Option = map[string]string{key: value}
			r.set(r.nodes...)
		}
		set(0, OptionHours, "06:00-07:00")
		set(1, OptionTraffic, "1K/month")
		for range 4 { // chance would choose others
			sp := r.seal(coding("1+1"), 100*kib)
			at, err := r.Scatter(Thrifty(t.Context()), sp.Sealed, nil, noIntent)
			must(t, err)
			for _, l := range at {
				if l.Node == r.nodes[0].ID || l.Node == r.nodes[1].ID {
					t.Errorf("put on %s", r.at(l.Node).Name)
				}
			}
		}
		sp := r.seal(coding("2+1"), 100*kib)
		at, err := r.Scatter(Thrifty(t.Context()), sp.Sealed, nil, noIntent)
		wantClass(t, "three of two nodes", err, cairn.ErrUnavailable)
		if len(at) != 2 {
			t.Errorf("%d shards stand", len(at))
		}
		_, err = r.Scatter(t.Context(), sp.Sealed, at, noIntent) // a client's
		must(t, err)

		must(t, r.SpendPuts(t.Context(), 2, 100*kib))
		start := time.Now()
		must(t, r.SpendPuts(t.Context(), 3, 100*kib))
		if took := time.Since(start); took != 6*time.Hour {
			t.Errorf("waited %v for the third node, want 6 hours", took)
		}
		if err := r.SpendPuts(t.Context(), 4, 100*kib); !errors.Is(err, ErrBudget) {
			t.Errorf("four of three that can afford it: %v", err)
		}
		if r.Affords(r.nodes[1].ID, 100*kib) || !r.Affords(r.nodes[0].ID, 100*kib) {
			t.Error("who can afford it is told wrong")
		}
	})
}

// TestLacksIsWhatNodesAreAskedFor, block by block, and nothing once it is cached.
func TestLacksIsWhatNodesAreAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, unwatched, cacheOf(8<<20))
		sp := r.spread(coding("2+1"), 10*64*kib) // 5 blocks of each
		for _, c := range []struct {
			off uint64
			n   int
		}{{0, 1}, {64*kib - 1, 2}, {5*64*kib - 1, 2}, {3 * 64 * kib, 4 * 64 * kib}, {0, 10 * 64 * kib}} {
			before := make(map[uint8]int64)
			for i := range uint8(2) {
				n, _ := r.holder(sp, i)
				before[i] = r.state(n).Traffic
			}
			r.coolTails()
			lacks := r.Lacks(sp.Params, c.off, c.n)
			r.read(sp, int(c.off), c.n, 0)
			for i := range uint8(2) {
				n, _ := r.holder(sp, i)
				moved := r.state(n).Traffic - before[i]
				if lacks[i] > moved || moved > lacks[i]+sp.TailSize() && lacks[i] > 0 || lacks[i] == 0 && moved != 0 {
					t.Errorf("%d bytes at %d: shard %d lacks %d, %d bytes came", c.n, c.off, i, lacks[i], moved)
				}
			}
			if again := r.Lacks(sp.Params, c.off, c.n); again != nil {
				t.Errorf("%d bytes at %d: lacks %v of what was read", c.n, c.off, again)
			}
		}
		if got := r.Lacks(sp.Params, 10*64*kib, 1); got != nil {
			t.Errorf("beyond the end: %v", got)
		}
	})
}
