package fleet

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/layout"
)

// notices records what people are told.
type notices struct {
	mu  sync.Mutex
	all []string
}

func (n *notices) tune(c *Config) {
	c.Notice = func(ch Change) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.all = append(n.all, strings.TrimSuffix(fmt.Sprintf("node %s is %s: %s", ch.Name, ch.State, ch.Why), ": "))
	}
}

// took returns what was told since it was last called.
func (n *notices) took() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.all
	n.all = nil
	return all
}

// minutely looks at nodes once a minute.
func minutely(c *Config) { c.Watch = time.Minute }

// TestGoneAfterSevenDays of observed time without an answer: the node's shards
// count as placed no more, and it is back as soon as it answers.
func TestGoneAfterSevenDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := &notices{}
		r := newRig(t, 4, told.tune, minutely)
		sp := r.spread(coding("2+1"), 100*kib)
		n := r.at(sp.where[0].Node)
		n.faulty.SetDown(true)
		wait(7*24*time.Hour - time.Minute)
		if s := r.state(n); s.State != "down" || s.Why == "" {
			t.Fatalf("%+v", s)
		}
		if !r.node(n.ID).holds() || r.Gone(n.ID) {
			t.Error("it does not count as holding before it is gone")
		}
		wait(10 * time.Minute)
		s := r.state(n)
		if s.State != "gone" || !strings.Contains(s.Why, "7 days") || time.Since(s.StateSince) > 15*time.Minute {
			t.Errorf("%+v", s)
		}
		if r.node(n.ID).holds() || !r.Gone(n.ID) {
			t.Error("it counts as holding, or is waited for")
		}
		if r.node(n.ID).gone() {
			t.Error("as if a person had given it up")
		}
		n.faulty.SetDown(false)
		wait(3 * time.Minute)
		if s := r.state(n); s.State != "ok" || !r.node(n.ID).holds() {
			t.Errorf("%+v", s)
		}
		all := told.took()
		if len(all) != 3 || !strings.Contains(all[0], n.Name+" is down: ") || !strings.Contains(all[1], "is gone: ") || !strings.HasSuffix(all[2], "is ok") {
			t.Errorf("%q", all)
		}
	})
}

// TestHazardB17OnlyObservedTimeMakesGone: a clock that stands still while the
// machine sleeps, and one that jumps, make no node gone.
func TestHazardB17OnlyObservedTimeMakesGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		at := time.Duration(0)
		r := newRig(t, 2, minutely, func(c *Config) {
			c.Observed = func() time.Duration {
				mu.Lock()
				defer mu.Unlock()
				return at
			}
		})
		synctest.Wait()
		down(r, r.nodes[0])
		wait(9 * 24 * time.Hour) // of a calendar that nobody observes
		if s := r.state(r.nodes[0]); s.State != "down" {
			t.Errorf("%s by a calendar alone", s.State)
		}
		mu.Lock()
		at += 9 * 24 * time.Hour // and one jump of what is observed counts a minute
		mu.Unlock()
		wait(time.Minute)
		if s := r.state(r.nodes[0]); s.State != "down" {
			t.Errorf("%s by one jump", s.State)
		}
		for range 7*24*60 + 1 {
			mu.Lock()
			at += time.Minute
			mu.Unlock()
			wait(time.Minute)
		}
		if s := r.state(r.nodes[0]); s.State != "gone" {
			t.Errorf("%s after seven observed days", s.State)
		}
	})
}

// TestMountedAgainIsNotDown: between the marker that was seen again and the end of
// the call that saw it, nobody is told that the node is down for want of it.
func TestMountedAgainIsNotDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := &notices{}
		r := newRig(t, 2, told.tune, unwatched)
		n := r.node(r.nodes[0].ID)
		n.setUnmounted(cairn.ErrNotExist, true)
		for range breakAfter {
			n.link.result(time.Now(), true, false, cairn.ErrNotExist)
		}
		n.show(time.Now())
		n.setUnmounted(nil, false)
		n.show(time.Now())
		n.link.result(time.Now(), false, true, nil)
		n.show(time.Now())
		if all := told.took(); len(all) != 2 || !strings.Contains(all[0], "is offline: ") || !strings.HasSuffix(all[1], "is ok") {
			t.Errorf("%q", all)
		}
	})
}

// TestHazardB7NoMarkerIsOffline: the node answers and shows no marker, or that of
// another. It is said at once, it gets nothing, nothing counts as missing, and
// when it is mounted again all goes on.
func TestHazardB7NoMarkerIsOffline(t *testing.T) {
	for _, what := range []string{"missing", "of another node", "of another store", "garbage"} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told := &notices{}
				r := newRig(t, 3, told.tune)
				sp := r.spread(coding("2+1"), 100*kib)
				n, name := r.holder(sp, 1)
				disk := map[string][]byte{}
				for _, f := range n.mem.Names() {
					disk[f], _ = n.mem.Bytes(f)
					n.mem.Drop(f)
				}
				switch what {
				case "of another node":
					m, _ := layout.Marker{Version: 1, Store: testStore, Node: cairn.NodeID{77}}.Encode()
					n.mem.SetBytes(layout.MarkerName, m)
				case "of another store":
					m, _ := layout.Marker{Version: 1, Store: cairn.StoreID{77}, Node: n.ID}.Encode()
					n.mem.SetBytes(layout.MarkerName, m)
				case "garbage":
					n.mem.SetBytes(layout.MarkerName, []byte("{"))
				}
				n.take("")
				r.read(sp, int(sp.Length), 1000, 0) // decoded
				s := r.state(n)
				if s.State != "offline" || !strings.Contains(s.Why, layout.MarkerName) {
					t.Errorf("%+v", s)
				}
				intend := func(at []cairn.Location) error {
					if slices.ContainsFunc(at, func(l cairn.Location) bool { return l.Node == n.ID }) {
						t.Error("it is chosen for a shard")
					}
					return nil
				}
				at, err := r.Scatter(t.Context(), r.seal(coding("1+1"), 10*kib).Sealed, nil, intend)
				must(t, err)
				_, err = r.Scatter(t.Context(), r.seal(coding("2+1"), 10*kib).Sealed, nil, intend)
				wantClass(t, "three shards", err, cairn.ErrUnavailable)
				if calls, _ := n.take(backends.OpPut); len(calls) > 0 || len(at) != 2 {
					t.Errorf("written below the mount point: %v", calls)
				}
				wait(10 * time.Minute)
				if s := r.state(n); s.State != "offline" {
					t.Errorf("%+v", s)
				}
				n.faulty.SetDown(true)
				wait(3 * time.Minute)
				if s := r.state(n); s.State != "down" {
					t.Errorf("switched off: %+v", s)
				}
				n.faulty.SetDown(false)
				for f, b := range disk {
					n.mem.SetBytes(f, b)
				}
				wait(3 * time.Minute)
				if s := r.state(n); s.State != "ok" {
					t.Errorf("%+v", s)
				}
				if got := r.Verify(t.Context(), sp.Params, sp.where); !slices.ContainsFunc(got, func(l cairn.Location) bool { return layout.Path(l.Name(sp.ID)) == name }) {
					t.Errorf("%v", got)
				}
				if all := told.took(); len(all) != 3 || !strings.Contains(all[0], "offline") || !strings.Contains(all[1], "down") || !strings.HasSuffix(all[2], "ok") {
					t.Errorf("%q", all)
				}
			})
		})
	}
}

// TestStatesThatAPersonSet are told as they are, draining ones read from.
func TestStatesThatAPersonSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 4, unwatched)
		sp := r.spread(coding("2+2"), 100*kib)
		r.nodes[0].State, r.nodes[1].State = "draining", "gone"
		r.set(r.nodes...)
		wait(time.Second)
		for i, want := range []string{"draining", "gone", "ok", "ok"} {
			s := r.state(r.nodes[i])
			if s.State != want || (s.Why == "") != (want == "ok") {
				t.Errorf("%+v, want %s", s, want)
			}
			if holds := r.node(r.nodes[i].ID).holds(); holds != (want == "ok") {
				t.Errorf("%s holds: %v", want, holds)
			}
		}
		down(r, r.nodes[2], r.nodes[1])
		r.read(sp, 0, len(sp.bytes), 0) // with what drains
	})
}
