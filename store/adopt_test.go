package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// files are the files of a pack on the nodes, by node.
func (r *rig) files(id cairn.PackID) map[int]map[string][]byte {
	out := make(map[int]map[string][]byte)
	for i, n := range r.nodes {
		for _, name := range n.mem.Names() {
			if s, err := layout.ParsePath(name); err == nil && s.Pack == id {
				if out[i] == nil {
					out[i] = make(map[string][]byte)
				}
				out[i][name], _ = n.mem.Bytes(name)
			}
		}
	}
	return out
}

func (r *rig) lay(files map[int]map[string][]byte) {
	for i, all := range files {
		for name, b := range all {
			r.nodes[i].mem.SetBytes(name, b)
		}
	}
}

// gatherOn moves the files of a pack to two nodes, from the i-th on.
func (r *rig) gatherOn(id cairn.PackID, i int) {
	r.tb.Helper()
	for from, files := range r.files(id) {
		for name, b := range files {
			must(r.tb, r.nodes[from].mem.Delete(r.tb.Context(), name))
			r.nodes[i+from%2].mem.SetBytes(name, b)
		}
	}
}

func (r *rig) adopt(id cairn.PackID) Adopted {
	r.tb.Helper()
	out, err := r.Adopt(r.tb.Context(), id, r.shards()[id])
	must(r.tb, err)
	return out
}

// TestHazardA7H1: the shards of a pack that cannot be completed for days belong
// to a staged pack, and stay until it is.
func TestHazardA7H1IncompletePacksStay(t *testing.T) {
	collecting(t, 7, "4+3", func(t *testing.T, r *rig, _ *rootFile) {
		r.rest()
		r.down(3)
		must(t, r.put("x", content(1, tinyPack)))
		_ = r.Flush(t.Context()) // waits for nodes
		r.pass(time.Minute)
		id := r.packsOf("x")[0]
		if n := r.fileCount(id); n != 4 {
			t.Fatalf("%d shards stand", n)
		}
		r.pass(3 * eon)
		if out := r.adopt(id); out.As != "staged" {
			t.Errorf("adopted as %+v", out)
		}
		r.down(2)
		r.pass(3 * eon)
		if n := r.fileCount(id); n < 5 || r.phases()[released] > 0 {
			t.Errorf("%d shards stand", n)
		}
		r.down(0)
		r.pass(2 * time.Minute)
		r.rest()
		if n := r.fileCount(id); n != 7 {
			t.Errorf("%d shards stand at the end", n)
		}
		r.want("x", content(1, tinyPack))
	})
}

// TestHazardA7H2: a recovery that has not seen all deletes nothing, whatever
// seems unreferenced; when the others come back, so does what they have.
func TestHazardA7H2NothingDiesUnseen(t *testing.T) {
	collecting(t, 4, "1+1", func(t *testing.T, r *rig, roots *rootFile) {
		must(t, r.put("old", content(1, 100)))
		r.rest()
		r.checkpoint()
		base := r.base(roots)
		data := content(2, 2*tinyPack)
		must(t, r.put("x", data)) // its record in the log pack that nobody will show
		must(t, r.put("gone", content(3, 100)))
		must(t, r.put("unwanted", content(7, 100)))
		must(t, r.put("stale", content(8, 100)))
		must(t, r.Delete(t.Context(), keyOf("gone"), Condition{}))
		r.rest()
		must(t, r.put("later", content(4, 100)))
		r.rest()
		silent := []int{0, 1}
		for row, err := range r.idx.Packs(cairn.PackID{}) {
			must(t, err)
			hidden := row.Kind == pack.Log && row.Number == base.CutOff.Number+1
			r.gatherOn(row.Params.ID, map[bool]int{true: 0, false: 2}[hidden])
		}
		r.burn()
		for _, i := range silent {
			r.nodes[i].faulty.SetDown(true)
		}
		base.AcceptLoss = true
		out, err := r.tryRecover(base)
		must(t, err)
		if len(out.Silent) != len(silent) || len(out.Holes) != 1 {
			t.Fatalf("%d nodes are silent, want %d: %+v", len(out.Silent), len(silent), out)
		}
		r.open()
		r.want("old", content(1, 100))
		r.wantErr("unwanted", cairn.ErrNotExist)
		must(t, r.Delete(t.Context(), keyOf("unwanted"), Condition{})) // nobody knows of it, and yet
		must(t, r.put("stale", content(9, 100)))
		if st, err := r.Status(t.Context()); err != nil || len(st.Unseen) != 3 { // two nodes and a hole
			t.Errorf("unseen are %q, %v", st.Unseen, err)
		}
		for range 4 {
			must(t, r.put("new", content(5, 100)))
			_ = r.Flush(t.Context())
			r.pass(eon)
		}
		r.reopen() // what is unseen is so after a restart
		must(t, r.put("newer", content(6, 100)))
		r.pass(eon)
		for _, i := range silent {
			r.nodes[i].faulty.SetDown(false)
		}
		r.pass(2 * time.Minute)
		r.rest()
		if seen, err := r.SeeUnseen(t.Context()); err != nil || seen.Left != "" {
			t.Errorf("looked for it: %+v, %v", seen, err)
		}
		if !r.unseen.nothing() {
			t.Error("something is still unseen")
		}
		r.want("x", data)
		r.want("new", content(5, 100))
		r.want("later", content(4, 100))
		r.wantErr("gone", cairn.ErrNotExist)
		r.wantErr("unwanted", cairn.ErrNotExist)
		r.want("stale", content(9, 100))
		if st, err := r.Status(t.Context()); err != nil || len(st.Unseen) != 0 {
			t.Errorf("unseen are %q, %v", st.Unseen, err)
		}
		r.booked()
	})
}

// TestANodeThatComesBackIsSeenSoon: what a recovery went on without is taken up
// within a minute of it, not at the next survey.
func TestANodeThatComesBackIsSeenSoon(t *testing.T) {
	collecting(t, 4, "1+1", func(t *testing.T, r *rig, roots *rootFile) {
		must(t, r.put("old", content(1, 100)))
		r.rest()
		r.checkpoint()
		base := r.base(roots)
		must(t, r.put("x", content(2, 100)))
		r.rest()
		must(t, r.put("later", content(4, 100)))
		r.rest()
		for row, err := range r.idx.Packs(cairn.PackID{}) {
			must(t, err)
			r.gatherOn(row.Params.ID, map[bool]int{true: 0, false: 2}[row.Kind == pack.Log && row.Number == base.CutOff.Number+1])
		}
		r.burn()
		for i := range 2 {
			r.nodes[i].faulty.SetDown(true)
		}
		base.AcceptLoss = true
		r.recover(base)
		r.pass(collectEvery + time.Minute) // the first survey finds nobody
		r.wantErr("x", cairn.ErrNotExist)
		for i := range 2 {
			r.nodes[i].faulty.SetDown(false)
		}
		r.want("old", content(1, 100))
		r.pass(2 * time.Minute) // the fleet looks at its nodes now and then
		r.want("x", content(2, 100))
		if !r.unseen.nothing() {
			t.Error("something is still unseen")
		}
	})
}

// TestHazardA7H3: what no row names is adopted, never swept. What is unneeded
// goes in the ordinary way, and so do files of a node that was given up.
func TestHazardA7H3UnknownIsAdopted(t *testing.T) {
	collecting(t, 3, "1+1", func(t *testing.T, r *rig, _ *rootFile) {
		must(t, r.put("x", content(1, tinyPack)))
		r.rest()
		id := r.packsOf("x")[0]
		files := r.files(id)
		must(t, r.Delete(t.Context(), keyOf("x"), Condition{}))
		r.retireAll()
		stray := cairn.Location{}
		for i := range files { // somebody, somewhere, makes a copy of a retired pack
			n := r.nodes[i]
			stray = cairn.Location{Index: r.shards()[id][0].Index, Node: n.ID, Write: 4711}
			for _, b := range files[i] {
				if l := r.shards()[id][0]; l.Node == n.ID {
					n.mem.SetBytes(layout.Path(stray.Name(id)), b)
				}
			}
			if _, ok := n.mem.Bytes(layout.Path(stray.Name(id))); ok {
				break
			}
		}
		if out := r.adopt(id); out.As != "doomed" {
			t.Errorf("adopted as %+v", out)
		}
		r.booked()
		r.pass(2 * eon)
		if n := r.fileCount(id); n != 0 || r.packState(id) != "dropped" {
			t.Fatalf("%d files are left, %v", n, r.packState(id))
		}
		r.lay(files) // a node comes back with its backup
		r.retireAll()
		r.pass(3 * eon)
		if n := r.fileCount(id); n != 2 {
			t.Fatalf("%d files stand of a pack that nobody knows", n)
		}
		if out := r.adopt(id); out.As != "unneeded" {
			t.Errorf("adopted as %+v", out)
		}
		r.booked()
		r.retireAll()
		r.pass(2 * eon)
		if n := r.fileCount(id); n != 0 {
			t.Errorf("%d files are left of what was adopted", n)
		}
		if _, err := r.Adopt(t.Context(), cairn.NewPackID(99, [10]byte{9}), []cairn.Location{stray}); err == nil {
			t.Error("a name without a file was adopted")
		}
	})
}

// TestNamesThatANodeMakesUpDoNotMakeARowOfAnyLength: of a pack that goes, each
// node's word is taken for a few files at a time.
func TestNamesThatANodeMakesUpDoNotMakeARowOfAnyLength(t *testing.T) {
	collecting(t, 3, "1+1", func(t *testing.T, r *rig, _ *rootFile) {
		must(t, r.put("x", content(1, tinyPack)))
		r.rest()
		id := r.packsOf("x")[0]
		must(t, r.Delete(t.Context(), keyOf("x"), Condition{}))
		r.retireAll()
		var said []cairn.Location
		for i := range 5000 {
			said = append(said, cairn.Location{Node: r.nodes[0].ID, Write: uint32(i + 1)})
		}
		if _, err := r.Adopt(t.Context(), id, said); err != nil {
			t.Fatal(err)
		}
		row, err := r.Pack(id)
		must(t, err)
		if len(row.At) > 2+layout.MaxPerNode {
			t.Errorf("the row names %d places", len(row.At))
		}
	})
}

// TestHazardB19: a pack of a closed epoch that no checkpoint names is never
// taken, whoever signed it, nor a log pack whose number another has.
func TestHazardB19PlantedPacksAreRefused(t *testing.T) {
	collecting(t, 2, "1+1", func(t *testing.T, r *rig, roots *rootFile) {
		must(t, r.put("x", content(1, tinyPack)))
		r.rest()
		r.checkpoint()
		thief := newRig(t, 2, func(c *Config) { c.PackSize, c.Coding = minPack, "1+1" }) // the same keys
		must(t, thief.put("evil", content(2, tinyPack)))
		must(t, thief.put("evil too", content(3, 10)))
		must(t, thief.Flush(t.Context()))
		planted := make(map[cairn.PackID]pack.Kind)
		for row, err := range thief.idx.Packs(cairn.PackID{}) {
			must(t, err)
			planted[row.Params.ID] = row.Kind
			r.lay(thief.files(row.Params.ID))
		}
		thief.shut()
		roots.mu.Lock()
		last := &roots.roots[len(roots.roots)-1]
		last.Epochs = []pack.RootEpoch{{Number: 1, Closed: true}, {Number: 2}}
		roots.mu.Unlock()
		for id, kind := range planted {
			if out := r.adopt(id); out.As != "refused" {
				t.Errorf("%v pack %v of a closed epoch is %+v", kind, id, out)
			}
		}
		roots.mu.Lock()
		roots.roots[len(roots.roots)-1].Epochs = nil
		roots.mu.Unlock()
		for id, kind := range planted {
			want := map[pack.Kind]string{pack.Log: "refused", pack.Data: "unneeded"}[kind]
			if out := r.adopt(id); out.As != want {
				t.Errorf("%v pack %v is %+v, want %v", kind, id, out, want)
			}
		}
		r.wantErr("evil", cairn.ErrNotExist)
		r.wantErr("evil too", cairn.ErrNotExist)
		r.want("x", content(1, tinyPack))
	})
}

// TestUnseenSplitsHoles: a number that is found splits the range it was in.
func TestUnseenSplitsHoles(t *testing.T) {
	r := newRig(t, 1, coded("1+0"))
	u := &unseen{fs: r.fs, name: "/s/unseen", text: unseenText{Holes: []Hole{{First: 3, Last: 7, After: cairn.Stamp{Life: 1, LSN: 9}}}}}
	for _, n := range []uint64{5, 3, 7, 9} {
		must(t, u.found(n))
	}
	got := fmt.Sprint(u.missing(3), u.missing(4), u.missing(5), u.missing(6), u.missing(7))
	if got != "false true false true false" {
		t.Errorf("missing: %s", got)
	}
	again, err := loadUnseen(r.fs, "/s/unseen")
	must(t, err)
	if !slices.Equal(again.text.Holes, u.text.Holes) || again.nothing() {
		t.Errorf("read back as %+v", again.text)
	}
	must(t, again.end())
	if again, err = loadUnseen(r.fs, "/s/unseen"); err != nil || !again.nothing() {
		t.Errorf("after the end: %+v, %v", again.text, err)
	}
	flaw := []byte("{")
	f, err := r.fs.Create("/s/unseen")
	must(t, err)
	_, err = f.WriteAt(flaw, 0)
	must(t, errors.Join(err, f.Close()))
	if _, err := loadUnseen(r.fs, "/s/unseen"); !errors.Is(err, cairn.ErrCorrupt) {
		t.Errorf("one that rotted: %v", err)
	}
}
