package recovery

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

func emptyBody() pack.RootBody { return pack.RootBody{} }

// TestHazardB15NodeIsAdmittedWhenARootThatNamesItStands: not before, and again
// only after the next one when its address changes.
func TestHazardB15NodeIsAdmittedWhenARootThatNamesItStands(t *testing.T) {
	bubble(t, 4, func(t *testing.T, w *world) {
		w.set(w.nodes[:3]...)
		k := w.keeper(w.config(durable.NewMem(), w.gate))
		k.Start()
		wait(2 * time.Second)
		for _, n := range w.nodes {
			if w.admitted(n) {
				t.Errorf("%s is admitted and no root names it", n.Name)
			}
		}
		must(t, k.Root(t.Context(), name(w.nodes[:3]...)))
		synctest.Wait()
		for _, n := range w.nodes[:3] {
			if !w.admitted(n) {
				t.Errorf("%s is named and held", n.Name)
			}
		}

		// A fourth one joins while two of the others are away: 2+2 needs three.
		late := w.nodes[3]
		w.nodes[0].faulty.SetDown(true)
		w.nodes[1].faulty.SetDown(true)
		w.set(w.nodes...)
		wait(time.Minute)
		if w.admitted(late) {
			t.Error("the new node is admitted and no root names it")
		}
		wantClass(t, "a root on two of four", k.Root(t.Context(), name(w.nodes...)), cairn.ErrUnavailable)
		wait(time.Minute)
		if w.admitted(late) {
			t.Error("the new node is admitted before the root that names it stands")
		}
		w.nodes[0].faulty.SetDown(false)
		w.change()
		wait(2 * time.Second)
		if !w.admitted(late) {
			t.Error("the root stands and the new node is still held")
		}

		// Its address changes: the fleet holds it, until a root knows.
		moved := *late
		moved.Remote = "mem:elsewhere"
		w.mu.Lock()
		w.members = []*testNode{w.nodes[0], w.nodes[1], w.nodes[2], &moved}
		w.admits[late.ID] = false
		w.mu.Unlock()
		w.change()
		wait(2 * time.Hour)
		if w.admitted(late) {
			t.Error("admitted at an address that no root names")
		}
		must(t, k.Root(t.Context(), name(w.nodes[0], w.nodes[1], w.nodes[2], &moved)))
		wait(2 * time.Second)
		if !w.admitted(late) {
			t.Error("held at an address that a standing root names")
		}
	})
}

// TestAdmissionWaitsForKeys: nodes take no shard of an epoch whose files stand
// on too few.
func TestAdmissionWaitsForKeys(t *testing.T) {
	bubble(t, 2, func(t *testing.T, w *world) {
		c := w.config(durable.NewMem(), w.gate)
		k := w.keeper(c)
		must(t, k.Root(t.Context(), name(w.nodes...)))
		must(t, k.Close(t.Context()))
		w.admits = make(map[cairn.NodeID]bool)
		w.nodes[1].mem.Capacity = 1 // it takes nothing any more
		w.nodes[1].mem.Drop(w.keys[0].Path)
		k = w.keeper(c)
		k.Start()
		wait(time.Minute)
		if w.admitted(w.nodes[0]) || w.admitted(w.nodes[1]) {
			t.Error("admitted while the keys stand on one of two nodes")
		}
	})
}

// TestHazardB15InAFleet: the two packages together: no shard before the root.
func TestHazardB15InAFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		blocks, err := cache.New(cache.Config{MemoryBytes: 1 << 20})
		must(t, err)
		f, err := fleet.New(t.Context(), fleet.Config{Store: testStore, Hold: true, Cache: blocks, Trust: pack.Trust(crypt.TrustKeys(testStore, w.gate.id.Sign().Public())),
			Open: func(_ context.Context, n pack.Node) (backends.Remote, error) {
				for _, o := range w.nodes {
					if o.ID == n.ID {
						return o.faulty, nil
					}
				}
				return nil, fmt.Errorf("node %s: %w", n.Name, cairn.ErrUnavailable)
			}})
		must(t, err)
		defer func() { must(t, f.Close()) }()
		c := w.config(durable.NewMem(), w.gate)
		c.Nodes = f
		k := w.keeper(c)
		defer func() { must(t, k.Close(t.Context())) }()
		k.Start()
		var nodes []pack.Node
		for _, n := range w.nodes {
			nodes = append(nodes, n.Node)
		}
		must(t, f.SetNodes(t.Context(), nodes))
		wait(10 * time.Second)
		_, err = f.Coding("auto")
		wantClass(t, "before any root", err, cairn.ErrUnavailable)
		must(t, k.Root(t.Context(), name(w.nodes...)))
		synctest.Wait()
		if got, err := f.Coding("auto"); err != nil || got.N() != 3 {
			t.Errorf("after the root: %v, %v", got, err)
		}
		if all, _ := f.Status(); all[0].State != "ok" {
			t.Errorf("state %q: %s", all[0].State, all[0].Why)
		}
		dropRoots(w.nodes[2], 0)
		wait(2 * time.Hour)
		if all, _ := f.Status(); all[2].State != "suspect" {
			t.Errorf("after a rollback: state %q: %s", all[2].State, all[2].Why)
		}
	})
}
