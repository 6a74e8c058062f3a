package scrub

import (
	"fmt"
	"math/bits"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/internal/race"
)

// TestEveryLossPatternIsRepaired: of seven operators coded 4+3 any one, two or
// three are given up. With one spare as many shards as there are nodes for are
// made and the lack of another is said; with the others added, all n stand.
func TestEveryLossPatternIsRepaired(t *testing.T) {
	for _, kill := range []string{"wiped", "silent"} {
		t.Run(kill, func(t *testing.T) {
			for set := uint(1); set < 1<<7; set++ {
				if bits.OnesCount(set) > 3 || !race.Few(int(set)-1, 1<<7-1, 32) {
					continue
				}
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, 8)
					r.spread("4+3", 300_000)
					r.spread("4+3", 5_000)
					r.listed()
					dead := 0
					for i := range 7 {
						if set&(1<<i) == 0 {
							continue
						}
						dead++
						n := r.nodes[i]
						if kill == "silent" {
							n.faulty.SetDown(true)
						}
						for _, name := range n.mem.Names() {
							n.mem.Drop(name)
						}
						r.state(n, "gone")
					}
					what := fmt.Sprintf("nodes %07b %s", set, kill)
					rep, err := r.Repair(t.Context(), Request{}, nil)
					must(t, err)
					if rep.Made != 2 {
						t.Errorf("%s: %d shards were made on the one spare, want one of each pack", what, rep.Made)
					}
					if dead > 1 && (rep.Left != 2 || len(rep.Stuck) == 0 || !strings.Contains(rep.Stuck[0].Why, "add a node")) {
						t.Errorf("%s: nowhere to go was not said: %+v", what, rep)
					}
					if h := r.Health(); dead > 1 && (h.Missing[0] != 0 || h.BacklogShards != int64(2*(dead-1))) {
						t.Errorf("%s: %+v", what, h)
					}
					for range dead - 1 {
						r.addNode()
					}
					r.listed()
					if _, err := r.Repair(t.Context(), Request{}, nil); err != nil {
						t.Fatal(err)
					}
					r.wantWhole(what)
					if again, err := r.Repair(t.Context(), Request{}, nil); err != nil || again.Made != 0 || again.Left != 0 {
						t.Errorf("%s: a second repair: %+v, %v", what, again, err)
					}
				})
			}
		})
	}
}

// TestEveryPatternOfLiarsIsRepaired: the same with nodes that answer reads with
// wrong bytes, found by a scrub of every byte and given up by a person.
func TestEveryPatternOfLiarsIsRepaired(t *testing.T) {
	for set := uint(1); set < 1<<7; set++ {
		if bits.OnesCount(set) > 3 {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 7)
			r.spread("4+3", 300_000)
			r.listed()
			liars := 0
			for i := range 7 {
				if set&(1<<i) != 0 {
					liars++
					r.corrupt(r.packs[0], i)
				}
			}
			what := fmt.Sprintf("liars %07b", set)
			rep, err := r.Scrub.Scrub(t.Context(), Request{Full: true}, nil)
			must(t, err)
			if rep.Wrong != int64(liars) {
				t.Errorf("%s: %d shards are wrong, want %d: %+v", what, rep.Wrong, liars, rep)
			}
			for i := range 7 {
				if set&(1<<i) != 0 {
					r.nodes[i].faulty.SetChoose(backendtest.On(backendtest.Lies, backends.OpRead))
					r.state(r.nodes[i], "gone")
					r.addNode()
				}
			}
			r.listed()
			_, err = r.Repair(t.Context(), Request{}, nil)
			must(t, err)
			r.wantWhole(what)
			if h := r.Health(); h.Worst != 3 || h.Lost != 0 || h.Shards.Good != 7 {
				t.Errorf("%s: %+v", what, h)
			}
		})
	}
}
