package fleet

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

func held(c *Config) { c.Hold = true }

// TestHazardB15HeldNodeGetsNoShard: what no root names takes no shard, counts
// neither for the coding nor for space, and is read from all the same.
func TestHazardB15HeldNodeGetsNoShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 4, held)
		synctest.Wait()
		_, err := r.Coding("auto")
		wantClass(t, "all held", err, cairn.ErrUnavailable)
		if r.Full() {
			t.Error("a fleet of held nodes counts as full: PUTs would be refused for good")
		}
		for _, n := range r.nodes {
			if s := r.state(n); s.State != "held" || s.Why != whyHeld {
				t.Errorf("%s: state %q why %q, want held", n.Name, s.State, s.Why)
			}
		}
		changed := r.Changed()
		r.Admit(r.nodes[0].Node, r.nodes[1].Node, r.nodes[2].Node, pack.Node{ID: cairn.NodeID{99}})
		select {
		case <-changed:
		default:
			t.Error("admitting nodes woke nobody")
		}
		if c, err := r.Coding("auto"); err != nil || c != coding("2+2") {
			t.Errorf("with three admitted, and one that is about to be: %v, %v, want 2+2", c, err)
		}
		<-time.After(10 * time.Minute)
		if c, err := r.Coding("auto"); err != nil || c != coding("2+1") {
			t.Errorf("with three admitted, and one held for long: %v, %v, want 2+1", c, err)
		}
		var packs []*spread
		for range 10 {
			packs = append(packs, r.spread(coding("2+1"), 30*kib))
		}
		if puts, _ := r.nodes[3].take(backends.OpPut); len(puts) > 0 {
			t.Errorf("the held node was given %d shards", len(puts))
		}
		if _, err := r.Scatter(t.Context(), r.seal(coding("3+1"), 30*kib).Sealed, nil, noIntent); err == nil {
			t.Error("four shards stand on three admitted nodes")
		}

		// What stands on a held node, as after a recovery, is read there.
		for _, p := range packs {
			from, name := r.holder(p, 0)
			b, _ := from.mem.Bytes(name)
			to := slices.IndexFunc(p.where, func(l cairn.Location) bool { return l.Index == 0 })
			p.where[to].Node = r.nodes[3].ID
			r.nodes[3].mem.SetBytes(layout.Path(p.where[to].Name(p.ID)), b)
			from.mem.Drop(name)
			r.read(p, 0, 30*kib, 0)
		}
		if reads, _ := r.nodes[3].take(backends.OpRead); len(reads) == 0 {
			t.Error("the held node was not read from")
		}
		if got, err := r.Survey(t.Context()); err != nil || len(got) != 11 { // the one that found no fourth node included
			t.Errorf("survey: %d packs, %v", len(got), err)
		}

		r.Admit(r.nodes[3].Node)
		if c, err := r.Coding("auto"); err != nil || c != coding("2+2") {
			t.Errorf("with all admitted: %v, %v, want 2+2", c, err)
		}
		if s := r.state(r.nodes[3]); s.State != "ok" {
			t.Errorf("admitted: state %q %q", s.State, s.Why)
		}
	})
}

// TestHoldLastsAsLongAsTheAddress: a change that no recovery needs keeps a node
// admitted; one of its address, credential or options holds it again.
func TestHoldLastsAsLongAsTheAddress(t *testing.T) {
	for _, x := range []struct {
		what   string
		change func(*pack.Node)
		held   bool
	}{
		{"capacity", func(n *pack.Node) { n.Capacity = 5 }, false},
		{"operator", func(n *pack.Node) { n.Operator = "other" }, false},
		{"address", func(n *pack.Node) { n.Remote = "mem:elsewhere" }, true},
		{"credential", func(n *pack.Node) { n.Credential = []byte("new") }, true},
		{"host key", func(n *pack.Node) { n.HostKey = "SHA256:x" }, true},
		{"option", func(n *pack.Node) { n.Option = map[string]string{"a": "b"} }, true},
	} {
		t.Run(x.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 2, held)
				before := r.nodes[0].Node
				r.Admit(before, r.nodes[1].Node)
				x.change(&r.nodes[0].Node)
				r.set(r.nodes...)
				if got := r.node(r.nodes[0].ID).held(); got != x.held {
					t.Errorf("held is %v, want %v", got, x.held)
				}
				if r.Admit(before); r.node(before.ID).held() != x.held {
					t.Error("who knew it as it was before admitted it as it is")
				}
				if r.node(r.nodes[1].ID).held() {
					t.Error("the other node is held too")
				}
			})
		})
	}
}

// TestSuspectNodesComeLast: shards go to a suspect node only where the others
// are too few, and what it holds is read.
func TestSuspectNodesComeLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 4)
		synctest.Wait()
		bad := r.nodes[1]
		r.Suspect(bad.ID, "shows root 5, confirmed 9: rolled back")
		r.Suspect(cairn.NodeID{99}, "is not there")
		if s := r.state(bad); s.State != "suspect" || s.Why != "shows root 5, confirmed 9: rolled back" {
			t.Errorf("state %q why %q", s.State, s.Why)
		}
		for range 20 {
			r.spread(coding("2+1"), 10*kib)
		}
		if puts, _ := bad.take(backends.OpPut); len(puts) > 0 {
			t.Errorf("%d shards went to a suspect node while three others were there", len(puts))
		}
		if c, err := r.Coding("auto"); err != nil || c != coding("2+2") {
			t.Errorf("coding %v, %v: a suspect node still counts", c, err)
		}
		p := r.spread(coding("2+2"), 10*kib)
		if puts, _ := bad.take(backends.OpPut); len(puts) != 1 {
			t.Errorf("%d shards went to the suspect node where it was needed, want 1", len(puts))
		}
		r.read(p, 0, 10*kib, 0)
		if got := r.node(bad.ID).rank(); got != 2 {
			t.Errorf("rank %d, want 2: read after those that are well", got)
		}

		changed := r.Changed()
		r.Suspect(bad.ID, "shows root 5, confirmed 9: rolled back")
		select {
		case <-changed:
			t.Error("the same word again counts as a change")
		default:
		}
		must(t, r.Reset(bad.ID))
		if s := r.state(bad); s.State != "ok" {
			t.Errorf("after a reset: %q %q", s.State, s.Why)
		}
	})
}

// TestEachReachesEveryNodeOnce: all at once, held and suspect ones too, with
// the outcome of each; a node that hangs keeps only itself waiting.
func TestEachReachesEveryNodeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 0, held, unwatched)
		for range 5 {
			r.addNode()
		}
		r.nodes[2].faulty.SetDown(true) // from the start: nothing was ever seen of it
		r.nodes[4].State = "gone"
		r.set(r.nodes...)
		r.Suspect(r.nodes[1].ID, "older root")
		synctest.Wait()

		var mu sync.Mutex
		seen := make(map[cairn.NodeID]int)
		errOdd := errors.New("odd")
		all := make(chan struct{})
		got := r.Each(t.Context(), func(ctx context.Context, n pack.Node, c backends.Remote) error {
			mu.Lock()
			seen[n.ID]++
			if len(seen) == 3 {
				close(all) // the others wait for this: they run at once
			}
			mu.Unlock()
			<-all
			if n.ID == r.nodes[3].ID {
				return errOdd
			}
			return c.Put(ctx, "roots/x", []byte("y"))
		})
		if len(got) != 4 || len(seen) != 3 {
			t.Errorf("%d outcomes and %d calls, want 4 and 3: %v", len(got), len(seen), got)
		}
		if got[r.nodes[0].ID] != nil || got[r.nodes[1].ID] != nil {
			t.Errorf("held and suspect nodes: %v, %v", got[r.nodes[0].ID], got[r.nodes[1].ID])
		}
		wantClass(t, "a node that is down", got[r.nodes[2].ID], cairn.ErrUnavailable)
		if !errors.Is(got[r.nodes[3].ID], errOdd) {
			t.Errorf("the error of the call was lost: %v", got[r.nodes[3].ID])
		}
		if _, ok := r.nodes[0].mem.Bytes("roots/x"); !ok {
			t.Error("nothing was put")
		}
		if _, ok := got[r.nodes[4].ID]; ok {
			t.Error("a node that was given up was asked")
		}
	})
}
