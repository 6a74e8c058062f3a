package recovery

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

// TestCrashAtEveryStep: wherever the power goes, the newest root here is at
// least as new as any on a node, so that own roots are own; what Root said
// stands does; and the chain goes on.
func TestCrashAtEveryStep(t *testing.T) {
	for _, before := range []int{0, keepRoots} { // with the latter, roots are pruned
		t.Run(fmt.Sprintf("after %d roots", before), func(t *testing.T) {
			first, base := newWorld(t, 2), durable.NewMem()
			if got := first.some(base, 0, before); got != before {
				t.Fatalf("%d of %d roots", got, before)
			}
			var seen atomic.Uint64
			count := durable.Watch(base.Crash(100, 0), durable.Hook{Before: func(s durable.Step) error { seen.Add(1); return nil }})
			if got := first.copied().some(count, before, 2); got != 2 {
				t.Fatalf("without a crash %d of 2 roots", got)
			}
			steps := seen.Load()
			if steps < 20 {
				t.Fatalf("only %d durable steps", steps)
			}
			for at := uint64(1); at <= steps; at++ {
				for i, kept := range []int{0, 50, 100} {
					for j, after := range []bool{false, true} {
						if int(at)%6 == 2*i+j || os.Getenv("CAIRN_LONG") != "" { // else one of six for each step
							first.crash(t, base, before, at, kept, after)
						}
					}
				}
			}
		})
	}
}

// some writes n roots after so many, and returns how many stood.
func (w *world) some(fs durable.FS, after, n int) int {
	k, err := New(w.tb.Context(), w.config(fs, w.gate))
	if err != nil {
		return 0
	}
	defer func() { _ = k.Close(w.tb.Context()) }() // it may have lost its power
	for i := range n {
		if k.Root(w.tb.Context(), func(b *pack.RootBody) { name(w.nodes...)(b); mark(fmt.Sprint(after + i + 1))(b) }) != nil {
			return i
		}
	}
	return n
}

func (w *world) crash(t *testing.T, base *durable.Mem, before int, at uint64, kept int, after bool) {
	t.Helper()
	what := fmt.Sprintf("step %d, %d %% kept, after it %v", at, kept, after)
	w = w.copied()
	mem := base.Crash(100, 0)
	var left *durable.Mem
	lose := func(s durable.Step) error {
		if s.N != at {
			return nil
		}
		left = mem.Crash(kept, at)
		return durable.ErrCrashed
	}
	hook := durable.Hook{Before: lose}
	if after {
		hook = durable.Hook{After: func(s durable.Step, err error) error {
			if e := lose(s); e != nil {
				return e
			}
			return err
		}}
	}
	done := before + w.some(durable.Watch(mem, hook), before, 2)
	if left == nil {
		return // memory of nodes was written at other times
	}
	newest := uint64(0)
	for _, n := range w.nodes {
		for _, seq := range n.roots() {
			newest = max(newest, seq)
		}
	}
	r, b, ok, err := ReadLocal(left, "/store", testStore, map[uint32]crypt.EpochKey{1: w.key})
	switch {
	case err != nil:
		t.Fatalf("%s: %v", what, err)
	case r.Sequence < newest || r.Sequence < uint64(done):
		t.Fatalf("%s: root %d is the newest here, nodes show %d, %d were said to stand", what, r.Sequence, newest, done)
	case ok && b.Setting[fmt.Sprintf("mark %d", r.Sequence)] == "":
		t.Fatalf("%s: root %d lacks its change", what, r.Sequence)
	}
	k, err := New(t.Context(), w.config(left, w.gate))
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	for i := range 2 {
		if err := k.Root(t.Context(), func(b *pack.RootBody) { name(w.nodes...)(b); mark(fmt.Sprint("again", i))(b) }); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	if s := k.Status(); s.Sequence != r.Sequence+2 || len(s.Forks) > 0 {
		t.Fatalf("%s: status %+v", what, s)
	}
	for _, n := range w.nodes {
		if w.suspected(n) != "" {
			t.Fatalf("%s: %s is suspect: %s", what, n.Name, w.suspected(n))
		}
		if got := n.roots(); got[len(got)-1] != r.Sequence+2 {
			t.Fatalf("%s: %s shows %v", what, n.Name, got)
		}
	}
	must(t, k.Close(t.Context()))
}

// TestRootThatIsNotDurableHereIsShownToNobody: and its number is not used again.
func TestRootThatIsNotDurableHereIsShownToNobody(t *testing.T) {
	for _, op := range []durable.Op{durable.OpSync, durable.OpRename, durable.OpSyncDir} {
		t.Run(op.String(), func(t *testing.T) {
			bubble(t, 3, func(t *testing.T, w *world) {
				var fails atomic.Bool
				mem := durable.NewMem()
				fs := durable.Watch(mem, durable.Hook{Before: func(s durable.Step) error {
					if s.Op == op && fails.CompareAndSwap(true, false) {
						return fmt.Errorf("%s: device error", s)
					}
					return nil
				}})
				c := w.config(fs, w.gate)
				k := w.keeper(c)
				must(t, k.Root(t.Context(), name(w.nodes...)))
				synctest.Wait() // nothing else is written
				fails.Store(true)
				err := k.Root(t.Context(), mark("lost"))
				wantText(t, "a failing disk", err, "root 2 is not durable here", "device error")
				if got := w.nodes[0].roots(); len(got) != 1 {
					t.Errorf("nodes were shown %v", got)
				}
				must(t, k.Root(t.Context(), mark("next")))
				if got := k.Status().Sequence; got != 3 {
					t.Errorf("sequence %d after one that failed, want 3", got)
				}
				must(t, k.Close(t.Context()))
				for _, kept := range []int{0, 100} {
					c.FS = mem.Crash(kept, 1)
					k = w.keeper(c)
					must(t, k.Root(t.Context(), mark("on")))
					if got, ok := k.chain.body.Setting["mark lost"]; ok {
						t.Errorf("%d %% kept: the root that failed came back: %q", kept, got)
					}
					must(t, k.Close(t.Context()))
					for _, n := range w.nodes {
						dropRoots(n, 3)
					}
				}
			})
		})
	}
}
