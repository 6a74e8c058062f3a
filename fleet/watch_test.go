package fleet

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/pack"
)

// TestNodesComeBackByThemselves: after whatever outage the watcher finds that a
// node answers, without any other call, soon after its breaker lets it.
func TestNodesComeBackByThemselves(t *testing.T) {
	for _, outage := range []time.Duration{10 * time.Second, time.Minute, 3 * time.Hour} {
		t.Run(outage.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 2)
				synctest.Wait()
				n := r.nodes[0]
				if s := r.state(n); s.State != "ok" || !s.Known {
					t.Fatalf("at first: %+v", s)
				}
				gone := r.Changed()
				n.faulty.SetDown(true)
				for range 3 { // somebody notices; the watcher alone would within a minute
					_ = r.node(n.ID).present(t.Context())
				}
				wantClosed(t, gone, "it went")
				if s := r.state(n); s.State != "down" || s.Why == "" || time.Since(s.Since) != 0 {
					t.Errorf("down: %+v", s)
				}
				wait(outage)
				back := r.Changed()
				n.faulty.SetDown(false)
				wait(min(2*outage, coolMost) + r.c.Watch)
				wantClosed(t, back, "it came back")
				if s := r.state(n); s.State != "ok" {
					t.Errorf("after %v of outage: %+v", outage, s)
				}
			})
		})
	}
}

func wantClosed(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	synctest.Wait()
	select {
	case <-c:
	default:
		t.Errorf("Changed did not fire when %s", what)
	}
}

// TestTheWatcherNoticesByItself: a node nobody calls goes down within the time
// between two looks and three tries; one that hangs needs its patience too, and
// keeps none of the others waiting.
func TestTheWatcherNoticesByItself(t *testing.T) {
	for _, x := range []struct {
		fate backendtest.Fate
		most time.Duration
	}{
		{backendtest.Fails, spaceEvery + 3*2*time.Second},
		{backendtest.Hangs, spaceEvery + 3*(probeTime+2*time.Second)},
	} {
		t.Run(x.fate.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 2)
				synctest.Wait()
				r.nodes[0].faulty.SetChoose(backendtest.Always(x.fate))
				wait(x.most)
				if s := r.state(r.nodes[0]); s.State != "down" {
					t.Fatalf("%+v", s)
				}
				r.nodes[1].faulty.SetDown(true)
				for range 3 {
					_ = r.node(r.nodes[1].ID).present(t.Context())
				}
				r.nodes[1].faulty.SetDown(false)
				wait(coolFirst + 2*time.Second)
				if s := r.state(r.nodes[1]); s.State != "ok" {
					t.Errorf("the other: %+v", s)
				}
				r.nodes[0].faulty.SetChoose(nil)
				wait(coolMost + 2*time.Second)
				if s := r.state(r.nodes[0]); s.State != "ok" {
					t.Errorf("back again: %+v", s)
				}
			})
		})
	}
}

func TestStatesInWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 5, unwatched)
		synctest.Wait()
		late := r.addNode()
		late.faulty.SetChoose(backendtest.Always(backendtest.Hangs))
		r.nodes[1].State = "draining"
		r.set(r.nodes...)
		_ = r.node(r.nodes[2].ID).link.setFull(time.Now())
		r.fall(r.node(r.nodes[3].ID), cairn.ErrCorrupt)
		r.nodes[4].faulty.SetDown(true)
		for range 3 {
			_ = r.node(r.nodes[4].ID).present(t.Context())
		}
		synctest.Wait()
		for i, want := range []string{"ok", "draining", "full", "quarantined", "down", "new"} {
			s := r.state(r.nodes[i])
			if s.State != want || (s.Why == "") != (want == "ok" || want == "new") {
				t.Errorf("%s: %+v, want %s", s.Name, s, want)
			}
		}
		var takes []string
		for _, c := range r.candidates(true, time.Now()) {
			if c.Weight > 0 {
				takes = append(takes, r.at(c.Node).Name)
			}
		}
		if len(takes) != 2 || takes[0] != "n1" || takes[1] != "n6" {
			t.Errorf("nodes that take shards: %v", takes)
		}
		must(t, r.Reset(r.nodes[3].ID))
		r.nodes[4].faulty.SetDown(false)
		must(t, r.Reset(r.nodes[4].ID))
		synctest.Wait()
		for _, i := range []int{3, 4} {
			if s := r.state(r.nodes[i]); s.State != "ok" {
				t.Errorf("after a reset: %+v", s)
			}
		}
		wantClass(t, "reset of none", r.Reset(cairn.NodeID{99}), cairn.ErrNotExist)
	})
}

// TestSetNodesKeepsConnectionsOfNodesThatStay, under a new name too, and ends
// those of others without waiting for them.
func TestSetNodesKeepsConnectionsOfNodesThatStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3)
		synctest.Wait()
		r.nodes[0].Name, r.nodes[0].State = "renamed", "draining"
		r.nodes[1].Credential = []byte("new")
		changed := r.Changed()
		r.set(r.nodes[0], r.nodes[1], r.nodes[1])
		wantClosed(t, changed, "nodes were set")
		synctest.Wait()
		if all, _ := r.Status(); len(all) != 2 || all[0].Name != "renamed" || all[0].State != "draining" || all[1].State != "ok" {
			t.Errorf("%+v", all)
		}
		for i, want := range []int{1, 2, 1} {
			if got := r.nodes[i].opened; got != want {
				t.Errorf("n%d was connected %d times, want %d", i+1, got, want)
			}
		}
	})
}

func TestAfterCloseEverythingIsUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		sp := r.spread(coding("1+1"), 100*kib)
		must(t, r.Close())
		wantClass(t, "read", r.tryRead(sp, 0, 10, 0), cairn.ErrUnavailable)
		_, err := r.Scatter(t.Context(), sp.Sealed, nil, noIntent)
		wantClass(t, "scatter", err, cairn.ErrUnavailable)
		_, err = r.Coding("auto")
		wantClass(t, "coding", err, cairn.ErrUnavailable)
		wantClass(t, "nodes", r.SetNodes(t.Context(), nil), cairn.ErrUnavailable)
	})
}

// TestHangingNodesAreGivenUpInTime has nodes that answer nothing and do not
// even heed their context, behind a Deadline as in a real fleet.
func TestHangingNodesAreGivenUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var holes sync.Map // of *hole by node
		config := backends.DeadlineConfig{Small: 5 * time.Second, PerMiB: time.Second}
		r := newRig(t, 4, func(c *Config) {
			open := c.Open
			c.Open = func(ctx context.Context, n pack.Node) (backends.Remote, error) {
				inner, err := open(ctx, n)
				h, _ := holes.LoadOrStore(n.ID, &hole{Remote: inner})
				return backends.Deadline(h.(*hole), config), err
			}
		})
		sp := r.spread(coding("2+1"), 100*kib)
		wait(time.Second)
		end := make(chan struct{})
		bad, _ := r.holder(sp, 0)
		h, _ := holes.Load(bad.ID)
		h.(*hole).set(end)

		began := time.Now()
		r.read(sp, 0, 64*kib, 0)
		if took := time.Since(began); took > hedgeBlind+hedgeLeast {
			t.Errorf("a hedged read took %v", took)
		}
		began = time.Now()
		if got := r.Verify(t.Context(), sp.Params, sp.where); len(got) != 2 || time.Since(began) > 6*time.Second {
			t.Errorf("%d stand, after %v", len(got), time.Since(began))
		}
		began = time.Now()
		at, err := r.Scatter(t.Context(), r.seal(coding("2+1"), 100*kib).Sealed, nil, noIntent)
		if took := time.Since(began); err != nil || took > 12*time.Second { // a put, then a look whether it worked
			t.Errorf("%v, %v, after %v", at, err, took)
		}
		began = time.Now()
		if _, err := r.Survey(t.Context()); err == nil || time.Since(began) > 21*time.Second {
			t.Errorf("survey: %v, after %v", err, time.Since(began))
		}
		close(end)
		wait(coolMost + 10*time.Second)
		if s := r.state(bad); s.State != "ok" {
			t.Errorf("%+v", s)
		}
	})
}

// TestALongOutageEndsWithANewConnection: one that broke in a way that its
// transport does not notice is not kept for ever.
func TestALongOutageEndsWithANewConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		defer close(end)
		var connections atomic.Int32
		first := &hole{}
		r := newRig(t, 1, func(c *Config) {
			open := c.Open
			c.Open = func(ctx context.Context, n pack.Node) (backends.Remote, error) {
				inner, err := open(ctx, n)
				if connections.Add(1) == 1 {
					first.Remote = inner
					inner = first
				}
				return backends.Deadline(inner, backends.DeadlineConfig{}), err
			}
		})
		wait(time.Second)
		first.set(end)
		wait(2 * time.Minute)
		if s := r.state(r.nodes[0]); s.State != "down" {
			t.Fatalf("%+v", s)
		}
		wait(5 * time.Minute)
		if s := r.state(r.nodes[0]); s.State != "ok" || connections.Load() != 2 {
			t.Errorf("%+v on connection %d", s, connections.Load())
		}
	})
}
