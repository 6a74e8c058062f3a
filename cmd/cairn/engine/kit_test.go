package engine

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/recovery"
)

// kit = PATH in cairn.toml is written anew at each change of what it tells, nodes
// and owners, and at nothing else; it always opens for those who are owners
// then, and names the nodes of then.
func TestTheKitFollowsNodesAndOwners(t *testing.T) {
	h := newHome(t)
	h.file.Kit = h.dir("kit.age")
	file, err := os.ReadFile(h.dir("owner"))
	must(t, err)
	mia, err := recovery.OpenIdentityFile(file, nil)
	must(t, err)
	tom, err := age.GenerateX25519Identity()
	must(t, err)
	e := h.open()
	defer func() { shut(t, e) }()
	var last []byte
	site, remote := "attic", "local:"+h.dir("elsewhere")
	for _, step := range []struct {
		what   string
		do     func() error
		writes bool
		nodes  string // in the kit, with what changed of them
		tom    bool   // opens it
	}{
		{"the first node", func() error { _, err := h.add(e, "alice"); return err }, true, "alice", false},
		{"another", func() error { _, err := h.add(e, "bob"); return err }, true, "alice bob", false},
		{"a third", func() error { _, err := h.add(e, "carol"); return err }, true, "alice bob carol", false},
		{"a bucket", func() error { return e.Store.CreateBucket(t.Context(), "box") }, false, "alice bob carol", false},
		{"objects and a checkpoint", func() error {
			(&ashes{t: t, home: h, objects: make(map[cairn.Key][]byte)}).put(e, "x", 3)
			_, err := e.Store.Checkpoint(t.Context())
			return err
		}, false, "alice bob carol", false},
		{"a node's site", func() error { _, err := e.SetNode(t.Context(), "bob", NodeChange{Site: &site}); return err }, true, "alice bob@attic carol", false},
		{"an owner more", func() error { return e.AddOwner(t.Context(), tom.Recipient().String()) }, true, "alice bob@attic carol", true},
		{"a restart", func() error { shut(t, e); e = h.open(); return nil }, false, "alice bob@attic carol", true},
		{"a new epoch", func() error { _, err := e.RotateKeys(t.Context(), false, nil); return err }, true, "alice bob@attic carol", true},
		{"a node that moved", func() error {
			must(t, os.Rename(h.dir("carol"), h.dir("elsewhere")))
			_, err := e.SetNode(t.Context(), "carol", NodeChange{Remote: &remote})
			return err
		}, true, "alice bob@attic carol", true},
		{"an owner less", func() error { return e.RemoveOwner(t.Context(), tom.Recipient().String()) }, true, "alice bob@attic carol", false},
		{"the file is deleted, and a restart", func() error {
			must(t, os.Remove(h.file.Kit))
			shut(t, e)
			e = h.open()
			return nil
		}, true, "alice bob@attic carol", false},
	} {
		must(t, step.do())
		heard(t, e)
		now, err := os.ReadFile(h.file.Kit)
		if err != nil {
			t.Fatalf("%s: %v; %+v", step.what, err, e.kit.state())
		}
		if changed := !bytes.Equal(now, last); changed != step.writes {
			t.Errorf("%s: the kit was written: %v, want %v", step.what, changed, step.writes)
		}
		last = now
		kit, err := recovery.OpenKit(now, mia.Ages...)
		if err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		var nodes []string
		for _, n := range kit.Nodes {
			name := n.Name
			if n.Site != "" {
				name += "@" + n.Site
			}
			nodes = append(nodes, name)
			if n.Name == "carol" && strings.HasSuffix(n.Remote, "elsewhere") != (step.what == "a node that moved" || step.what == "an owner less" || strings.HasPrefix(step.what, "the file")) {
				t.Errorf("%s: carol is at %s", step.what, n.Remote)
			}
		}
		slices.Sort(nodes) // they stand by their ids
		if got := strings.Join(nodes, " "); got != step.nodes {
			t.Errorf("%s: the kit names %s, want %s", step.what, got, step.nodes)
		}
		if _, err := recovery.OpenKit(now, tom); (err == nil) != step.tom {
			t.Errorf("%s: it opens for the other owner: %v", step.what, err)
		}
		if st := e.kit.state(); st.Stale || st.Error != "" || st.Root == 0 {
			t.Errorf("%s: status says %+v", step.what, st)
		}
	}

	// One that cannot be written is said, the one before stays, and it is tried
	// again at the next change.
	was := h.file.Kit
	must(t, os.Rename(was, was+".kept"))
	must(t, os.MkdirAll(was+"/in-its-way", 0o700))
	_, err = e.SetNode(t.Context(), "alice", NodeChange{Site: &site})
	must(t, err)
	heard(t, e)
	if st := e.kit.state(); !st.Stale || !strings.Contains(st.Error, was) {
		t.Errorf("a kit that cannot be written: %+v", st)
	}
	must(t, os.RemoveAll(was))
	other := "cellar"
	_, err = e.SetNode(t.Context(), "alice", NodeChange{Site: &other})
	must(t, err)
	heard(t, e)
	if st := e.kit.state(); st.Stale || st.Error != "" {
		t.Errorf("when it can be written again: %+v", st)
	}
}

// heard returns when the writer of kits was told of the newest root, which a
// start does in the background.
func heard(t *testing.T, e *Engine) {
	t.Helper()
	for {
		must(t, e.keeper.Root(t.Context(), e.amend)) // takes the same turn
		e.kit.turn <- struct{}{}                     // whoever writes one has it
		now := e.kit.now
		<-e.kit.turn
		if now != (crypt.Hash{}) {
			return
		}
	}
}
