package scrub

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/layout"
)

// failing gives every call for one name a failure.
func failing(name string) backendtest.Choose {
	return func(_, n string, _ int) backendtest.Fate {
		if n == name {
			return backendtest.Fails
		}
		return backendtest.Works
	}
}

func (r *rig) on(n *rigNode) (count int) {
	for _, p := range r.packs {
		for _, l := range r.row(p.ID) {
			if l.Node == n.ID {
				count++
			}
		}
	}
	return count
}

func (n *rigNode) shards() (count int) {
	for _, name := range n.mem.Names() {
		if strings.HasPrefix(name, layout.PacksDir) {
			count++
		}
	}
	return count
}

func TestDrainEmptiesANode(t *testing.T) {
	for _, c := range []struct {
		what string
		do   func(r *rig, n *rigNode)
		left int // files that stay on the node
	}{
		{"that is well", func(*rig, *rigNode) {}, 0},
		{"that does not answer", func(r *rig, n *rigNode) { n.faulty.SetDown(true); r.touch(); r.pass(time.Minute) }, 10},
		{"that has lost some", func(r *rig, n *rigNode) {
			for i := range 3 {
				_, name := r.file(r.packs[i], 2)
				n.mem.Drop(name)
			}
		}, 0},
		{"that sends wrong bytes", func(r *rig, n *rigNode) {
			for i := range 3 {
				r.corrupt(r.packs[i], 2)
			}
		}, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 9)
			for range 10 {
				r.spread("4+3", 150_000)
			}
			r.listed()
			n := r.nodes[2]
			r.state(n, "draining")
			c.do(r, n)
			dry, err := r.Drain(t.Context(), n.ID, Request{DryRun: true}, nil)
			must(t, err)
			if dry.Left != 10 || r.on(n) != 10 {
				t.Errorf("%s: dry: %+v", c.what, dry)
			}
			rep, err := r.Drain(t.Context(), n.ID, Request{}, nil)
			must(t, err)
			if !rep.MayRemove || rep.Made != 10 || rep.Left != 0 || !strings.Contains(fmt.Sprint(rep.Says), "may be removed now") {
				t.Errorf("%s: %+v", c.what, rep)
			}
			if r.on(n) != 0 || n.shards() != c.left {
				t.Errorf("%s: %d in rows, %d files", c.what, r.on(n), n.shards())
			}
			r.wantWhole(c.what)
		})
	}
}

func TestDrainSaysThatThereIsNowhereToGoAndGoesOnWhenThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		r.spread("4+3", 5_000)
		r.spread("4+3", 5_000)
		r.listed()
		n := r.nodes[2]
		r.state(n, "draining")
		rep, err := r.Drain(t.Context(), n.ID, Request{}, nil)
		must(t, err)
		if rep.MayRemove || rep.Left != 2 || !strings.Contains(fmt.Sprint(rep.Says), "add a node") || r.files() != 14 {
			t.Errorf("%+v", rep)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); r.drainLoop(ctx) }()
		r.pass(10 * time.Hour)
		r.addNode()
		r.pass(2 * time.Minute)
		cancel()
		<-done
		if r.on(n) != 0 || n.shards() != 0 {
			t.Errorf("a node was added, and %d shards are still there", r.on(n))
		}
		r.wantWhole("drained in the background")
	})
}

func TestADrainThatIsKilledGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 9)
		for range 20 {
			r.spread("4+3", 5_000)
		}
		r.listed()
		n := r.nodes[2]
		r.state(n, "draining")
		for life := range 30 {
			ctx, die := context.WithCancel(t.Context())
			var puts atomic.Int32
			for _, o := range r.nodes {
				o.faulty.SetChoose(func(op, name string, _ int) backendtest.Fate {
					if op == backends.OpPut {
						if puts.Add(1) > 8 { // as many as are under way at a time: some are done by then
							die()
							return backendtest.WorksButFails
						}
					}
					return backendtest.Works
				})
			}
			_, err := r.Drain(ctx, n.ID, Request{}, nil)
			die()
			r.good(r.packs[0], 7, fmt.Sprint("life ", life))
			if err == nil {
				break
			}
			r.start()
		}
		if r.on(n) != 0 {
			t.Errorf("%d shards are still there", r.on(n))
		}
		r.wantWhole("drained in many lives")
		for _, o := range r.nodes {
			o.faulty.SetChoose(nil)
		}
		r.c.List, r.c.Again = 2*time.Hour, 10*time.Minute
		r.start()
		r.run(func(ctx context.Context) { _ = r.Run(ctx) }, 5*time.Hour)
		if r.files() != 140 {
			t.Errorf("%d files stand, want 140", r.files())
		}
	})
}

func TestDrainWaitsForPacksThatAreBeingSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 8)
		p := r.spread("4+3", 5_000)
		r.listed()
		r.rows.set(p.ID, func(row *index.PackRow) { row.State = index.Staged })
		rep, err := r.Drain(t.Context(), r.nodes[2].ID, Request{}, nil)
		must(t, err)
		if rep.MayRemove || rep.Left != 1 {
			t.Errorf("%+v", rep)
		}
	})
}

// TestRebuildMakesAgainWhatAWipedNodeHeld, on itself, also where there are others.
func TestRebuildMakesAgainWhatAWipedNodeHeld(t *testing.T) {
	for _, nodes := range []int{7, 9} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nodes)
			for range 100 {
				r.spread("4+3", 5_000)
			}
			r.listed()
			n := r.nodes[3]
			for i, name := range n.mem.Names() {
				if name != layout.MarkerName && i%10 != 0 { // some are still there
					n.mem.Drop(name)
				}
			}
			kept := n.shards()
			ctx, die := context.WithCancel(t.Context())
			r.fleet.spend = func(cairn.NodeID, int64) error {
				if r.fleet.looked() > 75 {
					die()
				}
				return nil
			}
			_, err := r.Rebuild(ctx, n.ID, Request{}, nil)
			wantClass(t, "cut off", err, context.Canceled)
			r.fleet.spend = nil
			r.start()
			r.listed()
			before := r.fleet.looked()
			rep, err := r.Rebuild(t.Context(), n.ID, Request{}, nil)
			must(t, err)
			if looks := r.fleet.looked() - before; !rep.Resumed || looks > 40 || rep.Left != 0 {
				t.Errorf("resumed %v with %d looks: %+v", rep.Resumed, looks, rep)
			}
			r.wantWhole(fmt.Sprint(nodes, " nodes"))
			if kept == 0 || n.shards() < 100 {
				t.Errorf("%d kept, %d on it now", kept, n.shards())
			}
		})
	}
}

func TestRebuildOfANodeThatIsDownGoesElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 8)
		p := r.spread("4+3", 5_000)
		r.listed()
		r.down(1)
		r.touch()
		rep, err := r.Rebuild(t.Context(), r.nodes[1].ID, Request{}, nil)
		must(t, err)
		if rep.Made != 1 || r.on(r.nodes[1]) != 0 {
			t.Errorf("%+v", rep)
		}
		r.wantWhole("elsewhere")
		// It returns, and its file is one too many.
		r.nodes[1].faulty.SetDown(false)
		r.pass(10 * time.Minute)
		r.find()
		r.pass(61 * time.Minute)
		r.find()
		if r.nodes[1].shards() != 0 || r.files() != 7 {
			t.Errorf("%d files", r.files())
		}
		_ = p
	})
}

func TestRebalanceMovesTowardsTheRoomThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		r.Scrub.c.Parallel = 2 // what is on its way is not counted yet, and these nodes are small
		for range 60 {
			r.spread("4+3", 200_000)
		}
		// Three more nodes of the size of the others, and one of an operator that
		// has one already.
		for _, n := range r.nodes {
			n.Node.Capacity = 8 << 20
		}
		for range 3 {
			r.addNode().Node.Capacity = 8 << 20
		}
		twin := r.addNode()
		twin.Node.Capacity, twin.Node.Operator = 8<<20, "op1"
		for _, n := range r.nodes {
			n.mem.Capacity = 8 << 20
		}
		r.set()
		r.listed()
		r.pass(10 * time.Minute) // their room becomes known
		r.touch()
		dry, err := r.Rebalance(t.Context(), Request{DryRun: true}, nil)
		must(t, err)
		rep, err := r.Rebalance(t.Context(), Request{}, nil)
		must(t, err)
		if dry.LeftSize == 0 || rep.Made == 0 || rep.Written > dry.LeftSize*3/2 {
			t.Errorf("dry %+v, done %+v", dry, rep)
		}
		r.wantWhole("rebalanced")
		most, least := 0, 1000
		for _, n := range r.nodes[:10] { // the twin may take what leaves its operator's other node only
			most, least = max(most, r.on(n)), min(least, r.on(n))
		}
		if most > 53 || least < 20 {
			t.Errorf("between %d and %d of 420 shards on each of ten nodes", least, most)
		}
		for _, p := range r.packs {
			at := r.row(p.ID)
			if slices.ContainsFunc(at, func(l cairn.Location) bool { return l.Node == twin.ID }) && slices.ContainsFunc(at, func(l cairn.Location) bool { return l.Node == r.nodes[0].ID }) {
				t.Errorf("pack %v has two shards at op1", p.ID)
			}
		}
		again, err := r.Rebalance(t.Context(), Request{}, nil)
		must(t, err)
		if again.Made > rep.Made/2 {
			t.Errorf("again: %+v", again)
		}
	})
}

func TestAMoveNeverDoublesAnOperator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 9)
		r.nodes[7].Operator = "op1"
		r.nodes[8].Operator = "op3"
		r.set()
		p := r.spread("4+3", 5_000)
		row, err := r.rows.Pack(p.ID)
		must(t, err)
		v := r.view()
		for _, c := range []struct {
			from, to int
			doubles  bool
		}{{0, 7, false}, {1, 7, true}, {2, 8, false}, {0, 8, true}, {0, 1, true}} {
			if got := r.doubles(v, row, r.nodes[c.from].ID, r.nodes[c.to].ID); got != c.doubles {
				t.Errorf("from %s to %s: %v", r.nodes[c.from].Name, r.nodes[c.to].Name, got)
			}
		}
	})
}

// TestRebuildSaysWhatNobodyCanMake: of a pack whose only shard is not there, which
// counts as readable until it was looked at twice, rebuild says so, and is not
// done.
func TestRebuildSaysWhatNobodyCanMake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3)
		s := r.spread("1+0", 100<<10)
		r.spread("2+1", 100<<10)
		n, name := r.file(s, 0)
		if err := n.mem.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		rep, err := r.Rebuild(t.Context(), n.ID, Request{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if rep.Left != 1 || len(rep.Stuck) != 1 || rep.Stuck[0].Have != 0 || rep.Stuck[0].Why != "the others are what was to be made again" {
			t.Errorf("rebuild: %+v", rep)
		}
	})
}
