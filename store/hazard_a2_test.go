package store

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

// overtaken leaves stage A with "x" v1 staged, since a pack that it names cannot
// be spread, and then a later pack with change spread and released.
func overtaken(t *testing.T, r *rig, change func()) {
	t.Helper()
	r.fates(backendtest.On(backendtest.Fails, backends.OpPut))
	must(t, r.put("held", content(1, 300<<10)))
	must(t, r.put("x", content(2, 2000)))
	held := r.packsOf("x")[0] // of both records
	r.fates(without(r.packsOf("held")...))
	if err := r.Flush(t.Context()); !errors.Is(err, cairn.ErrUnavailable) {
		t.Fatalf("flush: %v", err)
	}
	change()
	if err := r.Flush(t.Context()); !errors.Is(err, cairn.ErrUnavailable) {
		t.Fatalf("flush: %v", err)
	}
	r.pass(soon) // settled, released
	r.mu.Lock()
	defer r.mu.Unlock()
	left := 0
	for id, p := range r.packs {
		if p.file.Kind == pack.Log {
			left++
			if id != held {
				t.Errorf("log pack %d is still staged", p.file.Number)
			}
		}
	}
	if left != 1 {
		t.Fatalf("%d log packs are staged, want the one held back", left)
	}
}

// settled releases stages as soon as their packs are spread: within soon.
func settled(c *Config) { c.Coding, c.Settle = "1+1", releaseTick }

const soon = 10 * releaseTick

// The stage of an older version is replayed after the newer one's was released.
func TestHazardA2H1(t *testing.T) {
	simulated(t, 3, settled, func(t *testing.T, r *rig) {
		overtaken(t, r, func() { must(t, r.put("x", content(3, 3000))) })
		r.crash(0, 1)
		r.open()
		r.want("x", content(3, 3000))
		r.want("held", content(1, 300<<10))
	})
}

// The same after a delete: the object stays deleted.
func TestHazardA2H2(t *testing.T) {
	simulated(t, 3, settled, func(t *testing.T, r *rig) {
		overtaken(t, r, func() { must(t, r.Delete(t.Context(), keyOf("x"), Condition{})) })
		r.crash(0, 1)
		r.open()
		r.wantErr("x", cairn.ErrNotExist)
		r.want("held", content(1, 300<<10))
	})
}

// A group was logged and never acknowledged. Whether it survived or not, no
// later write gets a stamp of it, in this life or the next, and the next life
// says where the one before ended.
func TestHazardA2H3(t *testing.T) {
	for _, percent := range []int{0, 100} {
		for _, failed := range []bool{false, true} {
			simulated(t, 3, coded("1+1"), func(t *testing.T, r *rig) {
				must(t, r.put("a", content(1, 100)))
				var left atomic.Pointer[durable.Mem]
				armed := true
				r.watch(onPackSync(func(durable.Step) error {
					if !armed {
						return nil
					}
					armed = false
					left.Store(r.disk.Crash(percent, 1))
					if failed {
						return errors.New("sync failed")
					}
					return nil
				}))
				lost, err := r.Put(t.Context(), putOf("x", content(2, 100)))
				if failed != errors.Is(err, cairn.ErrUnavailable) {
					t.Fatalf("put: %v", err)
				}
				if failed { // this life goes on
					next, err := r.Put(t.Context(), putOf("x", content(3, 100)))
					must(t, err)
					if next.Stamp.LSN <= lost.Stamp.LSN || lost.Stamp.IsZero() {
						t.Errorf("stamp %v after %v, which failed", next.Stamp, lost.Stamp)
					}
					lost = next
				}
				r.shut()
				r.disk, r.fs = left.Load(), left.Load()
				r.open()
				now, err := r.Put(t.Context(), putOf("y", content(4, 100)))
				must(t, err)
				if now.Stamp.Life <= lost.Stamp.Life || now.Stamp.LSN <= lost.Stamp.LSN {
					t.Errorf("%d %% kept: stamp %v after %v of the life before", percent, now.Stamp, lost.Stamp)
				}
				lives := r.idx.Lives()
				end := lives[len(lives)-1].Last
				if o, err := r.Stat(t.Context(), keyOf("x")); err == nil && end.Compare(o.Stamp) < 0 {
					t.Errorf("%d %% kept: the life says that the last was %v, x is of %v", percent, end, o.Stamp)
				}
			})
		}
	}
}

// A stage was released and its removal was lost with the power, after what
// would contradict it was forgotten: it is known as released, its records are
// not applied again, and it goes in the end.
func TestHazardA2H4(t *testing.T) {
	simulated(t, 3, settled, func(t *testing.T, r *rig) {
		var lose atomic.Bool
		r.watch(durable.Hook{Before: func(s durable.Step) error {
			if lose.Load() && s.Op == durable.OpSyncDir && strings.HasSuffix(s.Name, "stage") {
				return errors.New("sync failed")
			}
			return nil
		}})
		must(t, r.put("x", content(1, 3000)))
		must(t, r.Flush(t.Context()))
		must(t, r.Delete(t.Context(), keyOf("x"), Condition{}))
		must(t, r.Flush(t.Context()))
		lose.Store(true)
		r.pass(soon)
		if n := len(stageFiles(t, r.fs)); n != 0 {
			t.Fatalf("%d stages were not released", n)
		}
		must(t, r.idx.Flush()) // the tombstones are gone for good
		r.crash(0, 1)
		if n := len(stageFiles(t, r.fs)); n < 2 {
			t.Fatalf("%d stages came back, this test saw nothing", n)
		}
		r.open()
		r.wantErr("x", cairn.ErrNotExist)
		if p := r.phases(); p[closed]+p[sealed] != 0 {
			t.Errorf("stages that were released count as only here: %v", p)
		}
		r.pass(soon)
		if n := len(stageFiles(t, r.fs)); n != 0 {
			t.Errorf("%d stages that came back are still here", n)
		}
		r.wantErr("x", cairn.ErrNotExist)
	})
}

// Records live in log packs only, whose numbers have no gap and of which each
// names the one before; so a record of an upload that began long ago is in a
// pack newer than all that came meanwhile.
func TestHazardA3(t *testing.T) {
	simulated(t, 3, coded("1+1"), func(t *testing.T, r *rig) {
		up := r.upload("slow", -1)
		up.give(content(1, 300<<10))
		for i := range uint64(3) {
			must(t, r.put("x", content(10+i, 2000)))
			must(t, r.Flush(t.Context()))
		}
		up.give(content(2, 200<<10))
		must(t, up.end(nil))
		must(t, r.Flush(t.Context()))
		logs := make(map[uint64]seen)
		for id, s := range r.survey() {
			switch s.Kind {
			case pack.Log:
				logs[s.Number] = s
			default:
				if len(s.Records) > 0 {
					t.Errorf("%v pack %v carries %d records", s.Kind, id, len(s.Records))
				}
			}
		}
		for n := uint64(2); n <= uint64(len(logs)); n++ {
			if logs[n].Number != n || logs[n].Prev != logs[n-1].SealHash() {
				t.Errorf("log pack %d is missing or does not name the one before", n)
			}
		}
		last := logs[uint64(len(logs))].Records
		if p, ok := last[len(last)-1].Body.(pack.Put); !ok || p.Key != "slow" {
			t.Errorf("the last record of the last log pack is %+v", last[len(last)-1])
		}
	})
}
