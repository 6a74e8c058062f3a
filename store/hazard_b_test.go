package store

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/store/stage"
)

// The disk keeps any pages of a group and loses others: the object is the old
// version or the new one, never a record whose frames are garbage.
func TestHazardB4H1(t *testing.T) {
	const tries = 20
	simulated(t, 3, coded("1+1"), func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, 60_000)))
		var left []*durable.Mem
		r.watch(onPackSync(func(durable.Step) error {
			for seed := range uint64(tries) {
				left = append(left, r.disk.Crash(75, seed))
			}
			return nil
		}))
		must(t, r.put("x", content(2, 60_000)))
		r.shut()
		torn := 0
		for seed, disk := range left[:tries] {
			r.disk, r.fs = disk, disk
			r.open()
			got, err := r.get("x")
			if !same(got, err, content(1, 60_000)) && !same(got, err, content(2, 60_000)) {
				t.Errorf("seed %d: x is %d bytes, %v", seed, len(got), err)
			}
			if same(got, err, content(1, 60_000)) {
				torn++
			}
			must(t, r.put("x", content(3, 100)))
			r.shut()
		}
		if torn == 0 {
			t.Error("no group was torn, this test saw nothing")
		}
	})
}

// A record is never durable before the bytes that it names in other stages.
func TestHazardB4H2(t *testing.T) {
	simulated(t, 3, coded("1+1"), func(t *testing.T, r *rig) {
		r.down(3)
		must(t, r.put("x", content(1, 1000)))
		var left atomic.Pointer[durable.Mem]
		hook := durable.Hook{After: func(s durable.Step, err error) error {
			if isStage(s) && s.Op == durable.OpSync {
				left.Store(r.disk.Crash(0, 1))
			}
			return err
		}}
		r.watch(hook)
		must(t, r.put("x", content(2, 300<<10)))
		r.shut()
		r.disk, r.fs = left.Load(), left.Load()
		r.open()
		r.want("x", content(2, 300<<10))
	})
}

// Rot in the middle of a stage is not a torn tail: what was acknowledged behind
// it is replayed, and the damage is told.
func TestHazardB4H3(t *testing.T) {
	simulated(t, 3, coded("1+1"), func(t *testing.T, r *rig) {
		r.down(3)
		for i := range uint64(6) {
			must(t, r.put(fmt.Sprint("k", i), content(i, 9000)))
		}
		r.crash(0, 1)
		id := stageFiles(t, r.fs)[0]
		flip(t, r.fs, stage.Name("/s/stage", id), 4096+1024+9000*3)
		r.open()
		st, err := r.Status(t.Context())
		must(t, err)
		if len(st.Damage) != 1 || !strings.Contains(st.Damage[0], id.String()) {
			t.Errorf("damage told: %q", st.Damage)
		}
		lost := 0
		for i := range uint64(6) {
			got, err := r.get(fmt.Sprint("k", i))
			if err == nil && !same(got, err, content(i, 9000)) {
				t.Errorf("k%d reads wrong bytes", i)
			}
			if err != nil {
				lost++
			}
		}
		if lost != 1 {
			t.Errorf("%d objects do not read, want the one that rotted", lost)
		}
		r.want("k5", content(5, 9000))
	})
}

// A stage is kept until all n shards stand, each read back after it settled: a
// node that acknowledged and then lost one makes the pack go back for another.
func TestHazardB5(t *testing.T) {
	simulated(t, 5, func(c *Config) { c.Coding, c.Settle = "2+2", 10*time.Minute }, func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, 30_000)))
		must(t, r.Flush(t.Context()))
		r.pass(9 * time.Minute)
		id := r.packsOf("x")[0]
		if r.acquire(id) == nil {
			t.Fatal("the stage went before its shards had settled")
		}
		r.release(r.packs[id])
		lost := r.shards()[id][0]
		for _, n := range r.nodes {
			if n.ID == lost.Node {
				must(t, n.mem.Delete(t.Context(), layout.Path(lost.Name(id)))) // its page cache, after a power cut
			}
		}
		r.pass(2 * time.Minute)
		if n := len(r.shards()[id]); n != 4 {
			t.Errorf("%d shards stand, want 4 again", n)
		}
		r.pass(15 * time.Minute)
		if n := len(stageFiles(t, r.fs)); n != 0 {
			t.Errorf("%d stages are left", n)
		}
		r.down(2)
		r.want("x", content(1, 30_000))
	})
}

// While the stage is over half full the oldest packs leave it with half of
// their parity, not with less, and are shown as at risk.
func TestHazardB5UnderPressure(t *testing.T) {
	for _, up := range []int{2, 3, 4} { // of 4, coding 2+2: three are enough
		simulated(t, 4, func(c *Config) { c.Coding, c.StageLimit = "2+2", 2<<20 }, func(t *testing.T, r *rig) {
			r.down(4 - up)
			for i := range uint64(12) {
				must(t, r.put(fmt.Sprint("k", i), content(i, 100<<10)))
			}
			must(t, r.closeNow(t))
			r.pass(time.Minute)
			r.mu.Lock()
			used, limit := r.used, r.c.StageLimit
			r.mu.Unlock()
			if early := used <= limit/2; early != (up >= 3) {
				t.Errorf("%d of 4 nodes: %d KiB are staged of %d", up, used>>10, limit>>10)
			}
			// Which packs had their three shards when the stage was over half full is
			// a matter of the moment.
			states := make(map[string]int)
			for i := range 12 {
				_, at, err := r.Locate(t.Context(), keyOf(fmt.Sprint("k", i)))
				must(t, err)
				states[at[0].State]++
			}
			if up == 2 && states["sealed"] != 12 || up == 3 && (states["at risk"] == 0 || states["at risk"]+states["sealed"] != 12) || up == 4 && states["spread"] != 12 {
				t.Errorf("%d of 4 nodes: the 12 objects are %v", up, states)
			}
			r.down(0)
			for i := range uint64(12) {
				r.want(fmt.Sprint("k", i), content(i, 100<<10))
			}
		})
	}
}

// One node of three away: new packs are coded for the two that take writes, and
// those that were sealed before keep their coding.
func TestHazardB6(t *testing.T) {
	simulated(t, 3, nil, func(t *testing.T, r *rig) {
		r.pass(time.Minute) // all nodes have told their space
		must(t, r.put("before", content(1, 2000)))
		must(t, r.Flush(t.Context()))
		r.down(1)
		must(t, r.put("during", content(2, 2000)))
		if err := r.Flush(t.Context()); !errors.Is(err, cairn.ErrUnavailable) {
			t.Fatalf("flush: %v", err)
		}
		r.pass(11 * time.Minute)
		must(t, r.put("after", content(3, 2000)))
		_ = r.Flush(t.Context()) // ends with what is in the way of the other
		r.pass(time.Minute)
		for key, want := range map[string]cairn.Coding{"before": {K: 2, M: 1}, "during": {K: 2, M: 1}, "after": {K: 1, M: 1}} {
			id := r.packsOf(key)[0]
			row, err := r.idx.Pack(id)
			if key == "during" {
				if !errors.Is(err, cairn.ErrNotExist) {
					t.Errorf("a pack sealed as 2+1 counts as spread on two nodes: %v", row.At)
				}
				row.Params = r.packs[id].file.Sealed().Trailer.Params
			} else if err != nil || row.State != index.Spread {
				t.Errorf("%s: %v, %v", key, row.State, err)
			}
			if row.Params.Coding != want {
				t.Errorf("the pack of %s is coded %v, want %v", key, row.Params.Coding, want)
			}
		}
		r.down(0)
		r.pass(2 * time.Minute)
		must(t, r.Flush(t.Context()))
		r.want("during", content(2, 2000))
	})
}

// Full nodes and a full stage refuse user data and nothing else: a delete is a
// record, and there is room for it.
func TestHazardB8(t *testing.T) {
	simulated(t, 3, coded("2+1"), func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, 2000)))
		must(t, r.put("y", content(2, 2000)))
		full := &fullNodes{}
		r.close()
		r.tune = func(c *Config) { full.Nodes = c.Nodes; c.PackSize, c.Coding, c.Nodes = minPack, "2+1", full }
		r.open()
		full.is.Store(true)
		if err := r.put("z", content(3, 100)); !errors.Is(err, cairn.ErrFull) {
			t.Errorf("put on full nodes: %v", err)
		}
		if _, err := r.Copy(t.Context(), Copy{From: keyOf("x"), To: keyOf("z")}); !errors.Is(err, cairn.ErrFull) {
			t.Errorf("copy on full nodes: %v", err)
		}
		must(t, r.Delete(t.Context(), keyOf("x"), Condition{}))
		must(t, r.Flush(t.Context()))
		r.wantErr("x", cairn.ErrNotExist)
		full.is.Store(false)
		must(t, r.put("z", content(3, 100)))
		r.want("y", content(2, 2000))
	})
}

// fullNodes are nodes that may be filled to the user reserve.
type fullNodes struct {
	Nodes
	is atomic.Bool
}

func (f *fullNodes) Full() bool { return f.is.Load() || f.Nodes.Full() }
