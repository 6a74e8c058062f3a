package store

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

// stageSyncs has every sync of a stage take delay, and notes how many bytes of one
// stage were written since it was synced, at most.
type stageSyncs struct {
	delay time.Duration

	mu    sync.Mutex
	dirty map[string]int64 // guarded by mu, as all below
	most  int64
	n     int
}

func (s *stageSyncs) hook() durable.Hook {
	s.dirty = make(map[string]int64)
	return durable.Hook{Before: func(step durable.Step) error {
		if !strings.HasSuffix(step.Name, ".stage") {
			return nil
		}
		s.mu.Lock()
		switch step.Op {
		case durable.OpWrite:
			s.dirty[step.Name] += step.Len
			s.most = max(s.most, s.dirty[step.Name])
		case durable.OpSync:
			s.dirty[step.Name] = 0
			s.n++
		}
		s.mu.Unlock()
		if step.Op == durable.OpSync {
			<-time.After(s.delay)
		}
		return nil
	}}
}

// take returns what was noted since the last take.
func (s *stageSyncs) take() (most int64, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	most, n = s.most, s.n
	s.most, s.n = 0, 0
	return most, n
}

// sparse puts so many objects of size bytes and takes every other one away again.
func (r *rig) sparse(n, size int) (want map[string][]byte) {
	r.tb.Helper()
	want = make(map[string][]byte)
	for i := range n {
		key, data := fmt.Sprintf("%03d", i), content(uint64(i), size)
		must(r.tb, r.put(key, data))
		want[key] = data
	}
	for i := 0; i < n; i += 2 {
		key := fmt.Sprintf("%03d", i)
		must(r.tb, r.Delete(r.tb.Context(), keyOf(key), Condition{}))
		delete(want, key)
	}
	r.rest()
	return want
}

// TestCompactionWritesInSmallStepsAndRests: no sync of its has much behind it, and
// while a client is served the disk rests as long as it took; not where nobody is
// served, nodes are full, or a person waits for it.
func TestCompactionWritesInSmallStepsAndRests(t *testing.T) {
	for _, x := range []struct {
		what                 string
		client, full, urgent bool
		rests                bool
	}{
		{"beside a client", true, false, false, true},
		{"alone", false, false, false, false},
		{"on full nodes", true, true, false, false},
		{"urgent", true, false, true, false},
	} {
		t.Run(x.what, func(t *testing.T) {
			full := &scarceNodes{spare: 1 << 40}
			tune, _ := rooted("1+1")
			simulated(t, 2, func(c *Config) {
				tune(c)
				c.Settle, c.Grace = releaseTick, eon
				full.Nodes = c.Nodes
				c.Nodes = full
			}, func(t *testing.T, r *rig) {
				syncs := &stageSyncs{delay: 10 * time.Millisecond}
				r.watch(syncs.hook())
				want := r.sparse(60, 16<<10)
				if x.client {
					_, src, err := r.Open(t.Context(), keyOf("001"))
					must(t, err)
					defer src.Close()
					rd, err := src.Range(t.Context(), 0, 10)
					must(t, err)
					defer rd.Close()
				} else {
					r.pass(2 * quietAfter)
				}
				full.is.Store(x.full)
				syncs.take()
				wait := syncs.delay
				began := time.Now()
				done := make(chan Compacted)
				go func() { done <- r.compact(Compaction{Urgent: x.urgent}) }()
				out := <-done
				took := time.Since(began)
				most, n := syncs.take()
				if step := int64(minPack / 8); most > step+16<<10+4096 || n < int(out.Live/step) {
					t.Errorf("%d bytes behind one of %d syncs, for %d live bytes", most, n, out.Live)
				}
				steps := int(out.Live / (minPack / 8))
				if rested := took - time.Duration(n)*wait; (rested >= time.Duration(steps)*wait/2) != x.rests {
					t.Errorf("%d syncs of %v, of which %d or so were of moved frames, took %v", n, wait, steps, took)
				}
				full.is.Store(false)
				r.wantAll(want)
			})
		})
	}
}

// slowBehind are nodes that take ten seconds for a pack of the background.
type slowBehind struct{ Nodes }

func (s slowBehind) Scatter(ctx context.Context, p *pack.Sealed, have []cairn.Location, intend func([]cairn.Location) error) ([]cairn.Location, error) {
	if backends.IsBackground(ctx) {
		select {
		case <-time.After(10 * time.Second):
		case <-ctx.Done():
			return have, ctx.Err()
		}
	}
	return s.Nodes.Scatter(ctx, p, have, intend)
}

// TestClientsPacksDoNotWaitForMovedOnes: those leave one at a time, so that one of
// the spreaders is free, and no more are staged than leave soon. Under a load that
// never ends the compaction ends.
func TestClientsPacksDoNotWaitForMovedOnes(t *testing.T) {
	tune, _ := rooted("1+1")
	simulated(t, 2, func(c *Config) {
		tune(c)
		c.Settle, c.Grace = releaseTick, eon
		c.Nodes = slowBehind{c.Nodes}
	}, func(t *testing.T, r *rig) {
		want := r.sparse(160, 16<<10)
		done := make(chan Compacted, 1)
		go func() {
			done <- r.compact(Compaction{})
		}()
		staged := 0
		for i := 0; ; i++ {
			must(t, r.put("load", content(uint64(i), 100)))
			began := time.Now()
			must(t, r.com.closeNow(t.Context()))
			must(t, r.until(t.Context(), func() (bool, error) {
				for _, p := range r.packs {
					if p.file.Kind == pack.Log && p.phase < spread {
						return false, nil
					}
				}
				return true, nil
			}))
			if took := time.Since(began); took > time.Second {
				t.Fatalf("log pack %d took %v", i, took)
			}
			<-time.After(quietAfter)
			synctest.Wait()
			r.mu.Lock()
			n := 0
			for _, p := range r.packs {
				if (p.phase == closed || p.phase == sealed) && p.gentle {
					n++
				}
			}
			r.mu.Unlock()
			staged = max(staged, n)
			if len(done) > 0 {
				break
			}
			if i > 1000 {
				t.Fatal("it does not end")
			}
		}
		out := <-done
		if out.Packs != out.Of || out.Made < 3 {
			t.Errorf("%+v", out)
		}
		if staged == 0 || staged > aheadOfNodes+1 {
			t.Errorf("%d moved packs waited for nodes", staged)
		}
		r.wantAll(want)
	})
}

// TestPresence: a client is here while it is served, and a moment longer.
func TestPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p presence
		if p.here() {
			t.Error("somebody was here before anybody came")
		}
		one, other := p.enter(), p.enter()
		one()
		<-time.After(time.Hour)
		if !p.here() {
			t.Error("a client that is served for an hour is not here")
		}
		other()
		<-time.After(quietAfter - 1)
		if !p.here() {
			t.Error("a client that comes back soon is not waited for")
		}
		<-time.After(1)
		if p.here() {
			t.Error("nobody is here any more")
		}
	})
}
