package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store/stage"
)

// A disk that fails for long: each write is answered, what has to be taken back
// does not grow with the failures, and when the disk is well so is the store.
func TestADiskThatFailsForLong(t *testing.T) {
	simulated(t, 2, coded("1+1"), func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, 100)))
		var sick atomic.Bool
		r.watch(afterPackSync(func(durable.Step) error {
			if sick.Load() {
				return errFault
			}
			return nil
		}))
		sick.Store(true)
		for i := range 40 {
			if err := r.put("x", content(2, 100+i)); !errors.Is(err, cairn.ErrUnavailable) {
				t.Fatalf("put %d: %v", i, err)
			}
			if err := r.Delete(t.Context(), keyOf("x"), Condition{}); !errors.Is(err, cairn.ErrUnavailable) {
				t.Fatalf("delete %d: %v", i, err)
			}
		}
		sick.Store(false)
		must(t, r.put("y", content(3, 100)))
		r.want("x", content(1, 100))
		r.mu.Lock()
		voids := 0
		for _, p := range r.packs {
			for _, rec := range p.records {
				if _, is := rec.Body.(pack.Void); is {
					voids++
				}
			}
		}
		r.mu.Unlock()
		if voids != 1 {
			t.Errorf("%d records are taken back, want the one that was logged", voids)
		}
		r.crash(100, 1)
		r.open()
		r.want("x", content(1, 100))
		r.want("y", content(3, 100))
		must(t, r.Flush(t.Context()))
		r.chained()
	})
}

// The record of a large object is logged and its sync fails: its packs stay as
// long as the record may be found, and go when it is taken back.
func TestTheBytesOfAFailedRecordStayUntilItIsTakenBack(t *testing.T) {
	for _, percent := range []int{0, 100} {
		simulated(t, 2, settled, func(t *testing.T, r *rig) {
			const size = 2*tinyPack + 100
			unsealed := r.unsealed() // a seal would say that the failed group is no more
			unsealed.is.Store(true)
			var fail atomic.Bool
			r.watch(afterPackSync(func(s durable.Step) error {
				r.mu.Lock()
				defer r.mu.Unlock()
				for id, p := range r.packs {
					if strings.Contains(s.Name, id.String()) && p.file.Kind == pack.Log && fail.CompareAndSwap(true, false) {
						return errFault
					}
				}
				return nil
			}))
			must(t, r.put("x", content(1, 100)))
			fail.Store(true)
			if err := r.put("x", content(2, size)); !errors.Is(err, cairn.ErrUnavailable) {
				t.Fatalf("put: %v", err)
			}
			r.want("x", content(1, 100))
			left := r.disk.Crash(percent, 1)
			unsealed.is.Store(false)
			must(t, r.put("z", nil))
			r.pass(2 * retryMost)
			r.nothingLeft(t, "taken back")
			r.want("x", content(1, 100))
			r.shut()
			r.disk, r.fs = left, left
			r.open()
			got, err := r.get("x")
			if !same(got, err, content(2, size)) { // the sync worked: at 0 % kept, too
				t.Errorf("%d %% kept: x is %d bytes, %v", percent, len(got), err)
			}
			must(t, r.Flush(t.Context()))
			r.nothingLeft(t, "after a power loss")
		})
	}
}

// The first group of a log stage fails and the stage cannot be removed either:
// its number is given to the next, and after a restart only that one counts.
func TestANumberIsGivenTwice(t *testing.T) {
	for _, released := range []bool{false, true} {
		simulated(t, 2, settled, func(t *testing.T, r *rig) {
			must(t, r.put("x", content(1, 100)))
			var fail, stuck atomic.Bool
			after := afterPackSync(func(durable.Step) error {
				if fail.CompareAndSwap(true, false) {
					return errFault
				}
				return nil
			}).After
			r.watch(durable.Hook{After: after, Before: func(s durable.Step) error {
				if isStage(s) && s.Op == durable.OpRemove && stuck.CompareAndSwap(true, false) {
					return errFault
				}
				return nil
			}})
			must(t, r.Flush(t.Context()))
			fail.Store(true)
			stuck.Store(true)
			if err := r.put("x", content(2, 100)); !errors.Is(err, cairn.ErrUnavailable) {
				t.Fatalf("put: %v", err)
			}
			must(t, r.put("y", content(3, 100)))
			if released {
				must(t, r.Flush(t.Context()))
				r.pass(soon)
			}
			if fail.Load() || stuck.Load() {
				t.Fatal("the faults were not met, this test saw nothing")
			}
			r.crash(100, 1)
			r.open()
			r.want("x", content(1, 100))
			r.want("y", content(3, 100))
			must(t, r.put("z", content(4, 100)))
			must(t, r.Flush(t.Context()))
			r.chained()
			r.pass(soon)
			if n := len(stageFiles(t, r.fs)); n != 0 {
				t.Errorf("%d stages are left: %v", n, r.phases())
			}
		})
	}
}

// gated are nodes whose work waits for a gate.
type gated struct {
	Nodes
	op   atomic.Value // which: "scatter" or "verify"
	met  chan struct{}
	open chan struct{}
}

func (g *gated) pass(op string) {
	if g.op.CompareAndSwap(op, "") {
		close(g.met)
		<-g.open
	}
}

func (g *gated) Scatter(ctx context.Context, s *pack.Sealed, have []cairn.Location, intend func([]cairn.Location) error) ([]cairn.Location, error) {
	at, err := g.Nodes.Scatter(ctx, s, have, intend)
	g.pass("scatter")
	return at, err
}

func (g *gated) Verify(ctx context.Context, p pack.Params, at []cairn.Location) []cairn.Location {
	g.pass(map[bool]string{true: "verify", false: "look"}[len(at) > 0])
	return g.Nodes.Verify(ctx, p, at)
}

// A PUT fails while a pack of its body is being scattered, or released: nothing
// refers to the pack, and the index says so when the work is done.
func TestAPackIsGivenUpWhileItIsWorkedOn(t *testing.T) {
	for _, op := range []string{"scatter", "verify"} {
		simulated(t, 2, nil, func(t *testing.T, r *rig) {
			g := &gated{met: make(chan struct{}), open: make(chan struct{})}
			r.close()
			r.tune = func(c *Config) {
				settled(c)
				g.Nodes = c.Nodes
				c.PackSize, c.Nodes = minPack, g
			}
			r.open()
			must(t, r.Flush(t.Context()))
			r.pass(soon)
			g.op.Store(op)
			up := r.upload("x", -1)
			up.give(content(1, tinyPack+tinySmall))
			<-g.met
			if err := up.end(io.ErrUnexpectedEOF); err == nil {
				t.Error("a body that was cut short is stored")
			}
			close(g.open)
			r.nothingLeft(t, op)
			retiring := 0
			for row, err := range r.idx.Packs(cairn.PackID{}) {
				must(t, err)
				if row.Kind == pack.Data && row.State == index.Retiring {
					retiring++
				}
			}
			if retiring != 1 {
				t.Errorf("%s: %d packs wait to be collected, want 1", op, retiring)
			}
			if st, err := r.Status(t.Context()); err != nil || st.Packs != 1 {
				t.Errorf("%s: %d packs are counted on nodes, want the log, %v", op, st.Packs, err)
			}
		})
	}
}

// A data stage rots before it is sealed: it is never signed, its log pack is not
// published, a flush says why, and all else is served.
func TestARottenDataStageIsNeverSigned(t *testing.T) {
	simulated(t, 2, coded("1+1"), func(t *testing.T, r *rig) {
		r.down(2)
		must(t, r.put("x", content(1, tinyPack+tinySmall+100)))
		must(t, r.put("y", content(2, 100)))
		id := r.packsOf("x")[0]
		left := r.disk.Crash(0, 1)
		r.shut()
		r.disk, r.fs = left, left
		flip(t, r.fs, stage.Name("/s/stage", id), 4096+70_000)
		f, err := stage.Open(r.fs, "/s/stage", id, r.id)
		must(t, err)
		if f.Sealed() != nil { // the spreader was faster: a torn seal is none
			flip(t, r.fs, stage.Name("/s/stage", id), 4096+int64(f.Capacity)+20)
		}
		must(t, f.Close())
		r.open()
		r.down(0)
		r.pass(2 * time.Minute)
		start := time.Now()
		if err := r.Flush(t.Context()); !errors.Is(err, cairn.ErrCorrupt) || time.Since(start) > time.Second {
			t.Errorf("flush: %v after %v", err, time.Since(start))
		}
		st, err := r.Status(t.Context())
		if err != nil || len(st.Damage) != 1 || !strings.Contains(st.Damage[0], id.String()) {
			t.Errorf("damage told: %q, %v", st.Damage, err)
		}
		r.want("y", content(2, 100))
		r.wantErr("x", cairn.ErrCorrupt)
		for seen, s := range r.survey() {
			for _, rec := range s.Records {
				if p, ok := rec.Body.(pack.Put); ok && p.Key == "x" {
					t.Errorf("log pack %v is published although a pack that it names is not", seen)
				}
			}
			if seen == id {
				t.Error("the rotten pack was signed and published")
			}
		}
		must(t, r.put("x", content(3, 300)))
		r.want("x", content(3, 300))
	})
}

// A write that the index cannot take is durable, and nothing more is logged
// behind it, so that no stamp is given twice.
func TestNothingIsLoggedBehindAnIndexThatFailed(t *testing.T) {
	simulated(t, 2, coded("1+1"), func(t *testing.T, r *rig) {
		hold, syncs := make(chan struct{}), 0
		r.watch(onPackSync(func(durable.Step) error {
			if syncs++; syncs == 1 {
				<-hold
			}
			return nil
		}))
		errs := make(chan error, 10)
		go func() { errs <- r.put("first", nil) }()
		r.pass(0)
		go func() {
			defer r.com.begin()()
			errs <- r.com.submit(t.Context(), &op{recs: 100, alone: true, build: func(t *txn) error {
				return t.log(pack.Unknown{Of: 200, Critical: true})
			}})
		}()
		r.pass(0)
		for i := range 4 {
			go func() { errs <- r.CreateBucket(t.Context(), fmt.Sprint("new", i)) }()
			r.pass(0)
		}
		close(hold)
		must(t, <-errs)
		for range 5 {
			if err := <-errs; !errors.Is(err, cairn.ErrUnavailable) {
				t.Errorf("answered %v", err)
			}
		}
		r.shut()
		seen := make(map[cairn.Stamp]bool)
		for _, id := range stageFiles(t, r.fs) {
			f, err := stage.Open(r.fs, "/s/stage", id, r.id)
			must(t, err)
			scan, err := f.ScanLog(r.key.Pack(id, f.Prefix))
			must(t, err)
			for _, rec := range scan.Records {
				if seen[rec.Stamp] {
					t.Errorf("stamp %v is given twice", rec.Stamp)
				}
				seen[rec.Stamp] = true
			}
			must(t, f.Close())
		}
	})
}
