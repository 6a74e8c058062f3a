package store

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// Close while writes of every kind are under way: each gets an answer, those
// acknowledged are there afterwards, the others are whole or absent, no stage is
// left without an owner and no goroutine runs on (the bubble would not end).
func TestCloseDuringWrites(t *testing.T) {
	for round := range 4 {
		simulated(t, 3, settled, func(t *testing.T, r *rig) {
			var wg sync.WaitGroup
			var mu sync.Mutex
			acked := make(map[string]int)
			sizes := []int{0, 2000, tinySmall + 1, 2*tinyPack + 3}
			stop := make(chan struct{})
			for i := range 12 {
				wg.Go(func() {
					for n := 0; ; n++ {
						select {
						case <-stop:
							return
						default:
						}
						key, size := fmt.Sprint("k", i, ".", n), sizes[(i+n)%len(sizes)]
						err := r.put(key, content(uint64(i), size))
						switch {
						case err == nil:
							mu.Lock()
							acked[key] = size
							mu.Unlock()
						case errors.Is(err, cairn.ErrUnavailable):
							return
						default:
							t.Errorf("put during close: %v", err)
							return
						}
					}
				})
			}
			slow := r.upload("slow", -1)
			slow.give(content(1, tinyPack+tinySmall))
			r.pass(time.Duration(round*3) * time.Millisecond)
			s, fleet := r.Store, r.fleet
			must(t, s.Close(t.Context()))
			slow.give(content(2, 3*tinyPack))
			if err := slow.end(nil); !errors.Is(err, cairn.ErrUnavailable) {
				t.Errorf("a body that goes on after the close: %v", err)
			}
			close(stop)
			wg.Wait()
			must(t, fleet.Close())
			r.Store = nil
			r.open()
			mu.Lock()
			defer mu.Unlock()
			for key, size := range acked {
				var i, n int
				_, err := fmt.Sscanf(key, "k%d.%d", &i, &n)
				must(t, err)
				r.want(key, content(uint64(i), size))
			}
			r.wantErr("slow", cairn.ErrNotExist)
			must(t, r.Flush(t.Context()))
			r.pass(soon)
			if n := len(stageFiles(t, r.fs)); n != 0 {
				t.Errorf("%d stages are left: %v", n, r.phases())
			}
			if len(acked) == 0 && round > 0 {
				t.Error("nothing was acknowledged, this test saw nothing")
			}
		})
	}
}

// After Close everything answers that the store is not there.
func TestAClosedStoreAnswers(t *testing.T) {
	simulated(t, 2, coded("1+1"), func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, 100)))
		_, src, err := r.Open(t.Context(), keyOf("x"))
		must(t, err)
		s := r.Store
		r.close()
		ctx := t.Context()
		for what, f := range map[string]func() error{
			"put":       func() error { _, err := s.Put(ctx, putOf("y", nil)); return err },
			"large put": func() error { _, err := s.Put(ctx, putOf("y", content(1, 2*tinyPack))); return err },
			"delete":    func() error { return s.Delete(ctx, keyOf("x"), Condition{}) },
			"copy":      func() error { _, err := s.Copy(ctx, Copy{From: keyOf("x"), To: keyOf("y")}); return err },
			"open":      func() error { _, _, err := s.Open(ctx, keyOf("x")); return err },
			"list":      func() error { _, err := s.List(ctx, ListRequest{Bucket: "bbb", Max: 1}); return err },
			"bucket":    func() error { return s.CreateBucket(ctx, "new") },
			"node":      func() error { return s.SetNode(ctx, pack.Node{ID: cairn.NodeID{9}, Name: "n"}) },
			"flush":     func() error { return s.Flush(ctx) },
			"range":     func() error { _, err := src.Range(ctx, 0, 1); return err },
		} {
			if err := f(); !errors.Is(err, cairn.ErrUnavailable) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

// Whoever waits when the store closes is told at once: a flush for its nodes, a
// PUT for room in the stage.
func TestCloseEndsAllWaits(t *testing.T) {
	tune := func(c *Config) { c.Coding, c.StageLimit, c.SlowWait = "1+1", 2<<20, time.Hour }
	simulated(t, 2, tune, func(t *testing.T, r *rig) {
		errs := make(chan error, 2)
		r.down(2)
		for i := range 3 {
			must(t, r.put(fmt.Sprint("k", i), content(1, 2*tinyPack)))
		}
		hold := &hanging{Nodes: r.c.Nodes, begun: make(chan struct{}, 100)}
		r.close()
		r.tune = func(c *Config) { tune(c); c.PackSize = minPack; hold.Nodes = c.Nodes; c.Nodes = hold }
		r.open()
		<-hold.begun // a scatter that hangs
		go func() { errs <- r.put("waits", content(1, 4*tinyPack)) }()
		go func() { errs <- r.Flush(t.Context()) }()
		r.pass(time.Minute)
		start := time.Now()
		must(t, r.Close(t.Context()))
		for range 2 {
			if err := <-errs; !errors.Is(err, cairn.ErrUnavailable) {
				t.Errorf("it was answered %v", err)
			}
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("it took %v", took)
		}
		must(t, r.fleet.Close())
		r.Store = nil
	})
}

// A flush that cannot end says why at once, and says it of a pack that waits
// since long, too; one that can waits for the end.
func TestFlushSaysAtOnceWhy(t *testing.T) {
	simulated(t, 2, settled, func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, 100)))
		r.down(1)
		for _, wait := range []time.Duration{0, time.Second, 10 * time.Minute} {
			r.pass(wait)
			start := time.Now()
			err := r.Flush(t.Context())
			if !errors.Is(err, cairn.ErrUnavailable) || time.Since(start) > time.Second {
				t.Errorf("after %v: %v after %v", wait, err, time.Since(start))
			}
		}
		st, err := r.Status(t.Context())
		if err != nil || len(st.Waiting) != 1 || st.OnlyHere == 0 {
			t.Errorf("status: %+v, %v", st, err)
		}
		r.down(0)
		r.pass(2 * time.Minute)
		must(t, r.Flush(t.Context()))
		if st, err = r.Status(t.Context()); err != nil || len(st.Waiting) != 0 || st.OnlyHere != 0 || st.Packs != 1 {
			t.Errorf("status afterwards: %+v, %v", st, err)
		}
	})
}
