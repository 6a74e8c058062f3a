package recovery

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"filippo.io/age"
	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// lived is a world whose gateway wrote n roots, the first of which names all
// nodes, and is gone.
func lived(t *testing.T, nodes, roots int) (*world, Kit) {
	t.Helper()
	w := newWorld(t, nodes)
	k := w.keeper(w.config(durable.NewMem(), w.gate))
	must(t, k.Root(t.Context(), name(w.nodes...)))
	for i := range roots - 1 {
		must(t, k.Root(t.Context(), mark(fmt.Sprint(i))))
	}
	synctest.Wait()
	kit := must1(k.Kit())(t)
	must(t, k.Close(t.Context()))
	return w, kit
}

func living(t *testing.T, nodes, roots int, test func(t *testing.T, w *world, kit Kit)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, kit := lived(t, nodes, roots)
		test(t, w, kit)
	})
}

// TestHazardA10FindLeadsFromOneNodeToAll: an owner's identity and one address are
// enough, whoever is away, behind or gone.
func TestHazardA10FindLeadsFromOneNodeToAll(t *testing.T) {
	living(t, 5, 12, func(t *testing.T, w *world, _ Kit) {
		w.nodes[3].faulty.SetDown(true) // bob: timeout
		dropRoots(w.nodes[2], 8)        // dora shows older ones
		f := w.find(t, FindConfig{Identity: &w.owner, From: w.candidates(w.nodes[0])})
		if !f.HasRoot || f.Root.Sequence != 12 || len(f.Nodes) != 5 || f.Number != 1 || f.Epoch != 1 || f.Epochs[1] != w.key || f.Top != 12 {
			t.Fatalf("found root %d, %d nodes, delegation %d, epoch %d, top %d", f.Root.Sequence, len(f.Nodes), f.Number, f.Epoch, f.Top)
		}
		if len(f.Answers) != 5 || len(f.Forks) != 0 || len(f.Notes) != 0 {
			t.Fatalf("%d answers, forks %v, notes %v", len(f.Answers), f.Forks, f.Notes)
		}
		for i, a := range f.Answers {
			if a.Name != w.nodes[i].Name || a.Behind != (i == 2 || i == 3 && a.Err == nil) || (a.Err != nil) != (i == 3) {
				t.Errorf("answer %d: %+v", i, a)
			}
		}
		if f.Answers[2].Sequence != 8 || f.Answers[0].Sequence != 12 {
			t.Errorf("sequences %d and %d", f.Answers[2].Sequence, f.Answers[0].Sequence)
		}
		if f.Owner != w.owner.Sign().Public() || string(f.Identity) != string(w.gate.id.Encode()) || len(f.Keys) != 1 || f.Keys[0].Path != w.keys[0].Path {
			t.Error("owner, identity or keys are not what the store has")
		}
		if string(f.RootBytes) == "" || pack.RootHash(f.RootBytes) != f.RootHash {
			t.Error("the bytes of the root are not those of its hash")
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
			if text := fmt.Sprintf(verb, f); strings.Contains(text, "password") || strings.Contains(text, "AGE-SECRET") {
				t.Errorf("%s prints secrets", verb)
			}
		}
	})
}

// TestKitOutOfDateStillLeadsToAll: nodes that moved or joined since are found
// through the root.
func TestKitOutOfDateStillLeadsToAll(t *testing.T) {
	living(t, 3, 1, func(t *testing.T, w *world, kit Kit) {
		w.keeperTakesOn(t, func() {
			w.nodes[0].Remote, w.nodes[0].Credential = "mem:moved", []byte("another password")
			w.nodes[1].Remote = "mem:moved too"
			w.addNode()
		})
		var asked []string
		f := w.find(t, FindConfig{Ages: []age.Identity{w.owner.Age()}, Kit: &kit})
		for _, a := range f.Answers {
			if a.Err != nil || a.Behind || a.Sequence != 2 {
				t.Errorf("%+v", a)
			}
			asked = append(asked, a.Name)
		}
		if f.Root.Sequence != 2 || !slices.Equal(asked, []string{"n1", "n2", "n3", "n4"}) {
			t.Errorf("root %d from %v", f.Root.Sequence, asked)
		}
	})
}

// keeperTakesOn lets a gateway with the same secrets, that knows the roots on
// the nodes, write one more root after change.
func (w *world) keeperTakesOn(t *testing.T, change func()) {
	t.Helper()
	f := w.find(t, FindConfig{Identity: &w.owner, From: w.candidates(w.nodes...)})
	change()
	body := f.Body
	name(w.nodes...)(&body)
	body.Ancestors = ancestors(f.RootHash, f.Body.Ancestors)
	r := w.root(w.gate, f.Root.Sequence+1, f.RootHash, body)
	for _, n := range w.nodes {
		n.mem.SetBytes(layout.RootsDir+"/"+r.name(), r.data)
		n.mem.SetBytes(w.keys[0].Path, w.keys[0].Data)
	}
}

// TestHazardA11H3HostileNode: a node that makes up a whole store, with an epoch
// key, a gateway, an owner and roots of the highest numbers, is believed in
// nothing, asked alone or with others.
func TestHazardA11H3HostileNode(t *testing.T) {
	for _, x := range []struct {
		what   string
		config func(w *world, kit *Kit) FindConfig
	}{
		{"an owner's identity", func(w *world, _ *Kit) FindConfig { return FindConfig{Identity: &w.owner} }},
		{"an owner's plain key and the gateway's", func(w *world, _ *Kit) FindConfig {
			return FindConfig{Ages: []age.Identity{w.owner.Age()}, Store: testStore, Trust: []crypt.PublicKey{w.gate.id.Sign().Public()}}
		}},
		{"the gateway's identity", func(w *world, _ *Kit) FindConfig { return FindConfig{Identity: &w.gate.id} }},
		{"an owner's plain key and the kit", func(w *world, kit *Kit) FindConfig {
			return FindConfig{Ages: []age.Identity{w.owner.Age()}, Kit: kit}
		}},
	} {
		for _, alone := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, alone %v", x.what, alone), func(t *testing.T) {
				living(t, 3, 3, func(t *testing.T, w *world, kit Kit) {
					evil := w.nodes[0]
					w.evil(evil)
					c := x.config(w, &kit)
					c.Open = w.open
					c.From = w.candidates(w.nodes...)
					if alone {
						c.From = c.From[:1]
						for _, n := range w.nodes[1:] {
							n.faulty.SetDown(true)
						}
					}
					f, err := Find(t.Context(), c)
					if f.Root.Sequence > 3 || f.Number > 1 || f.Top > 3 {
						t.Fatalf("root %d under delegation %d was believed", f.Root.Sequence, f.Number)
					}
					for epoch, key := range f.Epochs {
						if epoch != 1 || key != w.key {
							t.Fatalf("the key it made up for epoch %d was believed", epoch)
						}
					}
					if !alone {
						must(t, err)
						if f.Root.Sequence != 3 || f.Epoch != 1 {
							t.Errorf("root %d, epoch %d", f.Root.Sequence, f.Epoch)
						}
						return
					}
					if c.Kit == nil {
						wantClass(t, "asked alone", err, cairn.ErrDenied)
						wantText(t, "asked alone", err, "vouches for")
						return
					}
					must(t, err) // the kit holds the true keys
					if f.HasRoot {
						t.Errorf("root %d was believed", f.Root.Sequence)
					}
				})
			})
		}
	}
}

// evil makes n serve a store of its own.
func (w *world) evil(n *testNode) {
	for _, name := range n.mem.Names() {
		if name != layout.MarkerName {
			n.mem.Drop(name)
		}
	}
	made := gate{id: must1(crypt.NewIdentity(crypt.Gateway, testStore, chance(66)))(w.tb), number: 99}
	made.delegation = w.delegate(crypt.NewSigningKey([32]byte{66}), 99, made.id)
	for epoch := uint32(1); epoch < 4; epoch++ {
		f := w.wrap(epoch, crypt.EpochKey{66, byte(epoch)}, made)
		n.mem.SetBytes(f.Path, f.Data)
	}
	for _, by := range []crypt.SigningKey{crypt.NewSigningKey([32]byte{66}), made.id.Sign()} {
		// Numbers for the true gateway, too, which would hide its successors.
		for _, to := range []crypt.Identity{made.id, w.gate.id} {
			d := delegationFile(w.delegate(by, 1000, to))
			n.mem.SetBytes(d.Path, d.Data)
		}
	}
	key := w.key
	w.key = crypt.EpochKey{66, 1}
	for _, seq := range []uint64{2, 3, 4, 1 << 40} {
		w.plant(n, made, seq, crypt.Hash{}, pack.RootBody{Nodes: []pack.Node{{ID: cairn.NodeID{66}, Name: "evil", Remote: "mem:evil"}}})
	}
	w.key = key
}

// TestHazardA11H1AllRootsGone: the epochs open all the same, so that a scan can
// go on, and a takeover can be signed.
func TestHazardA11H1AllRootsGone(t *testing.T) {
	living(t, 3, 4, func(t *testing.T, w *world, kit Kit) {
		for _, n := range w.nodes {
			dropRoots(n, 0)
		}
		for what, c := range map[string]FindConfig{
			"identity and addresses": {Identity: &w.owner, From: w.candidates(w.nodes...)},
			"plain key and kit":      {Ages: []age.Identity{w.owner.Age()}, Kit: &kit},
		} {
			f := w.find(t, c)
			if f.HasRoot || f.Epoch != 1 || f.Epochs[1] != w.key || f.Number != 1 {
				t.Errorf("%s: root %v, epoch %d, delegation %d", what, f.HasRoot, f.Epoch, f.Number)
			}
			if len(f.Gateways) != 1 || f.Gateways[0].Key != w.gate.id.Sign().Public() || f.Gateways[0].Recipient != w.gate.id.Public().Recipient {
				t.Errorf("%s: gateways %+v", what, f.Gateways)
			}
			if _, err := MakeTakeover(TakeoverConfig{Found: f, Owner: &w.owner, Random: chance(5), Owners: []string{w.owner.Public().Recipient}}); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		// Without files of keys on the nodes only the kit has them.
		for _, n := range w.nodes {
			n.mem.Drop(w.keys[0].Path)
		}
		_, err := Find(t.Context(), FindConfig{Identity: &w.owner, From: w.candidates(w.nodes...), Open: w.open})
		wantClass(t, "no keys", err, cairn.ErrLost)
		if f := w.find(t, FindConfig{Identity: &w.owner, Kit: &kit}); f.Epochs[1] != w.key {
			t.Error("the kit's keys are not used")
		}
	})
}

// TestHazardA11H2RotationBeforeTheNextRoot: the new epoch's key is found, and
// goes on being used, though no root names it.
func TestHazardA11H2RotationBeforeTheNextRoot(t *testing.T) {
	living(t, 3, 2, func(t *testing.T, w *world, _ Kit) {
		next := crypt.EpochKey{8}
		f2 := w.wrap(2, next, w.gate)
		for _, n := range w.nodes {
			n.mem.SetBytes(f2.Path, f2.Data)
		}
		f := w.find(t, FindConfig{Identity: &w.owner, From: w.candidates(w.nodes[2])})
		if f.Epoch != 2 || f.Epochs[2] != next || len(f.Keys) != 2 {
			t.Errorf("epoch %d, %d files", f.Epoch, len(f.Keys))
		}
	})
}

// TestHazardB19FormerGatewayPlantsAnEpoch: what a gateway that was taken over
// signs later is not what the next one writes under, and closed epochs are
// never written under again.
func TestHazardB19FormerGatewayPlantsAnEpoch(t *testing.T) {
	living(t, 3, 2, func(t *testing.T, w *world, _ Kit) {
		first := w.find(t, FindConfig{Identity: &w.owner, From: w.candidates(w.nodes...)})
		taken := must1(MakeTakeover(TakeoverConfig{Found: first, Owner: &w.owner, Random: chance(5)}))(t)
		k := must1(Takeover(t.Context(), w.config(durable.NewMem(), w.gate), taken))(t)
		next := crypt.EpochKey{8}
		s := taken.Secrets
		s.Epochs = map[uint32]crypt.EpochKey{1: w.key, 2: next}
		s.Epoch, s.Closed = 2, []uint32{1}
		s.Keys = append(slices.Clone(s.Keys), w.wrap(2, next, gate{id: taken.Identity}))
		must(t, k.SetSecrets(t.Context(), s))
		must(t, k.Root(t.Context(), nil))
		must(t, k.Close(t.Context()))
		for _, n := range w.nodes {
			for epoch, key := range map[uint32]crypt.EpochKey{2: {66}, 3: {67}} {
				f := w.wrap(epoch, key, w.gate)
				n.mem.SetBytes(f.Path, f.Data)
			}
		}
		f := w.find(t, FindConfig{Identity: &w.owner, From: w.candidates(w.nodes...)})
		if f.Epoch != 2 || f.Epochs[2] != next || f.Epochs[1] != w.key {
			t.Errorf("epoch %d; key of epoch 2 is the planted one: %v", f.Epoch, f.Epochs[2] != next)
		}
		if len(f.Notes) == 0 || !strings.Contains(f.Notes[0], "another key for epoch 2") {
			t.Errorf("notes %v", f.Notes)
		}
	})
}

// TestKeysThatTheRootNamesWin: over others that the same gateway's key signed.
func TestKeysThatTheRootNamesWin(t *testing.T) {
	living(t, 3, 2, func(t *testing.T, w *world, _ Kit) {
		for i := range byte(12) { // in whatever order their names come
			f := w.wrap(1, crypt.EpochKey{66, i}, w.gate)
			w.nodes[1].mem.SetBytes(f.Path, f.Data)
		}
		f := w.find(t, FindConfig{Identity: &w.owner, From: w.candidates(w.nodes...)})
		if f.Epochs[1] != w.key || len(f.Keys) != 1 || f.Keys[0].Path != w.keys[0].Path || f.Root.Sequence != 2 {
			t.Errorf("%d files of keys, the planted one won: %v", len(f.Keys), f.Epochs[1] != w.key)
		}
		if len(f.Notes) != 12 {
			t.Errorf("%d notes", len(f.Notes))
		}
	})
}

// TestFindSaysWhatIsMissing: each way to ask for too little, or in vain.
func TestFindSaysWhatIsMissing(t *testing.T) {
	living(t, 2, 2, func(t *testing.T, w *world, kit Kit) {
		stranger := must1(crypt.NewIdentity(crypt.Owner, testStore, chance(40)))(t)
		elsewhere := must1(crypt.NewIdentity(crypt.Owner, cairn.StoreID{9}, chance(41)))(t)
		plain := []age.Identity{w.owner.Age()}
		from := w.candidates(w.nodes...)
		trust := []crypt.PublicKey{w.gate.id.Sign().Public()}
		empty := &testNode{mem: &backendtest.Mem{}}
		empty.faulty = backendtest.NewFaulty(empty.mem, nil)
		for _, x := range []struct {
			what  string
			c     FindConfig
			class error
			says  string
		}{
			{"nothing", FindConfig{}, cairn.ErrInvalid, "which store"},
			{"no identity", FindConfig{Kit: &kit}, cairn.ErrInvalid, "owner's identity"},
			{"nowhere to ask", FindConfig{Identity: &w.owner}, cairn.ErrInvalid, "kit or the address"},
			{"nobody's word", FindConfig{Ages: plain, Store: testStore, From: from}, cairn.ErrInvalid, "--gateway"},
			{"kit of another store", FindConfig{Identity: &elsewhere, Kit: &kit}, cairn.ErrInvalid, "not of one store"},
			{"an owner of another store", FindConfig{Identity: &elsewhere, From: from}, cairn.ErrUnavailable, "it is a node of store c0ff"},
			{"no owner", FindConfig{Ages: []age.Identity{stranger.Age()}, Store: testStore, Trust: trust, From: from}, cairn.ErrDenied, "none of the owners"},
			{"an identity nobody knows", FindConfig{Identity: &stranger, From: from}, cairn.ErrDenied, "vouches for"},
			{"an empty directory", FindConfig{Identity: &w.owner, From: w.candidates(empty)}, cairn.ErrUnavailable, "cairn.json is missing"},
		} {
			x.c.Open = w.open
			_, err := Find(t.Context(), x.c)
			wantClass(t, x.what, err, x.class)
			wantText(t, x.what, err, x.says)
		}
		for _, n := range w.nodes {
			n.faulty.SetDown(true)
		}
		_, err := Find(t.Context(), FindConfig{Identity: &w.owner, From: from})
		wantClass(t, "all are down", err, cairn.ErrUnavailable)
		wantText(t, "all are down", err, "n1", "n2")
	})
}

// TestRolledBackSinceTheKit: nodes that all show less than the kit knows are
// told of.
func TestRolledBackSinceTheKit(t *testing.T) {
	living(t, 3, 6, func(t *testing.T, w *world, kit Kit) {
		for _, n := range w.nodes {
			dropRoots(n, 4)
		}
		f := w.find(t, FindConfig{Identity: &w.owner, Kit: &kit})
		if f.Root.Sequence != 4 || f.Top != 6 || len(f.Notes) != 1 || !strings.Contains(f.Notes[0], "the kit knows of root 6 and the newest found is 4") {
			t.Errorf("root %d, top %d, notes %v", f.Root.Sequence, f.Top, f.Notes)
		}
	})
}

// TestFindTellsAFork: two roots of one sequence, both of the gateway's key: the
// one on more nodes is taken and the other is told of.
func TestFindTellsAFork(t *testing.T) {
	living(t, 3, 3, func(t *testing.T, w *world, _ Kit) {
		f := w.find(t, FindConfig{Identity: &w.owner, From: w.candidates(w.nodes...)})
		other := w.plant(w.nodes[2], w.gate, 3, f.Root.Prev, pack.RootBody{})
		dropOne := layout.RootPath(3, shortHash(f.RootHash))
		w.nodes[2].mem.Drop(dropOne)
		g := w.find(t, FindConfig{Identity: &w.owner, From: w.candidates(w.nodes...)})
		if g.RootHash != f.RootHash || len(g.Forks) != 1 || !strings.Contains(g.Forks[0], other.name()) || !strings.Contains(g.Forks[0], "(on n3)") {
			t.Errorf("chose %x, forks %v", g.RootHash[:4], g.Forks)
		}
		for _, a := range g.Answers {
			if (len(a.Off) > 0) != (a.Name == "n3") || a.Behind != (a.Name == "n3") {
				t.Errorf("%+v", a)
			}
		}
	})
}

// TestFindBoundsWhatANodeMayMakeItRead: junk with the names of keys and roots.
func TestFindBoundsWhatANodeMayMakeItRead(t *testing.T) {
	living(t, 3, 2, func(t *testing.T, w *world, _ Kit) {
		n := w.nodes[0]
		for i := range 600 {
			n.mem.SetBytes(fmt.Sprintf("%s/%016x-%032x", layout.RootsDir, 1000+i, i), []byte("junk"))
			n.mem.SetBytes(fmt.Sprintf("%s/%d-%032x", layout.KeysDir, i, i), []byte("junk"))
		}
		f := w.find(t, FindConfig{Identity: &w.owner, From: w.candidates(w.nodes...)})
		if f.Root.Sequence != 2 {
			t.Errorf("root %d", f.Root.Sequence)
		}
		if got := reads(n); got > askRoots+askKeys+40 {
			t.Errorf("%d reads", got)
		}
	})
}
