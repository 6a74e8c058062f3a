package recovery

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
)

// TestHazardC1RolledBackNodeIsSuspect: a node that shows only older roots than
// it confirmed, also before the last restart, is suspect with both numbers
// until a person forgives it; it gets the newest root all the same.
func TestHazardC1RolledBackNodeIsSuspect(t *testing.T) {
	for _, x := range []struct {
		what    string
		drop    func(n *testNode)
		restart bool
		says    string
	}{
		{"older roots", func(n *testNode) { dropRoots(n, 4) }, false, "shows root 4, confirmed 6: rolled back"},
		{"older roots, seen after a restart", func(n *testNode) { dropRoots(n, 4) }, true, "shows root 4, confirmed 6: rolled back"},
		{"no root", func(n *testNode) { dropRoots(n, 0) }, true, "shows no root, confirmed 6: rolled back or wiped"},
		{"nothing was rolled back", func(*testNode) {}, true, ""},
	} {
		t.Run(x.what, func(t *testing.T) {
			bubble(t, 3, func(t *testing.T, w *world) {
				c := w.config(durable.NewMem(), w.gate)
				k := w.keeper(c)
				k.Start()
				for i := range 6 {
					must(t, k.Root(t.Context(), mark(fmt.Sprint(i))))
					synctest.Wait() // every node has it, and not just enough of them
				}
				wait(2 * time.Second)
				bad := w.nodes[1]
				x.drop(bad)
				if x.restart {
					must(t, k.Close(t.Context()))
					k = w.keeper(c)
					k.Start()
					synctest.Wait()
				}
				wait(2 * time.Hour)
				if got := w.suspected(bad); got != x.says {
					t.Errorf("suspect: %q, want %q", got, x.says)
				}
				if got := bad.roots(); got[len(got)-1] != 6 {
					t.Errorf("it was not given the newest root: %v", got)
				}
				s := state(k, bad)
				if x.says == "" {
					if s.State != "ok" {
						t.Errorf("state %+v", s)
					}
					return
				}
				if s.State != "rolled back" || s.Why != x.says {
					t.Errorf("state %+v", s)
				}
				if got := w.suspected(w.nodes[0]); got != "" {
					t.Errorf("another node is suspect: %q", got)
				}
				must(t, k.Close(t.Context())) // it is still known afterwards
				k = w.keeper(c)
				k.Start()
				synctest.Wait()
				if got := state(k, bad).Why; got != x.says {
					t.Errorf("after a restart: %q", got)
				}
				must(t, k.Forgive(t.Context(), bad.ID, false))
				wait(2 * time.Hour)
				if got := w.suspected(bad); got != "" {
					t.Errorf("forgiven, and suspect: %q", got)
				}
			})
		})
	}
}

func dropRoots(n *testNode, above uint64) {
	for _, name := range n.mem.Names() {
		if seq, _, ok := parseName(strings.TrimPrefix(name, layout.RootsDir+"/")); ok && seq > above {
			n.mem.Drop(name)
		}
	}
}

// TestNodeAwayForLongIsNoFork: the roots that it shows are ours, though they
// stand nowhere else any more.
func TestNodeAwayForLongIsNoFork(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		c := w.config(durable.NewMem(), w.gate)
		k := w.keeper(c)
		must(t, k.Root(t.Context(), name(w.nodes...)))
		synctest.Wait()
		w.nodes[2].faulty.SetDown(true)
		for i := range 40 {
			must(t, k.Root(t.Context(), mark(fmt.Sprint(i))))
		}
		must(t, k.Close(t.Context()))
		k = w.keeper(c)
		k.Start()
		w.nodes[2].faulty.SetDown(false)
		w.change()
		wait(2 * time.Second)
		if s := k.Status(); len(s.Forks) != 0 || !s.Stands {
			t.Fatalf("status %+v", s)
		}
		if got, want := w.nodes[2].roots(), []uint64{1, 41}; !slices.Equal(got, want) {
			t.Errorf("roots %v, want %v", got, want)
		}
		if w.suspected(w.nodes[2]) != "" {
			t.Error("being away made it suspect")
		}
	})
}

// TestJunkAmongRootsIsBounded: hundreds of files that are no roots cost few
// reads and one line, are left where they are, and hide nothing.
func TestJunkAmongRootsIsBounded(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		k := w.keeper(w.config(durable.NewMem(), w.gate))
		k.Start()
		must(t, k.Root(t.Context(), name(w.nodes...)))
		synctest.Wait() // visits that were under way have ended
		n := w.nodes[0]
		for i := range 600 {
			n.mem.SetBytes(fmt.Sprintf("%s/%016x-%032x", layout.RootsDir, 1000+i, i), []byte("junk"))
			n.mem.SetBytes(fmt.Sprintf("%s/junk-%d", layout.RootsDir, i), []byte("junk"))
		}
		before := reads(n)
		must(t, k.Root(t.Context(), mark("x")))
		synctest.Wait()
		if got := reads(n) - before; got < foreignMost || got > foreignMost+5 {
			t.Errorf("one visit read %d files", got)
		}
		for i := range 30 {
			must(t, k.Root(t.Context(), mark(fmt.Sprint(i))))
		}
		synctest.Wait()
		if got := reads(n) - before; got < 600 || got > 600+31*8 {
			t.Errorf("%d reads in all: each is to be read once, and then no more", got)
		}
		if got := w.log.count("files among its roots that are none"); got != 1 {
			t.Errorf("logged %d times", got)
		}
		if got := len(n.mem.Names()); got < 1200 {
			t.Errorf("only %d files are left", got)
		}
		// Behind all of it stands a root that counts.
		f := w.plant(n, w.newGate(60, 2), 900, [32]byte{}, emptyBody())
		_ = k.Root(t.Context(), mark("y")) // it may stand on the other two before
		wait(2 * time.Second)
		if len(k.Status().Forks) != 1 {
			t.Errorf("root %s was not noticed behind the junk", f.name())
		}
	})
}

func reads(n *testNode) (count int) {
	for _, name := range n.mem.Names() {
		count += n.faulty.Attempts("read", name)
	}
	return count
}

// TestListingsThatNeverEnd: a node that lists too much is taken as far as it is
// believed, and held to nothing.
func TestListingsThatNeverEnd(t *testing.T) {
	bubble(t, 2, func(t *testing.T, w *world) {
		k := w.keeper(w.config(durable.NewMem(), w.gate))
		must(t, k.Root(t.Context(), name(w.nodes...)))
		for i := range shelfMost + 10 {
			w.nodes[0].mem.SetBytes(fmt.Sprintf("%s/%016x-%032x", layout.RootsDir, 0, i), []byte("x"))
		}
		must(t, k.Root(t.Context(), mark("x")))
		if w.suspected(w.nodes[0]) != "" || w.log.count("more files among its roots than can be there") != 1 {
			t.Errorf("suspect %q, logged %d times", w.suspected(w.nodes[0]), w.log.count("than can be there"))
		}
		w.nodes[1].faulty.SetChoose(func(op, name string, _ int) backendtest.Fate {
			if op == "list" {
				return backendtest.WorksButFails
			}
			return backendtest.Works
		})
		if err := k.Root(t.Context(), mark("y")); err == nil {
			t.Error("a listing that failed counts as one without a fork")
		}
	})
}
