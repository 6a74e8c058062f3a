package recovery

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// TestHazardB14AnotherWriterIsNoticed: a root off our chain stops all writing
// when whoever signed it has as much to say as we have, whatever its sequence;
// any other root is left where it is and changes nothing.
func TestHazardB14AnotherWriterIsNoticed(t *testing.T) {
	type planted struct {
		what string
		fork bool
		root func(w *world) *rootFile
		says string
	}
	own := func(seq uint64) func(w *world) *rootFile {
		return func(w *world) *rootFile { return w.root(w.gate, seq, crypt.Hash{7}, pack.RootBody{Written: 1}) }
	}
	other := func(number, seq uint64) func(w *world) *rootFile {
		return func(w *world) *rootFile { return w.root(w.newGate(50, number), seq, crypt.Hash{7}, pack.RootBody{}) }
	}
	for _, x := range []planted{
		{"our own key, equal sequence", true, own(5), "old copy"},
		{"our own key, higher sequence: yesterday's disk", true, own(9), "cairn recover"},
		{"our own key, lower sequence", true, own(2), "this gateway's own"},
		{"equal delegation, equal sequence", true, other(3, 5), "another gateway writes"},
		{"equal delegation, lower sequence", true, other(3, 1), "under delegation 3"},
		{"higher delegation, lower sequence", true, other(4, 1), "under delegation 4"},
		{"higher delegation, higher sequence", true, other(4, 6), "another gateway writes"},
		{"lower delegation, higher sequence", false, other(2, 9), ""},
		{"lower delegation, equal sequence", false, other(1, 5), ""},
		{"delegation by our own key", true, func(w *world) *rootFile {
			g := w.newGate(51, 4)
			g.delegation = w.delegate(w.gate.id.Sign(), 4, g.id)
			return w.root(g, 6, crypt.Hash{}, pack.RootBody{})
		}, "under delegation 4"},
		{"a successor's successor, whom only the epoch key vouches for", true, func(w *world) *rootFile {
			g := w.newGate(52, 5)
			g.delegation = w.delegate(w.newGate(53, 4).id.Sign(), 5, g.id)
			return w.root(g, 8, crypt.Hash{}, pack.RootBody{Gateways: []pack.RootGateway{{Key: w.gate.id.Sign().Public()}, {Key: g.id.Sign().Public()}}})
		}, "another gateway writes"},
		{"delegation of another owner", false, func(w *world) *rootFile {
			g := w.newGate(54, 9)
			g.delegation = w.delegate(crypt.NewSigningKey([32]byte{9}), 9, g.id)
			return w.root(g, 9, crypt.Hash{}, pack.RootBody{})
		}, ""},
		{"delegation to somebody else", false, func(w *world) *rootFile {
			g := w.newGate(55, 9)
			g.delegation = w.newGate(56, 9).delegation
			return w.root(g, 9, crypt.Hash{}, pack.RootBody{})
		}, ""},
		{"no delegation", false, func(w *world) *rootFile {
			g := w.newGate(57, 9)
			g.delegation = nil
			return w.root(g, 9, crypt.Hash{}, pack.RootBody{})
		}, ""},
	} {
		t.Run(x.what, func(t *testing.T) {
			bubble(t, 3, func(t *testing.T, w *world) {
				w.gate = w.newGate(2, 3) // the same identity under delegation 3
				fs := durable.NewMem()
				c := w.config(fs, w.gate)
				var told atomic.Int32
				c.Fork = func(err error) {
					told.Add(1)
					wantClass(t, "Config.Fork", err, cairn.ErrFork)
				}
				k := w.keeper(c)
				k.Start()
				for _, text := range []string{"1", "2", "3", "4"} {
					must(t, k.Root(t.Context(), mark(text)))
				}
				must(t, k.Root(t.Context(), name(w.nodes...)))
				f := x.root(w)
				at := layout.RootsDir + "/" + f.name()
				w.nodes[1].mem.SetBytes(at, f.data)

				err := k.Root(t.Context(), mark("6"))
				wait(2 * time.Hour)
				if !x.fork {
					must(t, err)
					must(t, k.Root(t.Context(), mark("7")))
					if b, ok := w.nodes[1].mem.Bytes(at); !ok || string(b) != string(f.data) {
						t.Error("a root that is not ours was touched")
					}
					if told.Load() != 0 || !k.Status().Stands || len(k.Status().Forks) != 0 {
						t.Errorf("told %d times, status %+v", told.Load(), k.Status())
					}
					return
				}
				err = k.Root(t.Context(), mark("7"))
				wantClass(t, "root after a fork", err, cairn.ErrFork)
				wantText(t, "root after a fork", err, "node n2 shows root", keyName(f.Signer), x.says)
				if told.Load() != 1 || len(k.Status().Forks) != 1 {
					t.Errorf("Fork was told %d times, want once; status shows %d", told.Load(), len(k.Status().Forks))
				}
				before := w.nodes[0].mem.Names()
				wait(3 * time.Hour)
				if after := w.nodes[0].mem.Names(); len(after) != len(before) {
					t.Errorf("something was written after the fork: %v, before %v", after, before)
				}
				must(t, k.Close(t.Context()))

				// A restart in which the node that showed it is away.
				w.nodes[1].faulty.SetDown(true)
				k = w.keeper(c)
				k.Start()
				synctest.Wait()
				wantClass(t, "after a restart", k.Root(t.Context(), mark("8")), cairn.ErrFork)
				if told.Load() != 2 {
					t.Errorf("Fork was told %d times, want once a life", told.Load())
				}
			})
		})
	}
}

// TestHazardB14StartWritesNothingBeforeNodesShowedNoFork: a gateway that was
// taken over while it was off writes nothing to any node, whichever answers
// first.
func TestHazardB14StartWritesNothingBeforeNodesShowedNoFork(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		fs := durable.NewMem()
		k := w.keeper(w.config(fs, w.gate))
		must(t, k.Root(t.Context(), name(w.nodes...)))
		synctest.Wait() // it stands on two; the third has it, too
		must(t, k.Close(t.Context()))
		g2 := w.newGate(3, 2)
		for _, n := range w.nodes[1:] {
			w.plant(n, g2, 2, k.newest().hash, pack.RootBody{})
			n.faulty.SetDown(true)
		}

		k = w.keeper(w.config(fs, w.gate))
		k.Start()
		err := k.Root(t.Context(), mark("staged meanwhile"))
		wantClass(t, "one of three answers", err, cairn.ErrUnavailable)
		wantText(t, "one of three answers", err, "showed no fork", "n2", "n3")
		if got := w.nodes[0].roots(); len(got) != 1 {
			t.Errorf("roots %v on the node that answers", got)
		}
		if k.Status().Seen {
			t.Error("one node of three is enough")
		}
		w.nodes[1].faulty.SetDown(false)
		w.change()
		wait(2 * time.Second)
		wantClass(t, "the second one answers", k.Root(t.Context(), nil), cairn.ErrFork)
		if got := w.nodes[0].roots(); len(got) != 1 {
			t.Errorf("roots %v were written before the fork was seen", got)
		}
	})
}

// TestHazardB14BothSides: after a takeover the new gateway goes on and the old
// one stops at its next root, however far it is; neither removes a root of the
// other.
func TestHazardB14BothSides(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		k1 := w.keeper(w.config(durable.NewMem(), w.gate))
		must(t, k1.Root(t.Context(), name(w.nodes...)))
		found := w.find(t, FindConfig{Identity: &w.owner, From: w.candidates(w.nodes...)})
		taken := must1(MakeTakeover(TakeoverConfig{Found: found, Owner: &w.owner, Random: chance(9), Until: pack.CutOff{Number: 3}}))(t)
		c2 := w.config(durable.NewMem(), w.gate)
		k2 := must1(Takeover(t.Context(), c2, taken))(t)
		defer func() { must(t, k2.Close(t.Context())) }()

		err := k1.Root(t.Context(), mark("old one writes on"))
		wantClass(t, "old gateway", err, cairn.ErrFork)
		wantText(t, "old gateway", err, "delegation 2", "leave this one off")
		for i := range 12 {
			must(t, k2.Root(t.Context(), mark(string(rune('a'+i)))))
		}
		synctest.Wait()
		for _, n := range w.nodes {
			if got := n.roots(); len(got) != keepRoots || got[len(got)-1] != 14 {
				t.Errorf("%s: roots %v", n.Name, got)
			}
		}
		// What the old one managed to write after is void and stays.
		w.plant(w.nodes[0], w.gate, 40, crypt.Hash{}, pack.RootBody{})
		must(t, k2.Root(t.Context(), mark("on")))
		again := w.find(t, FindConfig{Identity: &w.owner, From: w.candidates(w.nodes...)})
		if again.Root.Sequence != 15 || again.Number != 2 || len(again.Forks) != 1 || again.Top != 40 {
			t.Errorf("found root %d, delegation %d, top %d, forks %v", again.Root.Sequence, again.Number, again.Top, again.Forks)
		}
	})
}

// TestHazardB14ATakenOverGatewayLearnsOfItSoon: between its roots, which may be
// days apart, one node a minute is asked; whoever asks outright knows at once.
func TestHazardB14ATakenOverGatewayLearnsOfItSoon(t *testing.T) {
	for _, c := range []struct {
		name string
		ask  bool
		most time.Duration
	}{
		{"by itself, within a glance at each node", false, 5*time.Minute + 5*time.Second},
		{"asked", true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, 5, func(t *testing.T, w *world) {
				k := w.keeper(w.config(durable.NewMem(), w.gate))
				k.Start()
				must(t, k.Root(t.Context(), mark("1")))
				must(t, k.Look(t.Context()))
				wait(2 * time.Hour)
				w.plant(w.nodes[4], w.newGate(9, 2), 3, crypt.Hash{}, pack.RootBody{}) // the other one reached just this
				began := time.Now()
				if c.ask {
					wantClass(t, "asked", k.Look(t.Context()), cairn.ErrFork)
				}
				for len(k.Status().Forks) == 0 && time.Since(began) <= c.most {
					wait(time.Second)
				}
				if len(k.Status().Forks) != 1 {
					t.Errorf("%v after it was taken over it knows nothing", time.Since(began))
				}
				wantClass(t, "the next root", k.Root(t.Context(), mark("2")), cairn.ErrFork)
			})
		})
	}
}
