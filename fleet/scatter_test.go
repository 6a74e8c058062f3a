package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/layout"
)

// TestScatter is what becomes of one pack when nodes misbehave while it is put.
func TestScatter(t *testing.T) {
	all := backendtest.Always
	for _, x := range []struct {
		what   string
		coding string
		nodes  int
		choose map[int]backendtest.Choose // by node
		full   []int
		stand  int // of n; fewer is ErrUnavailable
	}{
		{"all is well", "4+3", 7, nil, nil, 7},
		{"one node, one shard", "1+0", 1, nil, nil, 1},
		{"more nodes than shards", "2+1", 9, nil, nil, 3},
		{"two fail: others take their place", "4+3", 9, map[int]backendtest.Choose{0: all(backendtest.Fails), 4: all(backendtest.Fails)}, nil, 7},
		{"puts fail: others take their place", "2+2", 6, map[int]backendtest.Choose{0: backendtest.On(backendtest.Fails, "put"), 1: backendtest.On(backendtest.Fails, "put")}, nil, 4},
		{"puts that failed but worked count", "2+2", 4, map[int]backendtest.Choose{0: backendtest.On(backendtest.WorksButFails, "put"), 3: backendtest.On(backendtest.WorksButFails, "put")}, nil, 4},
		{"puts that lied are noticed and replaced", "2+1", 5, map[int]backendtest.Choose{0: backendtest.On(backendtest.Lies, "put"), 1: backendtest.On(backendtest.Lies, "put")}, nil, 3},
		{"puts that lied, and nobody else", "2+1", 3, map[int]backendtest.Choose{1: backendtest.On(backendtest.Lies, "put")}, nil, 2},
		{"tails that read back wrong do not count", "1+1", 3, map[int]backendtest.Choose{0: backendtest.On(backendtest.Lies, "read")}, nil, 2},
		{"sizes that a node lies about do not matter", "1+1", 3, map[int]backendtest.Choose{2: backendtest.On(backendtest.Lies, "stat")}, nil, 2},
		{"full nodes are avoided", "2+1", 5, nil, []int{1, 3}, 3},
		{"fewer nodes than shards", "4+3", 5, nil, nil, 5},
		{"fewer nodes than k", "4+3", 2, nil, nil, 2},
		{"no node works", "2+1", 3, map[int]backendtest.Choose{0: all(backendtest.Fails), 1: all(backendtest.Fails), 2: all(backendtest.Fails)}, nil, 0},
	} {
		t.Run(x.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, x.nodes)
				synctest.Wait()
				for i, choose := range x.choose {
					r.nodes[i].faulty.SetChoose(choose)
				}
				for _, i := range x.full {
					r.nodes[i].setInstead(func(_ context.Context, c backends.Call) error {
						if c.Op == backends.OpPut {
							return cairn.ErrFull
						}
						return nil
					})
				}
				sp := r.seal(coding(x.coding), 200*kib)
				known := &intents{}
				began := time.Now()
				at, err := r.Scatter(t.Context(), sp.Sealed, nil, known.add)
				if time.Since(began) > time.Second {
					t.Errorf("took %v", time.Since(began))
				}
				if len(at) != x.stand || (err == nil) != (x.stand == sp.Coding.N()) {
					t.Fatalf("%d shards stand, %v", len(at), err)
				}
				if err != nil {
					wantClass(t, "error", err, cairn.ErrUnavailable)
				}
				checkPlaces(t, r, sp, at)
				known.check(t, r, sp)
				for _, i := range x.full {
					if s := r.state(r.nodes[i]); s.State == "ok" && slices.ContainsFunc(known.all, func(l cairn.Location) bool { return l.Node == s.ID }) {
						t.Errorf("%s refused a shard and is %s", s.Name, s.State)
					}
				}
			})
		})
	}
}

// checkPlaces holds that each place really holds its shard, no node two, and no
// shard stands twice.
func checkPlaces(t *testing.T, r *rig, sp *spread, at []cairn.Location) {
	t.Helper()
	nodes, shards := map[cairn.NodeID]bool{}, map[uint8]bool{}
	for _, l := range at {
		b, ok := r.at(l.Node).mem.Bytes(layout.Path(l.Name(sp.ID)))
		if !ok || !slices.Equal(b, sp.Files[l.Index]) {
			t.Errorf("shard %d is not on %s", l.Index, r.at(l.Node).Name)
		}
		if nodes[l.Node] || shards[l.Index] {
			t.Errorf("%s or shard %d twice", r.at(l.Node).Name, l.Index)
		}
		nodes[l.Node], shards[l.Index] = true, true
	}
}

// intents records what was made known before it was put.
type intents struct {
	mu     sync.Mutex
	inside bool
	all    []cairn.Location
}

func (i *intents) add(at []cairn.Location) error {
	i.mu.Lock()
	if i.inside {
		i.mu.Unlock()
		return errors.New("two intents at a time")
	}
	i.inside = true
	i.mu.Unlock()
	<-time.After(time.Millisecond) // as an fsync does
	i.mu.Lock()
	defer i.mu.Unlock()
	i.inside = false
	i.all = append(i.all, at...)
	return nil
}

// check holds that nothing stands or was put under a name that was not known.
func (i *intents) check(t *testing.T, r *rig, sp *spread) {
	t.Helper()
	known := map[string]bool{}
	for _, l := range i.all {
		name := layout.Path(l.Name(sp.ID))
		if known[name] {
			t.Errorf("%s is used twice", name)
		}
		known[name] = true
	}
	for _, n := range r.nodes {
		calls, _ := n.take(backends.OpPut)
		for _, c := range calls {
			if !known[c.Name] {
				t.Errorf("%s was put on %s without intent", c.Name, n.Name)
			}
		}
		for _, name := range n.mem.Names() {
			if strings.HasPrefix(name, layout.PacksDir) && !known[name] {
				t.Errorf("%s stands on %s without intent", name, n.Name)
			}
		}
	}
}

func TestIntentComesBeforeEveryPut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 5)
		known := &intents{}
		for i, n := range r.nodes {
			n.setInstead(func(_ context.Context, c backends.Call) error {
				if c.Op != backends.OpPut {
					return nil
				}
				known.mu.Lock()
				defer known.mu.Unlock()
				if !slices.ContainsFunc(known.all, func(l cairn.Location) bool { return strings.HasSuffix(c.Name, fmt.Sprintf("%08x", l.Write)) }) {
					t.Errorf("%s before it was known", c.Name)
				}
				if i < 2 {
					return cairn.ErrDenied
				}
				return nil
			})
		}
		if _, err := r.Scatter(t.Context(), r.seal(coding("2+1"), 100*kib).Sealed, nil, known.add); err != nil {
			t.Error(err)
		}
		broken := errors.New("the stage is gone")
		for _, n := range r.nodes {
			n.take("")
		}
		if at, err := r.Scatter(t.Context(), r.seal(coding("2+1"), 100*kib).Sealed, nil, func([]cairn.Location) error { return broken }); !errors.Is(err, broken) || len(at) != 0 {
			t.Errorf("%v, %v", at, err)
		}
		for _, n := range r.nodes {
			if calls, _ := n.take(backends.OpPut); len(calls) > 0 {
				t.Errorf("put without intent: %v", calls)
			}
		}
	})
}

// TestAHangingNodeKeepsNoOtherWaiting: while one put hangs, a shard whose node
// failed goes to another; when the caller gives up all ends at once.
func TestAHangingNodeKeepsNoOtherWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 5)
		synctest.Wait()
		sp := r.seal(coding("2+2"), 100*kib)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var mu sync.Mutex
		var hung, failed cairn.NodeID // the first two asked
		for _, n := range r.nodes {
			n.setInstead(func(ctx context.Context, c backends.Call) error {
				if c.Op != backends.OpPut {
					return nil
				}
				mu.Lock()
				first, second := hung == cairn.NodeID{}, failed == cairn.NodeID{}
				if first {
					hung = n.ID
				} else if second {
					failed = n.ID
				}
				mu.Unlock()
				switch {
				case first:
					<-ctx.Done()
					return ctx.Err()
				case second:
					return cairn.ErrUnavailable
				}
				return nil
			})
		}
		type result struct {
			at  []cairn.Location
			err error
		}
		done := make(chan result, 1)
		go func() {
			at, err := r.Scatter(ctx, sp.Sealed, nil, noIntent)
			done <- result{at, err}
		}()
		wait(time.Second)
		stand := 0
		for _, n := range r.nodes {
			stand += len(n.mem.Names()) - 1
		}
		if stand != 3 {
			t.Errorf("%d shards stand while one put hangs, want 3", stand)
		}
		cancel()
		synctest.Wait()
		select {
		case got := <-done:
			if len(got.at) != 3 || !errors.Is(got.err, context.Canceled) {
				t.Errorf("%v, %v", got.at, got.err)
			}
			wantClass(t, "given up", got.err, cairn.ErrUnavailable)
		default:
			t.Fatal("it goes on after its caller gave up")
		}
	})
}

// TestScatterGoesOnWhereItEnded: what stands is not put again, a second file of
// one shard takes no other shard in, and a node that left does not count.
func TestScatterGoesOnWhereItEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 6)
		synctest.Wait()
		sp := r.seal(coding("2+2"), 100*kib)
		place := func(n, i int) cairn.Location {
			l := cairn.Location{Index: uint8(i), Node: r.nodes[n].ID, Write: uint32(100*n + i)}
			r.nodes[n].mem.SetBytes(layout.Path(l.Name(sp.ID)), sp.Files[i])
			return l
		}
		have := []cairn.Location{place(0, 0), place(1, 0), place(2, 1), {Index: 2, Node: cairn.NodeID{99}}, {Index: 40, Node: r.nodes[3].ID}}
		at, err := r.Scatter(t.Context(), sp.Sealed, have, noIntent)
		must(t, err)
		if len(at) != 5 {
			t.Fatalf("%v", at)
		}
		sp.where = slices.Delete(slices.Clone(at), 1, 2)
		checkPlaces(t, r, sp, sp.where)
		for n, want := range []int{0, 0, 0} {
			if calls, _ := r.nodes[n].take(backends.OpPut); len(calls) != want {
				t.Errorf("n%d: %v", n+1, calls)
			}
		}
		if got := r.Verify(t.Context(), sp.Params, at); len(got) != 4 {
			t.Errorf("%d shards stand, one counted twice", len(got))
		}
	})
}
