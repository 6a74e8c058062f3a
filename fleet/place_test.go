package fleet

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// down takes nodes off and lets everybody notice.
func down(r *rig, nodes ...*rigNode) {
	for _, n := range nodes {
		n.faulty.SetDown(true)
		for range breakAfter {
			_ = r.node(n.ID).present(r.tb.Context())
		}
	}
}

// TestHazardB6OneNodeDownDoesNotStopWriting: after AwayAfter new packs are coded
// for the nodes there are, never for one alone, and as asked for once they are
// back.
func TestHazardB6OneNodeDownDoesNotStopWriting(t *testing.T) {
	for _, x := range []struct {
		want             string
		nodes, down      int
		before, meantime string // "" is ErrUnavailable
	}{
		{"auto", 1, 0, "1+0", "1+0"},
		{"auto", 1, 1, "1+0", ""},
		{"auto", 2, 1, "1+1", ""},
		{"auto", 3, 1, "2+1", "1+1"},
		{"auto", 3, 2, "2+1", ""},
		{"auto", 7, 1, "3+3", "3+2"},
		{"auto", 8, 6, "4+3", "1+1"},
		{"auto", 3, 3, "2+1", ""},
		{"2+1", 3, 1, "2+1", "1+1"},
		{"2+1", 3, 2, "2+1", ""},
		{"4+3", 8, 1, "4+3", "4+3"},
		{"4+3", 7, 1, "4+3", "3+2"},
		{"4+3", 5, 0, "2+2", "2+2"},
		{"1+0", 2, 1, "1+0", "1+0"},
		{"3+0", 3, 2, "3+0", "1+0"},
	} {
		t.Run(fmt.Sprintf("%s on %d, %d down", x.want, x.nodes, x.down), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, x.nodes)
				synctest.Wait()
				is := func(when, want string) {
					t.Helper()
					c, err := r.Coding(x.want)
					if want == "" {
						wantClass(t, when, err, cairn.ErrUnavailable)
						return
					}
					if err != nil || c != coding(want) {
						t.Errorf("%s: %v, %v, want %s", when, c, err, want)
					}
				}
				is("before", x.before)
				down(r, r.nodes[:x.down]...)
				is("at once", x.before) // a node that restarts changes nothing
				wait(r.c.AwayAfter - 2*time.Second)
				is("just before", x.before)
				wait(4 * time.Second)
				is("meantime", x.meantime)
				if c, err := r.Coding(x.want); err == nil {
					if _, err := r.Scatter(t.Context(), r.seal(c, 20*kib).Sealed, nil, noIntent); err != nil {
						t.Errorf("and it cannot be scattered: %v", err)
					}
				}
				for _, n := range r.nodes {
					n.faulty.SetDown(false)
				}
				wait(coolMost + 4*time.Second)
				is("back", x.before)
			})
		})
	}
	r := newRig(t, 3)
	for _, bad := range []string{"", "4", "0+1", "auto ", "40+3"} {
		if _, err := r.Coding(bad); err == nil {
			t.Errorf("coding %q is taken", bad)
		}
	}
}

// TestHazardB8FullNodesStopUserDataOnly: user data stops at the reserve, what is
// needed to delete still finds room.
func TestHazardB8FullNodesStopUserDataOnly(t *testing.T) {
	const total = 1 << 30
	for _, x := range []struct {
		what  string
		free  []int64 // percent of each node, -1 for one that is down
		full  bool
		packs bool // still find room
	}{
		{"all empty", []int64{100, 100, 100}, false, true},
		{"one node, room", []int64{6}, false, true},
		{"one node, reserve", []int64{4}, true, true},
		{"one node, nothing", []int64{0}, true, false},
		{"two nodes, one in its reserve", []int64{50, 4}, true, true},
		{"three nodes, one in its reserve", []int64{50, 50, 4}, false, true},
		{"three nodes, two in their reserve", []int64{50, 4, 4}, true, true},
		{"all in their reserve", []int64{4, 4, 3, 4}, true, true},
		{"one full, one away", []int64{50, 0, -1}, false, false},
		{"three full, one away", []int64{4, 0, 0, -1}, true, false},
		{"room on two, one away", []int64{50, 50, -1}, false, true},
	} {
		t.Run(x.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, len(x.free), unwatched)
				synctest.Wait()
				for i, free := range x.free {
					if free < 0 {
						down(r, r.nodes[i])
						continue
					}
					n := r.node(r.nodes[i].ID)
					n.link.setSpace(time.Now(), total/100*free, total, true)
				}
				wait(r.c.AwayAfter)
				if got := r.Full(); got != x.full {
					t.Errorf("full: %v", got)
				}
				var spare int64
				for _, free := range x.free {
					spare += total / 100 * max(free, 0)
				}
				if got := r.Spare(); got != spare {
					t.Errorf("%d bytes to spare, want %d", got, spare)
				}
				c, err := r.Coding("auto")
				if (err == nil) != x.packs {
					t.Errorf("coding: %v, %v", c, err)
				}
				if err == nil && r.Usable(c) <= 0 {
					t.Errorf("nothing fits with %v", c)
				}
			})
		})
	}
}

// TestPlacementLeavesTheReserve: a node in its reserve gets few shards as long
// as others have more.
func TestPlacementLeavesTheReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 4, unwatched)
		synctest.Wait()
		for i, n := range r.all() {
			free := []int64{4 << 30, 90 << 30, 90 << 30, 90 << 30}[i]
			n.link.setSpace(time.Now(), free, 100<<30, true)
		}
		held := 0
		for range 200 {
			ids, err := r.pick(cairn.PackID{}, coding("2+1"), make([]cairn.NodeID, 3), nil, nil, cairn.NodeID{})
			must(t, err)
			for _, id := range ids {
				held += bit(id == r.nodes[0].ID)
			}
		}
		if held > 10 {
			t.Errorf("%d of 200 packs came to a node of which only the reserve is left", held)
		}
	})
}

// TestCapacity is what of a node's space is ours.
func TestCapacity(t *testing.T) {
	const gib = int64(1 << 30)
	for _, x := range []struct {
		what        string
		capacity    uint64
		free, total int64 // as told; total 0 for nothing
		used        int64 // as the store counts, -1 where it does not
		wantFree    int64
		known       bool
	}{
		{"nothing set, told", 0, 30 * gib, 100 * gib, -1, 30 * gib, true},
		{"nothing set, not told", 0, 0, 0, -1, unknownRoom, false},
		{"a limit, not told", 50 << 30, 0, 0, -1, 50 * gib, false},
		{"a limit above all there is", 500 << 30, 30 * gib, 100 * gib, -1, 30 * gib, true},
		{"a limit, half of it used", 50 << 30, 80 * gib, 100 * gib, -1, 30 * gib, true},
		{"a limit, passed", 50 << 30, 30 * gib, 100 * gib, -1, 0, true},
		{"a limit, the rest is other people's", 50 << 30, 30 * gib, 100 * gib, 20 * gib, 30 * gib, true},
		{"a limit, and less free than that", 50 << 30, 10 * gib, 100 * gib, 20 * gib, 10 * gib, true},
		{"a limit, counted, not told", 50 << 30, 0, 0, 20 * gib, 30 * gib, true},
		{"a limit, counted and passed", 50 << 30, 80 * gib, 100 * gib, 60 * gib, 0, true},
		{"free told as negative", 0, -5, 100 * gib, -1, 0, true},
	} {
		r := newRig(t, 0, func(c *Config) {
			if x.used >= 0 {
				c.Used = func(cairn.NodeID) int64 { return x.used }
			}
		})
		n := r.addNode()
		n.Capacity = x.capacity
		nd := newNode(r.Fleet, n.Node)
		nd.link.setSpace(time.Now(), x.free, x.total, x.total > 0)
		free, total, known := nd.space()
		if free != x.wantFree || known != x.known || total < free {
			t.Errorf("%s: %d free of %d, known %v, want %d, %v", x.what, free, total, known, x.wantFree, x.known)
		}
	}
}

// TestAFullNodeIsTriedAgain when it says that there is room, or after a while
// where it never says.
func TestAFullNodeIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3)
		synctest.Wait()
		n := r.nodes[0]
		n.mem.SetBytes("ballast", make([]byte, fullGain+1))
		wait(2 * spaceEvery)
		n.faulty.SetChoose(nil)
		put := func(err error) error {
			n.setInstead(func(_ context.Context, c backends.Call) error {
				if c.Op == backends.OpPut {
					return err
				}
				return nil
			})
			return r.node(n.ID).put(t.Context(), "packs/x", []byte("x"))
		}
		changed := r.Changed()
		wantClass(t, "put", put(fmt.Errorf("quota: %w", cairn.ErrFull)), cairn.ErrFull)
		wantClosed(t, changed, "it became full")
		wait(2 * spaceEvery) // its disk has room, its quota has none: no reason to try
		if s := r.state(n); s.State != "full" || s.Free != 0 {
			t.Errorf("%+v", s)
		}
		changed = r.Changed()
		n.mem.Drop("ballast")
		wait(spaceEvery + 4*time.Second)
		if s := r.state(n); s.State != "ok" {
			t.Errorf("much was deleted: %+v", s)
		}
		wantClosed(t, changed, "it was full no more")
		wantClass(t, "put", put(fmt.Errorf("quota: %w", cairn.ErrFull)), cairn.ErrFull)
		wait(fullFor + spaceEvery)
		if s := r.state(n); s.State != "ok" {
			t.Errorf("after %v: %+v", fullFor, s)
		}
	})
}

// TestNeverTwoShardsOnOneNode over many draws and many nodes that are full or
// away, with two nodes of each operator.
func TestNeverTwoShardsOnOneNode(t *testing.T) {
	r := newRig(t, 10)
	for i, n := range r.nodes {
		n.Operator = fmt.Sprintf("op%d", i/2)
	}
	r.set(r.nodes...)
	for _, c := range []string{"1+1", "2+1", "4+3", "4+4"} {
		for round := range 50 {
			at := make([]cairn.NodeID, coding(c).N())
			avoid := map[cairn.NodeID]bool{r.nodes[round%10].ID: true}
			at[0] = r.nodes[(round+1)%10].ID
			got, err := r.pick(cairn.PackID{}, coding(c), at, avoid, nil, cairn.NodeID{})
			must(t, err)
			seen, operators := map[cairn.NodeID]bool{at[0]: true}, map[string]int{r.nodes[(round+1)%10].Operator: 1}
			for i, id := range got {
				switch {
				case i == 0 && id != cairn.NodeID{}:
					t.Error("a shard that stands gets another node")
				case i > 0 && (seen[id] || avoid[id] || id == cairn.NodeID{}):
					t.Errorf("%s round %d: shard %d on %v", c, round, i, id)
				case i > 0:
					operators[r.at(id).Operator]++
				}
				seen[id] = true
			}
			for op, held := range operators {
				if held > max(coding(c).M, 1) {
					t.Errorf("%s: %d shards at %s", c, held, op)
				}
			}
		}
	}
}

func TestFatalNamesOperatorsThatHoldTooMuch(t *testing.T) {
	r := newRig(t, 3)
	if got := r.Fatal(coding("2+1")); got != nil {
		t.Errorf("three operators: %v", got)
	}
	for _, n := range r.nodes {
		n.Operator = "anna"
	}
	r.set(r.nodes...)
	if got := r.Fatal(coding("2+1")); len(got) != 1 || got[0] != "anna" {
		t.Errorf("one operator: %v", got)
	}
}
