package recovery

import (
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

// TestTakeoverIsTheNextGateway: same log-ins, own signature, next delegation, a
// root above all others that keeps what the store is.
func TestTakeoverIsTheNextGateway(t *testing.T) {
	living(t, 3, 10, func(t *testing.T, w *world, _ Kit) {
		f := w.find(t, FindConfig{Identity: &w.owner, From: w.candidates(w.nodes...)})
		until := pack.CutOff{Number: 37, Last: cairn.Stamp{Life: 2, LSN: 400}, Seal: crypt.Hash{1}}
		taken := must1(MakeTakeover(TakeoverConfig{Found: f, Owner: &w.owner, Random: chance(5), Until: until, Now: 12}))(t)
		was, is := w.gate.id.Public(), taken.Identity.Public()
		if is.SSH != was.SSH || is.Recipient != was.Recipient || is.Sign == was.Sign || is.Store != testStore {
			t.Error("the identity is not a successor of the one before")
		}
		d := must1(crypt.ParseDelegation(taken.Delegation))(t)
		must(t, d.Verify(w.owner.Sign().Public(), testStore))
		if d.Number != 2 || d.Gateway != is.Sign {
			t.Errorf("delegation %d", d.Number)
		}
		for _, file := range taken.Keys {
			k := must1(crypt.ParseKeys(file.Data, crypt.TrustKeys(testStore, is.Sign)))(t)
			for what, id := range map[string]crypt.Identity{"owner": w.owner, "gateway": taken.Identity} {
				if key, err := k.Open(id); err != nil || key != w.key {
					t.Errorf("keys do not open for the %s: %v", what, err)
				}
			}
		}
		r := must1(pack.ParseRoot(taken.Root))(t)
		b := must1(r.Open(w.key))(t)
		if r.Sequence != 11 || r.Prev != f.RootHash || r.Signer != is.Sign || b.Ancestors[0] != f.RootHash || len(b.Nodes) != 3 || b.Setting["mark 0"] != "0" {
			t.Errorf("root %d after %x, %d nodes", r.Sequence, r.Prev[:4], len(b.Nodes))
		}
		if len(b.Gateways) != 2 || b.Gateways[0].Until != until || !b.Gateways[1].Until.IsZero() || b.Gateways[1].Key != is.Sign || b.Gateways[1].Number != 2 {
			t.Errorf("gateways %+v", b.Gateways)
		}

		fs := durable.NewMem()
		c := w.config(fs, w.gate)
		k := must1(Takeover(t.Context(), c, taken))(t)
		if s := k.Status(); s.Sequence != 11 || !s.Stands {
			t.Errorf("status %+v", s)
		}
		must(t, k.Root(t.Context(), mark("goes on")))
		must(t, k.Close(t.Context()))
		wantClass(t, "into a directory that has roots", taken.Write(fs, "/store"), cairn.ErrPrecondition)
		_, err := New(t.Context(), w.config(fs, w.gate))
		wantClass(t, "the former gateway's identity on the new one's directory", err, cairn.ErrPrecondition)

		// A third one after that, from the newest root, whoever else is there.
		again := w.find(t, FindConfig{Identity: &w.owner, From: w.candidates(w.nodes[1])})
		third := must1(MakeTakeover(TakeoverConfig{Found: again, Owner: &w.owner, Random: chance(6)}))(t)
		if third.Number != 3 || third.Sequence != 13 || len(third.Body.Gateways) != 3 || third.Body.Gateways[0].Until != until || !third.Body.Gateways[1].Until.IsZero() {
			t.Errorf("delegation %d, root %d, gateways %+v", third.Number, third.Sequence, third.Body.Gateways)
		}
		SetUntil(&third.Body, third.Identity.Sign().Public(), pack.CutOff{Number: 50})
		if third.Body.Gateways[0].Until != until || third.Body.Gateways[1].Until.Number != 50 || !third.Body.Gateways[2].Until.IsZero() {
			t.Errorf("SetUntil: %+v", third.Body.Gateways)
		}
	})
}

// TestTakeoverIsRetriedWhereItWasCutOff: the same directory takes the same root
// again.
func TestTakeoverIsRetriedWhereItWasCutOff(t *testing.T) {
	living(t, 3, 2, func(t *testing.T, w *world, _ Kit) {
		f := w.find(t, FindConfig{Identity: &w.owner, From: w.candidates(w.nodes...)})
		taken := must1(MakeTakeover(TakeoverConfig{Found: f, Owner: &w.owner, Random: chance(5)}))(t)
		fs := durable.NewMem()
		w.nodes[0].faulty.SetDown(true)
		w.nodes[1].faulty.SetDown(true)
		k, err := Takeover(t.Context(), w.config(fs, w.gate), taken)
		wantClass(t, "two of three are away", err, cairn.ErrUnavailable)
		w.nodes[0].faulty.SetDown(false)
		must(t, k.Root(t.Context(), nil))
		must(t, k.Close(t.Context()))
		k = must1(Takeover(t.Context(), w.config(fs, w.gate), taken))(t)
		must(t, k.Close(t.Context()))
	})
}

// TestStoreWithoutAnOwnersSignature: whose owners brought their own keys. The
// former gateway signs for the next, and an old kit leads to it.
func TestStoreWithoutAnOwnersSignature(t *testing.T) {
	plain := must1(age.GenerateX25519Identity())(t)
	living(t, 3, 1, func(t *testing.T, w *world, _ Kit) {
		w = w.bare(t, plain)
		disk := durable.NewMem()
		k := w.keeper(w.config(disk, w.gate))
		must(t, k.Root(t.Context(), name(w.nodes...)))
		kit := must1(k.Kit())(t)
		must(t, k.Close(t.Context()))
		if kit.Owner != (crypt.PublicKey{}) {
			t.Error("the kit names an owner's key")
		}
		me := []age.Identity{plain}
		for number := uint64(1); number < 4; number++ {
			f := w.find(t, FindConfig{Ages: me, Kit: &kit})
			if f.Number != number-1 || !f.HasRoot {
				t.Fatalf("delegation %d", f.Number)
			}
			taken := must1(MakeTakeover(TakeoverConfig{Found: f, Random: chance(byte(number) + 70)}))(t)
			k := must1(Takeover(t.Context(), w.config(durable.NewMem(), w.gate), taken))(t)
			must(t, k.Root(t.Context(), mark("x")))
			must(t, k.Close(t.Context()))
		}
		// The first gateway's disk comes back: it must notice a successor that it
		// never heard of.
		old := w.keeper(w.config(disk, w.gate))
		wantClass(t, "the first gateway again", old.Root(t.Context(), mark("y")), cairn.ErrFork)

		f := w.find(t, FindConfig{Ages: me, Kit: &kit})
		f.Identity = nil
		_, err := MakeTakeover(TakeoverConfig{Found: f, Random: chance(1)})
		wantClass(t, "nobody can sign", err, cairn.ErrInvalid)
		f.Identity = w.gate.id.Encode()
		_, err = MakeTakeover(TakeoverConfig{Found: f, Random: chance(1)})
		wantClass(t, "a gateway before the last signs", err, cairn.ErrInvalid)
	})
}

// bare is a store on w's nodes, emptied, whose owner has only plain.
func (w *world) bare(t *testing.T, plain *age.X25519Identity) *world {
	out := newWorld(t, len(w.nodes))
	out.gate.delegation, out.gate.number = nil, 0
	b := must1(crypt.WrapEpoch(out.key, 1, testStore, []string{out.gate.id.Public().Recipient, plain.Recipient().String()}, out.gate.id.Sign()))(t)
	out.keys = []KeysFile{{Path: keyPath(b), Data: b}}
	out.plain = plain.Recipient().String()
	return out
}

// TestGatewaysWordForItsSuccessor: where an owner signs, a successor that only
// a gateway vouches for counts for nobody but who names it.
func TestGatewaysWordForItsSuccessor(t *testing.T) {
	living(t, 3, 2, func(t *testing.T, w *world, kit Kit) {
		f := w.find(t, FindConfig{Identity: &w.owner, From: w.candidates(w.nodes...)})
		taken := must1(MakeTakeover(TakeoverConfig{Found: f, Random: chance(5)}))(t) // by an owner without a signing key
		k := must1(Takeover(t.Context(), w.config(durable.NewMem(), w.gate), taken))(t)
		newKit := must1(k.Kit())(t)
		must(t, k.Close(t.Context()))
		if newKit.Owner != w.owner.Sign().Public() {
			t.Error("the owner's key was lost on the way")
		}
		for _, x := range []struct {
			what     string
			c        FindConfig
			believed bool
		}{
			{"the owner's identity alone", FindConfig{Identity: &w.owner, From: w.candidates(w.nodes...)}, false},
			{"the old kit", FindConfig{Identity: &w.owner, Kit: &kit}, false},
			{"the new kit", FindConfig{Identity: &w.owner, Kit: &newKit}, true},
			{"the new gateway named", FindConfig{Identity: &w.owner, From: w.candidates(w.nodes...), Trust: []crypt.PublicKey{taken.Identity.Sign().Public()}}, true},
			{"the old gateway named", FindConfig{Identity: &w.owner, From: w.candidates(w.nodes...), Trust: []crypt.PublicKey{w.gate.id.Sign().Public()}}, true},
		} {
			g := w.find(t, x.c)
			if got := g.Root.Sequence == 3; got != x.believed {
				t.Errorf("%s: root %d", x.what, g.Root.Sequence)
			}
			noted := slices.ContainsFunc(g.Notes, func(n string) bool { return strings.Contains(n, "is not believed") })
			if noted == x.believed {
				t.Errorf("%s: notes %v", x.what, g.Notes)
			}
			if x.believed && g.Number != 2 {
				t.Errorf("%s: delegation %d", x.what, g.Number)
			}
		}
	})
}
