package store

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/race"
)

// hand is observed time that a test moves.
type hand struct {
	mu   sync.Mutex
	now  time.Duration // guarded by mu
	gap  int           // guarded by mu
	asks int           // how often a gap was asked for; guarded by mu
	jump int           // at which ask the machine has slept, 0 for none; guarded by mu
}

func (h *hand) Now() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *hand) Gap() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.asks++; h.asks == h.jump {
		h.gap++
	}
	return h.gap
}

func (h *hand) add(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now += d
}

func (h *hand) sleepAt(ask int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.jump = h.asks + ask
}

// TestHazardB17OnlyObservedTimeDeletes: a clock of the machine that runs ahead passes no grace, and a
// machine that slept in the middle of a plan makes it again before it deletes.
func TestHazardB17OnlyObservedTimeDeletes(t *testing.T) {
	h := &hand{now: time.Hour}
	tune, _ := rooted("1+1")
	simulated(t, 2, func(c *Config) { tune(c); c.Settle, c.Grace, c.Clock = releaseTick, 24*time.Hour, h }, func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, tinyPack)))
		must(t, r.put("y", content(2, tinyPack)))
		r.rest()
		ids := append(r.packsOf("x"), r.packsOf("y")...)
		for _, key := range []string{"x", "y"} {
			must(t, r.Delete(t.Context(), keyOf(key), Condition{}))
		}
		r.retireAll()
		r.pass(3 * time.Hour) // of a clock that nobody believes, as a year would be
		r.reopen()
		r.pass(time.Hour)
		if n := r.fileCount(ids...); n != 4 {
			t.Fatalf("%d files stand, no time was observed", n)
		}
		h.add(23 * time.Hour)
		r.collect()
		if n := r.fileCount(ids...); n != 4 {
			t.Fatalf("%d files stand an hour before the grace is over", n)
		}
		h.add(2 * time.Hour)
		h.sleepAt(2) // after the plan was made
		if out, err := r.Collect(t.Context()); !errors.Is(err, cairn.ErrUnavailable) || out.Deleted != 0 || r.fileCount(ids...) != 4 {
			t.Fatalf("%+v, %v: %d files stand of a plan from before the machine slept", out, err, r.fileCount(ids...))
		}
		r.collect()
		if n := r.fileCount(ids...); n != 0 {
			t.Errorf("%d files are left", n)
		}
	})
}

// TestGracesBeginAgain where the file that knows them, or the clock, is lost.
func TestGracesBeginAgain(t *testing.T) {
	for _, what := range []string{"nothing", "graces", "a torn file", "clock"} {
		t.Run(what, func(t *testing.T) {
			h := &hand{now: 100 * time.Hour}
			tune, _ := rooted("1+1")
			simulated(t, 2, func(c *Config) { tune(c); c.Settle, c.Grace, c.Clock = releaseTick, 24*time.Hour, h }, func(t *testing.T, r *rig) {
				must(t, r.put("x", content(1, tinyPack)))
				r.rest()
				ids := r.packsOf("x")
				must(t, r.Delete(t.Context(), keyOf("x"), Condition{}))
				r.retireAll()
				h.add(23 * time.Hour)
				r.close()
				switch what {
				case "graces":
					must(t, r.fs.Remove("/s/graces"))
				case "a torn file":
					must(t, durable.WriteFile(r.fs, "/s/graces", []byte(graceVersion+"\n1 2 3\n")))
				case "clock":
					h.add(-123 * time.Hour)
				}
				r.open()
				r.collect()
				h.add(2 * time.Hour)
				r.collect()
				if gone := r.fileCount(ids...) == 0; gone != (what == "nothing") {
					t.Errorf("two hours after: gone %v", gone)
				}
				h.add(23 * time.Hour)
				r.collect()
				if n := r.fileCount(ids...); n != 0 {
					t.Errorf("%d files are left", n)
				}
			})
		})
	}
}

// TestHazardA9H3ZombieDeletesOnlyWhatAllAgreeIsDead: who recovered from any root that every node has reads all,
// whatever the gateway before goes on to delete.
func TestHazardA9H3ZombieDeletesOnlyWhatAllAgreeIsDead(t *testing.T) {
	collecting(t, 3, "1+1", func(t *testing.T, r *rig, roots *rootFile) {
		want := r.mixed(t)
		r.rest()
		r.checkpoint()
		r.compact(Compaction{})
		r.retireAll()
		successor := &rig{tb: t, disk: durable.NewMem(), id: r.id, gate: r.gate, key: r.key, nodes: r.nodes, tune: func(c *Config) {
			r.tune(c)
			c.Roots = &rootFile{roots: roots.roots}
		}}
		successor.fs = successor.disk
		t.Cleanup(successor.shut)
		successor.recover(r.base(roots))
		successor.wantAll(want)
		was := len(r.shards())
		r.pass(3 * eon) // the zombie wakes and deletes
		if len(r.shards()) >= was {
			t.Fatal("the zombie deleted nothing")
		}
		successor.wantAll(want)
		successor.shut()
		again := &rig{tb: t, disk: durable.NewMem(), id: r.id, gate: r.gate, key: r.key, nodes: r.nodes, tune: successor.tune}
		again.fs = again.disk
		t.Cleanup(again.shut)
		again.recover(r.base(roots))
		again.wantAll(want)
		again.shut()
	})
}

// TestHazardB8AFullStoreFreesItself: at the reserve user data is refused and
// deletes work; what is dead goes, what is half dead is rewritten within the
// reserve, and the nodes are almost empty when everything is deleted.
func TestHazardB8AFullStoreFreesItself(t *testing.T) {
	for i, keep := range []int{5, 0} { // every so many objects stay
		if !race.Few(i, 2, 1) {
			continue
		}
		t.Run(fmt.Sprint("one of ", keep), func(t *testing.T) {
			collecting(t, 3, "1+1", func(t *testing.T, r *rig, roots *rootFile) {
				const capacity = 6 << 20
				roots.set(2, 0)
				r.close()
				for _, n := range r.nodes {
					n.mem.Capacity = capacity
				}
				r.open()
				n := 0
				for ; n < 1000; n++ {
					if err := r.put(fmt.Sprint(n), content(uint64(n), 40_000)); err != nil {
						if !errors.Is(err, cairn.ErrFull) {
							t.Fatal(err)
						}
						break
					}
					if n%2 == 0 {
						r.rest()
					}
					if n%10 == 0 {
						r.pass(time.Minute) // nodes tell their space
					}
				}
				if n == 1000 {
					t.Fatal("the nodes never filled up")
				}
				left := 0
				for i := range n {
					if keep > 0 && i%keep == 0 {
						left++
						continue
					}
					must(t, r.Delete(t.Context(), keyOf(fmt.Sprint(i)), Condition{}))
				}
				for range 12 {
					must(t, r.Delete(t.Context(), keyOf("none"), Condition{}))
					must(t, r.SetCoding(t.Context(), "1+1"))
					r.rest()
					r.checkpoint()
					r.pass(3 * eon)
				}
				var used int64
				for _, node := range r.nodes {
					used += r.Used(node.ID)
				}
				if most := int64(capacity)/2 + int64(left*2*40_000*3/2); used > most {
					t.Errorf("%d bytes are used of %d with %d objects left, at most %d are wanted", used, 3*capacity, left, most)
				}
				must(t, r.put("again", content(1, 40_000)))
				if keep > 0 {
					for i := 0; i < n; i += keep {
						r.want(fmt.Sprint(i), content(uint64(i), 40_000))
					}
				}
			})
		})
	}
}
