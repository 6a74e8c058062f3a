package recovery

import (
	"context"
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
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
	"github.com/prometheus/client_golang/prometheus"
)

// TestRootsFormAChainOnEveryNode: each names the one before, eight stay here
// and on every node, and the body is what the changes made of it.
func TestRootsFormAChainOnEveryNode(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		fs := durable.NewMem()
		k := w.keeper(w.config(fs, w.gate))
		must(t, k.Root(t.Context(), name(w.nodes...)))
		synctest.Wait()
		for i := range 11 {
			must(t, k.Root(t.Context(), mark(fmt.Sprint(i))))
			synctest.Wait() // every node has it, and not just enough of them
		}
		want := []uint64{5, 6, 7, 8, 9, 10, 11, 12}
		for _, n := range w.nodes {
			if got := n.roots(); !slices.Equal(got, want) {
				t.Errorf("%s has roots %v, want %v", n.Name, got, want)
			}
			if !n.hasKeys(w.keys[0]) || !n.hasKeys(delegationFile(w.gate.delegation)) {
				t.Errorf("%s lacks keys or delegation: %v", n.Name, n.mem.Names())
			}
		}
		r, body, ok, err := ReadLocal(fs, "/store", testStore, map[uint32]crypt.EpochKey{1: w.key})
		must(t, err)
		if !ok || r.Sequence != 12 || len(body.Nodes) != 3 || len(body.Setting) != 11+1 || len(body.Ancestors) != 8 || body.Ancestors[0] != r.Prev {
			t.Errorf("newest here: %v root %d, %d nodes, %d settings, %d ancestors", ok, r.Sequence, len(body.Nodes), len(body.Setting), len(body.Ancestors))
		}
		if string(body.Nodes[0].Credential) != "password of n1" || body.Owners[0] != w.owner.Public().Recipient || string(body.Identity) != string(w.gate.id.Encode()) {
			t.Error("credentials, owners or identity are not in the body")
		}
		if len(body.Epochs) != 1 || len(body.Epochs[0].Keys) != 1 || layout.KeyPath(1, body.Epochs[0].Keys[0]) != w.keys[0].Path {
			t.Errorf("epochs %v", body.Epochs)
		}
		names, err := fs.List("/store/roots")
		must(t, err)
		if len(names) != 8+2 { // history, and what nodes confirmed
			t.Errorf("files here: %v", names)
		}
		s := k.Status()
		if s.Sequence != 12 || !s.Stands || !s.Seen || s.Err != nil || len(s.Forks) != 0 {
			t.Errorf("status %+v", s)
		}
	})
}

// TestRootWritesOnlyWhatChanged: an unchanged body makes no root and still says
// whether the newest stands.
func TestRootWritesOnlyWhatChanged(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		k := w.keeper(w.config(durable.NewMem(), w.gate))
		must(t, k.Root(t.Context(), name(w.nodes...)))
		for _, change := range []func(*pack.RootBody){nil, name(w.nodes...), func(b *pack.RootBody) { b.Runs = []pack.CheckpointRun{} }} {
			must(t, k.Root(t.Context(), change))
		}
		if got := k.Status().Sequence; got != 1 {
			t.Errorf("sequence %d after three changes of nothing", got)
		}
		wantClass(t, "a body that no root can hold", k.Root(t.Context(), func(b *pack.RootBody) { b.Nodes = append(b.Nodes, b.Nodes[0]) }), cairn.ErrInvalid)
		if got := k.Status().Sequence; got != 1 {
			t.Errorf("sequence %d after a change that was refused", got)
		}
	})
}

// TestChangesTogetherMakeOneRoot: those that wait while a root is written share
// the next one, and one that no root can hold fails alone.
func TestChangesTogetherMakeOneRoot(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		k := w.keeper(w.config(durable.NewMem(), w.gate))
		must(t, k.Root(t.Context(), name(w.nodes...)))
		k.writing <- struct{}{} // a root is being written
		var wg sync.WaitGroup
		errs := make([]error, 10)
		for i := range errs {
			wg.Go(func() {
				errs[i] = k.Root(t.Context(), func(b *pack.RootBody) {
					mark(fmt.Sprint(i))(b)
					if i == 5 {
						b.Nodes = append(b.Nodes, b.Nodes[0])
					}
				})
			})
		}
		synctest.Wait()
		<-k.writing
		wg.Wait()
		for i, err := range errs {
			if i == 5 {
				wantClass(t, "the bad one", err, cairn.ErrInvalid)
			} else if err != nil {
				t.Errorf("change %d: %v", i, err)
			}
		}
		_, body, _, err := ReadLocal(k.c.FS, "/store", testStore, map[uint32]crypt.EpochKey{1: w.key})
		must(t, err)
		if s := k.Status(); s.Sequence != 2 || len(body.Setting) != 9+1 {
			t.Errorf("root %d with %d settings, want 2 with 10", s.Sequence, len(body.Setting))
		}
	})
}

// TestRootStandsOnEnoughNodes: m+1 nodes of the coding, or all where they are
// fewer; who did not take it is named, and gets it when it is back.
func TestRootStandsOnEnoughNodes(t *testing.T) {
	for _, x := range []struct {
		nodes, down int
		ok          bool
	}{
		{0, 0, true}, {1, 0, true}, {1, 1, false},
		{2, 0, true}, {2, 1, false}, // 1+1
		{3, 1, true}, {3, 2, false}, // 2+1
		{7, 3, true}, {7, 4, false}, // 3+3
	} {
		t.Run(fmt.Sprintf("%d nodes, %d down", x.nodes, x.down), func(t *testing.T) {
			bubble(t, x.nodes, func(t *testing.T, w *world) {
				k := w.keeper(w.config(durable.NewMem(), w.gate))
				k.Start()
				synctest.Wait()
				for _, n := range w.nodes[:x.down] {
					n.faulty.SetDown(true)
				}
				err := k.Root(t.Context(), name(w.nodes...))
				if x.ok {
					must(t, err)
				} else {
					wantClass(t, "too few", err, cairn.ErrUnavailable)
					for _, n := range w.nodes[:x.down] {
						wantText(t, "too few", err, n.Name)
					}
				}
				if got := k.Status(); got.Stands != x.ok || got.Sequence != 1 {
					t.Errorf("stands %v, sequence %d", got.Stands, got.Sequence)
				}
				for _, n := range w.nodes {
					n.faulty.SetDown(false)
				}
				w.change()
				wait(2 * time.Second)
				for _, n := range w.nodes {
					if !slices.Equal(n.roots(), []uint64{1}) || !n.hasKeys(w.keys[0]) {
						t.Errorf("%s came back and has %v", n.Name, n.mem.Names())
					}
				}
				if !k.Status().Stands {
					t.Error("it still does not stand")
				}
			})
		})
	}
}

// TestNodesThatLieDoNotCount: a root stands where it is read back, whatever the
// put said.
func TestNodesThatLieDoNotCount(t *testing.T) {
	for _, x := range []struct {
		what string
		op   string
		fate backendtest.Fate
		took bool
	}{
		{"put works but says it failed", backends.OpPut, backendtest.WorksButFails, true},
		{"put says it worked and stored nothing", backends.OpPut, backendtest.Lies, false},
		{"put fails", backends.OpPut, backendtest.Fails, false},
		{"reads give other bytes", backends.OpRead, backendtest.Lies, false},
		{"sizes are wrong", backends.OpStat, backendtest.Lies, false},
	} {
		t.Run(x.what, func(t *testing.T) {
			bubble(t, 2, func(t *testing.T, w *world) {
				k := w.keeper(w.config(durable.NewMem(), w.gate))
				w.nodes[0].faulty.SetChoose(func(op, name string, _ int) backendtest.Fate {
					if op == x.op && strings.HasPrefix(name, layout.RootsDir) {
						return x.fate
					}
					return backendtest.Works
				})
				err := k.Root(t.Context(), name(w.nodes...))
				if x.took {
					must(t, err)
				} else {
					wantClass(t, "on one of two", err, cairn.ErrUnavailable)
				}
				if got := state(k, w.nodes[0]).Sequence == 1; got != x.took {
					t.Errorf("counted: %v, want %v", got, x.took)
				}
			})
		})
	}
}

// TestKeysStandBeforeRoots: on every node, whatever fails between.
func TestKeysStandBeforeRoots(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		k := w.keeper(w.config(durable.NewMem(), w.gate))
		w.nodes[1].faulty.SetChoose(func(op, name string, _ int) backendtest.Fate {
			if op == backends.OpPut && strings.HasPrefix(name, layout.KeysDir) {
				return backendtest.Fails
			}
			return backendtest.Works
		})
		must(t, k.Root(t.Context(), name(w.nodes...)))
		synctest.Wait()
		if got := w.nodes[1].roots(); len(got) > 0 {
			t.Errorf("roots %v stand on a node without keys", got)
		}
	})
}

// TestHangingNodeKeepsNobodyWaiting: a root that stands returns at once.
func TestHangingNodeKeepsNobodyWaiting(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		k := w.keeper(w.config(durable.NewMem(), w.gate))
		must(t, k.Root(t.Context(), name(w.nodes...)))
		w.nodes[2].faulty.SetChoose(func(string, string, int) backendtest.Fate { return backendtest.Hangs })
		start := time.Now()
		must(t, k.Root(t.Context(), mark("x")))
		if took := time.Since(start); took > 0 {
			t.Errorf("it took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w.nodes[1].faulty.SetDown(true)
		wantClass(t, "its caller gave up", k.Root(ctx, mark("y")), cairn.ErrUnavailable)
		must(t, k.Close(t.Context())) // waits for the hanging call, which honours its context
		wantClass(t, "after Close", k.Root(t.Context(), mark("z")), cairn.ErrUnavailable)
	})
}

// TestSecretsStandBeforeTheyAreUsed: a new epoch's files are on m+1 nodes when
// SetSecrets returns nil, and the next root names and uses it.
func TestSecretsStandBeforeTheyAreUsed(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		k := w.keeper(w.config(durable.NewMem(), w.gate))
		must(t, k.Root(t.Context(), name(w.nodes...)))
		next := crypt.EpochKey{9}
		s := Secrets{Epochs: map[uint32]crypt.EpochKey{1: w.key, 2: next}, Epoch: 2, Closed: []uint32{1}, Keys: append(slices.Clone(w.keys), w.wrap(2, next, w.gate)),
			Owners: []string{w.owner.Public().Recipient}}
		w.nodes[0].faulty.SetDown(true)
		w.nodes[1].faulty.SetDown(true)
		err := k.SetSecrets(t.Context(), s)
		wantClass(t, "two down", err, cairn.ErrUnavailable)
		wantText(t, "two down", err, "1 of 3", "n1", "n2")
		w.nodes[1].faulty.SetDown(false)
		must(t, k.SetSecrets(t.Context(), s))
		must(t, k.Root(t.Context(), nil))
		r, body, _, err := ReadLocal(k.c.FS, "/store", testStore, s.Epochs)
		must(t, err)
		if r.Epoch != 2 || len(body.Epochs) != 2 || !body.Epochs[0].Closed || body.Epochs[1].Closed {
			t.Errorf("root of epoch %d names %+v", r.Epoch, body.Epochs)
		}
		wantClass(t, "an epoch that is in use goes", k.SetSecrets(t.Context(), Secrets{Epochs: map[uint32]crypt.EpochKey{1: w.key}, Epoch: 1}), cairn.ErrInvalid)
	})
}

// TestDamageOnANodeIsMended: keys and the newest root are read again at each
// look and put back.
func TestDamageOnANodeIsMended(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		c := w.config(durable.NewMem(), w.gate)
		k := w.keeper(c)
		k.Start()
		must(t, k.Root(t.Context(), name(w.nodes...)))
		synctest.Wait()
		n := w.nodes[0]
		b, _ := n.mem.Bytes(w.keys[0].Path)
		b[len(b)/2] ^= 1
		n.mem.SetBytes(w.keys[0].Path, b)
		n.mem.SetBytes(layout.RootsDir+"/"+k.newest().name(), []byte("cut"))
		wait(2 * time.Hour)
		if !n.hasKeys(w.keys[0]) {
			t.Error("the file of keys is still damaged")
		}
		if b, _ := n.mem.Bytes(layout.RootsDir + "/" + k.newest().name()); string(b) != string(k.newest().data) {
			t.Error("the root is still damaged")
		}
	})
}

// TestKitIsToldOfWhatItHolds: at the start, and when nodes or owners change,
// not at each root.
func TestKitIsToldOfWhatItHolds(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		fs := durable.NewMem()
		c := w.config(fs, w.gate)
		var told []uint64
		var k *Keeper
		var last Kit
		c.Kit = func(r pack.Root, body pack.RootBody) {
			told = append(told, r.Sequence)
			last = must1(k.Kit())(t)
		}
		k = w.keeper(c)
		_, err := k.Kit()
		wantClass(t, "before the first root", err, cairn.ErrNotExist)
		must(t, k.Root(t.Context(), name(w.nodes[:2]...)))
		must(t, k.Root(t.Context(), mark("a")))
		must(t, k.Root(t.Context(), name(w.nodes...)))
		must(t, k.Root(t.Context(), func(b *pack.RootBody) { b.CutOff = pack.CutOff{Number: 7} }))
		if !slices.Equal(told, []uint64{1, 3}) || last.Sequence != 3 || len(last.Nodes) != 3 {
			t.Errorf("told of roots %v, the last with %d nodes", told, len(last.Nodes))
		}
		must(t, k.Close(t.Context()))
		k = w.keeper(c)
		k.Start()
		synctest.Wait()
		if !slices.Equal(told, []uint64{1, 3, 4}) {
			t.Errorf("told of roots %v after a restart", told)
		}
	})
}

// TestMetricsAndConfig: what New refuses, and that gauges go with the keeper.
func TestMetricsAndConfig(t *testing.T) {
	w := newWorld(t, 0)
	for what, change := range map[string]func(*Config){
		"no nodes":             func(c *Config) { c.Nodes = nil },
		"no key":               func(c *Config) { c.Epoch = 2 },
		"other delegation":     func(c *Config) { c.Delegation = w.newGate(9, 1).delegation },
		"keys of another name": func(c *Config) { c.Keys = []KeysFile{{w.keys[0].Path, []byte("x")}} },
	} {
		c := w.config(durable.NewMem(), w.gate)
		change(&c)
		_, err := New(t.Context(), c)
		wantClass(t, what, err, cairn.ErrInvalid)
	}
	c := w.config(durable.NewMem(), w.gate)
	reg := prometheus.NewPedanticRegistry()
	c.Registry = reg
	k := w.keeper(c)
	must(t, k.Root(t.Context(), mark("x")))
	got := make(map[string]float64)
	for _, f := range must1(reg.Gather())(t) {
		m := f.GetMetric()[0]
		got[f.GetName()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
	}
	if got["cairn_recovery_root_sequence"] != 1 || got["cairn_recovery_roots_total"] != 1 || got["cairn_recovery_root_written_seconds"] == 0 {
		t.Errorf("metrics %v", got)
	}
	must(t, k.Close(t.Context()))
	if left := must1(reg.Gather())(t); len(left) > 0 {
		t.Errorf("%d metrics stay after Close", len(left))
	}
}

// TestHazardB7NothingIsWrittenWithoutTheMarker: a disk that is unmounted between
// two calls leaves an empty directory, which is not the node.
func TestHazardB7NothingIsWrittenWithoutTheMarker(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		k := w.keeper(w.config(durable.NewMem(), w.gate))
		must(t, k.Root(t.Context(), name(w.nodes...)))
		synctest.Wait()
		n := w.nodes[2]
		for _, name := range n.mem.Names() {
			n.mem.Drop(name)
		}
		must(t, k.Root(t.Context(), mark("x")))
		wait(2 * time.Hour)
		if names := n.mem.Names(); len(names) > 0 {
			t.Errorf("below the mount point there is %v now", names)
		}
		if s := state(k, n); s.State == "ok" {
			t.Errorf("state %+v", s)
		}
	})
}

// TestHazardB7UnmountedIsNotRolledBack: below the mount point no root is listed,
// which says nothing of the node; once it is mounted again all is as before.
func TestHazardB7UnmountedIsNotRolledBack(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		k := w.keeper(w.config(durable.NewMem(), w.gate))
		must(t, k.Root(t.Context(), name(w.nodes...)))
		synctest.Wait()
		n := w.nodes[2]
		files := make(map[string][]byte)
		for _, name := range n.mem.Names() {
			files[name], _ = n.mem.Bytes(name)
		}
		// Its marker was seen a moment ago, on the same connection.
		n.faulty.SetChoose(func(op, _ string, _ int) backendtest.Fate {
			if op == backends.OpList {
				for name := range files {
					n.mem.Drop(name)
				}
			}
			return backendtest.Works
		})
		must(t, k.Look(t.Context()))
		if names := n.mem.Names(); len(names) > 0 {
			t.Errorf("below the mount point there is %v now", names)
		}
		n.faulty.SetChoose(nil)
		for name, b := range files {
			must(t, n.mem.Put(t.Context(), name, b))
		}
		must(t, k.Look(t.Context()))
		if why := w.suspected(n); why != "" {
			t.Errorf("it was not mounted for a while, and is suspect: %s", why)
		}
		if s := state(k, n); s.State != "ok" {
			t.Errorf("state %+v", s)
		}
	})
}
