package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/index"
)

// allowed is Traffic that notes what it is asked for.
type allowed struct {
	mu    sync.Mutex
	reads map[cairn.NodeID]int64
	puts  int64 // bytes
	poor  cairn.NodeID
	none  bool         // nothing may be put
	then  func() error // what each call returns, unless nil
}

func (a *allowed) Spend(_ context.Context, node cairn.NodeID, n int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.reads == nil {
		a.reads = make(map[cairn.NodeID]int64)
	}
	a.reads[node] += n
	return a.end()
}

func (a *allowed) SpendPuts(_ context.Context, n int, size int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.none {
		return fleet.ErrBudget
	}
	a.puts += int64(n) * size
	return a.end()
}

func (a *allowed) end() error {
	if a.then == nil {
		return nil
	}
	return a.then()
}

func (a *allowed) Affords(node cairn.NodeID, _ int64) bool { return node != a.poor }

func (a *allowed) Within(ctx context.Context) context.Context { return fleet.Thrifty(ctx) }

// TestCompactionSpendsWhatItMoves with each node: what it reads there, nothing for
// what is staged, and what it puts.
func TestCompactionSpendsWhatItMoves(t *testing.T) {
	collecting(t, 3, "2+1", func(t *testing.T, r *rig, _ *rootFile) {
		must(t, r.put("a", content(1, tinyPack)))
		must(t, r.Flush(t.Context()))
		// Staged yet: nobody is asked.
		staged := &allowed{}
		r.compact(Compaction{Traffic: staged, Want: func(row index.PackRow, _ uint64) bool { return true }})
		if len(staged.reads) > 0 {
			t.Errorf("staged bytes cost %v", staged.reads)
		}
		r.rest()
		moved := func() (all map[cairn.NodeID]int64) {
			all = make(map[cairn.NodeID]int64)
			nodes, _ := r.fleet.Status()
			for _, n := range nodes {
				all[n.ID] = n.Traffic
			}
			return all
		}
		before := moved()
		a := &allowed{}
		out := r.compact(Compaction{Traffic: a})
		if out.Packs == 0 {
			t.Fatalf("%+v", out)
		}
		sum, real := int64(0), int64(0)
		for id, now := range moved() {
			sum, real = sum+a.reads[id], real+now-before[id]
		}
		// Tails, contents and read-backs come on top, as with all that is moved.
		if spent := sum + a.puts; sum < out.Live || a.puts < out.Live*3/2 || spent > real || spent < real*7/10 {
			t.Errorf("spent %d on reads and %d on puts, for %d live bytes and %d moved", sum, a.puts, out.Live, real)
		}
		r.want("a", content(1, tinyPack))
	})
}

// TestCompactionLeavesWhatANodeCannotAfford, and goes on with the rest.
func TestCompactionLeavesWhatANodeCannotAfford(t *testing.T) {
	collecting(t, 3, "1+1", func(t *testing.T, r *rig, _ *rootFile) {
		const packs = 12
		for i := range packs {
			must(t, r.put(fmt.Sprint(i), content(uint64(i), tinyPack)))
			r.rest()
		}
		row, err := r.Pack(r.packsOf("0")[0])
		must(t, err)
		a := &allowed{}
		for _, l := range row.At {
			if l.Index == 0 { // which is where it is read from
				a.poor = l.Node
			}
		}
		out := r.compact(Compaction{Traffic: a})
		if out.Dear == 0 || out.Packs == 0 || a.reads[a.poor] > 0 {
			t.Errorf("%+v, read %v", out, a.reads)
		}
		a.poor, a.none = cairn.NodeID{}, true
		if _, err := r.Compact(t.Context(), Compaction{Traffic: a, Want: everything}, nil); !errors.Is(err, cairn.ErrFull) {
			t.Errorf("nothing may be put: %v", err)
		}
		for i := range packs {
			r.want(fmt.Sprint(i), content(uint64(i), tinyPack))
		}
	})
}

// TestAVerbLeavesFullNodesTheirReserve: what a person compacts or codes anew on
// full nodes is no more than the background would, however often it is asked for:
// deletes need the rest. A purge is urgent.
func TestAVerbLeavesFullNodesTheirReserve(t *testing.T) {
	full := &scarceNodes{}
	tune, _ := rooted("1+1")
	simulated(t, 2, func(c *Config) {
		tune(c)
		c.Settle, c.Grace = releaseTick, eon
		full.Nodes = c.Nodes
		c.Nodes = full
	}, func(t *testing.T, r *rig) {
		for i := range 12 {
			must(t, r.put(fmt.Sprint(i), content(uint64(i), tinyPack)))
		}
		r.rest()
		full.is.Store(true)
		full.spare = 8 * 5 * tinyPack // a quarter, coded 1+1: five packs of content
		var live int64
		for range 3 {
			out, err := r.Compact(t.Context(), Compaction{Want: everything}, nil)
			if !errors.Is(err, cairn.ErrFull) {
				t.Errorf("on full nodes: %+v, %v", out, err)
			}
			live += out.Live
		}
		if live == 0 || live > 5*tinyPack {
			t.Errorf("%d bytes written anew, want some and at most %d", live, 5*tinyPack)
		}
		for i := range 12 {
			must(t, r.Delete(t.Context(), keyOf(fmt.Sprint(i)), Condition{}))
		}
	})
}

// scarceNodes are full, with so much of their reserve left.
type scarceNodes struct {
	fullNodes
	spare int64
}

func (s *scarceNodes) Spare() int64 { return s.spare }
