package fleet

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// TestADoubtMakesNoPackWeaker: what "auto" gives new packs follows who is there
// and how much room they have, not what is thought of them; a node that is
// quarantined or away counts until it has been so for ten minutes, and one that a
// person takes out counts no more at once.
func TestADoubtMakesNoPackWeaker(t *testing.T) {
	for _, c := range []struct {
		what       string
		do         func(*rig, *rigNode)
		now, later cairn.Coding
	}{
		{"all is well", func(*rig, *rigNode) {}, coding("2+1"), coding("2+1")},
		{"of bad reputation", func(r *rig, n *rigNode) {
			for range 200 {
				r.Judge(n.ID, Missing)
			}
		}, coding("2+1"), coding("2+1")},
		{"suspect of a rollback", func(r *rig, n *rigNode) { r.Suspect(n.ID, "shows an older root") }, coding("2+1"), coding("2+1")},
		{"quarantined", func(r *rig, n *rigNode) { r.fall(r.node(n.ID), cairn.ErrCorrupt) }, coding("2+1"), coding("1+1")},
		{"away", func(r *rig, n *rigNode) {
			n.setInstead(func(context.Context, backends.Call) error { return cairn.ErrUnavailable })
		}, coding("2+1"), coding("1+1")},
		{"draining", func(r *rig, n *rigNode) { n.State = "draining"; r.set(r.nodes...) }, coding("1+1"), coding("1+1")},
		{"gone", func(r *rig, n *rigNode) { n.State = "gone"; r.set(r.nodes...) }, coding("1+1"), coding("1+1")},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 3)
				r.spread(coding("2+1"), 100*kib)
				c.do(r, r.nodes[1])
				for _, at := range []struct {
					after time.Duration
					want  cairn.Coding
				}{{0, c.now}, {9 * time.Minute, c.now}, {5 * time.Minute, c.later}} {
					wait(at.after)
					if got, err := r.Coding("auto"); err != nil || got != at.want {
						t.Errorf("%v later: %v, %v; want %v", at.after, got, err, at.want)
					}
				}
			})
		})
	}
}

// TestANodeThatHasNotToldItsRoomMakesNoPackWeaker: as after a start with a node
// that does not answer. One with a limit counts with that.
func TestANodeThatHasNotToldItsRoomMakesNoPackWeaker(t *testing.T) {
	for _, c := range []struct {
		limit uint64 // of the silent node
		want  string
	}{{0, "2+1"}, {1 << 30, "1+1"}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 2)
			synctest.Wait()
			n := r.addNode()
			n.Capacity = c.limit
			n.setInstead(func(context.Context, backends.Call) error { return cairn.ErrUnavailable })
			r.set(r.nodes...)
			synctest.Wait()
			if got, err := r.Coding("auto"); err != nil || got != coding(c.want) {
				t.Errorf("limit %d: %v, %v; want %s", c.limit, got, err, c.want)
			}
		})
	}
}

// TestADoubtedNodeTakesShardsWhereItIsNeeded, and few where others suffice.
func TestADoubtedNodeTakesShardsWhereItIsNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, unwatched)
		for range 200 {
			r.Judge(r.nodes[1].ID, Missing)
		}
		if sp := r.spread(coding("2+1"), 100*kib); len(sp.where) != 3 {
			t.Errorf("stands at %v", sp.where)
		}
		for range 20 {
			for _, l := range r.spread(coding("1+1"), 10*kib).where {
				if l.Node == r.nodes[1].ID {
					t.Error("it was chosen, though the others are enough")
				}
			}
		}
	})
}
