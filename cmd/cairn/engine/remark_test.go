package engine

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/scrub"
)

// threeNodes is a store of three local nodes, with shards on them unless bare.
func threeNodes(t *testing.T, bare bool) (*home, *Engine) {
	t.Helper()
	h := newHome(t)
	h.file.Stage.Settle = config.Duration(time.Millisecond) // what is staged the store sees to by itself
	e := h.open()
	t.Cleanup(func() { shut(t, e) })
	for _, name := range []string{"alice", "bob", "carol"} {
		_, err := h.add(e, name)
		must(t, err)
	}
	if !bare {
		must(t, e.Store.CreateBucket(t.Context(), "box"))
		must(t, e.Store.Flush(t.Context()))
	}
	return h, e
}

// TestMissingMarkerIsWrittenForAPersonWhoLooked: where the shards and keys that
// lie there prove that it is the node, and nowhere else (B7).
func TestMissingMarkerIsWrittenForAPersonWhoLooked(t *testing.T) {
	const dir, marker = "bob", "bob/" + layout.MarkerName
	unmark := func(t *testing.T, h *home) { must(t, os.Remove(h.dir(marker))) }
	become := func(t *testing.T, h *home, from string) { // from's directory is at bob's address
		must(t, os.RemoveAll(h.dir(dir)))
		must(t, os.CopyFS(h.dir(dir), os.DirFS(from)))
		unmark(t, h)
	}
	for _, c := range []struct {
		what  string
		bare  bool // no shard is recorded
		spoil func(*testing.T, *home)
		class error
		says  string
	}{
		{"the marker alone is missing", false, unmark, nil, "1 of 1 recorded shards verify, 1 key file"},
		{"no shard is recorded yet", true, unmark, nil, "1 key file of this store, no shard is recorded"},
		{"nothing is missing", false, func(*testing.T, *home) {}, nil, ""},
		{"its disk is not mounted", false, func(t *testing.T, h *home) {
			must(t, os.Rename(h.dir(dir), h.dir("disk")))
			must(t, os.Mkdir(h.dir(dir), 0o700))
		}, cairn.ErrUnavailable, "as where a disk is not mounted"},
		{"its directory is not there", false, func(t *testing.T, h *home) { must(t, os.Rename(h.dir(dir), h.dir("disk"))) }, cairn.ErrUnavailable, ""},
		{"another node's directory", false, func(t *testing.T, h *home) { become(t, h, h.dir("carol")) }, cairn.ErrDenied, "is not this node's"},
		{"another node's, and no shard is recorded", true, func(t *testing.T, h *home) {
			become(t, h, h.dir("carol"))
			must(t, os.MkdirAll(h.dir("bob/packs/00/00/00/00"), 0o700))
			must(t, os.WriteFile(h.dir("bob/packs/00/00/00/00/00000000000200a75cefaa2f61c69946-03-0702394b"), nil, 0o600))
		}, cairn.ErrDenied, "another node's directory"},
		{"another store's", false, func(t *testing.T, h *home) {
			other, _ := threeNodes(t, false)
			become(t, h, other.dir("bob"))
		}, cairn.ErrDenied, "none of this store's keys"},
		{"its shards are gone", false, func(t *testing.T, h *home) { unmark(t, h); must(t, os.RemoveAll(h.dir("bob/packs"))) }, cairn.ErrDenied, "0 of 1 recorded shards verify"},
		{"its shards are wrong", false, func(t *testing.T, h *home) {
			unmark(t, h)
			all, err := filepath.Glob(h.dir("bob/packs/*/*/*/*/*"))
			must(t, err)
			for _, name := range all {
				must(t, os.WriteFile(name, make([]byte, 8192), 0o600))
			}
		}, cairn.ErrDenied, "0 of 1 recorded shards verify"},
		{"another's marker is there", false, func(t *testing.T, h *home) {
			b, err := os.ReadFile(h.dir("carol/" + layout.MarkerName))
			must(t, err)
			must(t, os.WriteFile(h.dir(marker), b, 0o600))
		}, cairn.ErrDenied, "another node"},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			h, e := threeNodes(t, c.bare)
			want, err := os.ReadFile(h.dir(marker))
			must(t, err)
			c.spoil(t, h)
			spoilt, _ := os.ReadFile(h.dir(marker))
			r, err := e.CheckNode(t.Context(), "bob", true, nil)
			got, gotErr := os.ReadFile(h.dir(marker))
			if c.class != nil {
				wantErr(t, err, c.class, c.says)
				if string(got) != string(spoilt) || (gotErr == nil) != (spoilt != nil) {
					t.Errorf("a marker was written: %q, %v", got, gotErr)
				}
				return
			}
			must(t, err)
			must(t, gotErr)
			if string(got) != string(want) || r.Failed() != nil || r.Of == 0 || (r.Marked == "") != (c.says == "") {
				t.Errorf("marker %q, want %q; report %+v", got, want, r)
			}
			if !strings.Contains(r.Marked, c.says) {
				t.Errorf("%q does not say %q", r.Marked, c.says)
			}
			await(t, func() bool { return nodeOf(t, e, "bob") == "ok" })
		})
	}
}

// TestMissingMarkerOverSFTP: the transport that looks at the marker by itself
// before it writes lets a person's one through.
func TestMissingMarkerOverSFTP(t *testing.T) {
	h := newHome(t)
	e := h.open()
	defer shut(t, e)
	f := newFriend(t, ownPublic(t, e))
	_, err := e.AddNode(t.Context(), NodeSpec{Name: "bob", Remote: f.remote(), AcceptNew: true, SkipChecks: true}, nil)
	must(t, err)
	must(t, e.Store.CreateBucket(t.Context(), "box"))
	must(t, e.Store.Flush(t.Context()))
	must(t, os.Remove(filepath.Join(f.dir, layout.MarkerName)))
	await(t, func() bool {
		e.Fleet.Retry(node(t, e, "bob"))
		_ = e.visit(t.Context())
		return nodeOf(t, e, "bob") == "offline"
	})
	s, err := e.Status(t.Context())
	must(t, err)
	if len(s.Do) == 0 || s.Do[0].Command != "cairn node check bob --mark" {
		t.Errorf("status says to do %+v", s.Do)
	}
	r, err := e.CheckNode(t.Context(), "bob", true, nil)
	must(t, err)
	if r.Marked == "" {
		t.Errorf("report: %+v", r)
	}
	await(t, func() bool { return nodeOf(t, e, "bob") == "ok" })
}

func node(t *testing.T, e *Engine, name string) cairn.NodeID {
	t.Helper()
	n, err := e.Store.Node(name)
	must(t, err)
	return n.ID
}

// TestResetOfAnEmptiedNode: a disk that was replaced becomes the node it was,
// nothing is held against it, and what it held is made again there.
func TestResetOfAnEmptiedNode(t *testing.T) {
	h, e := threeNodes(t, false)
	await(t, func() bool {
		s, err := e.Store.Status(t.Context())
		must(t, err)
		return s.Staged == 0
	})
	marker, err := os.ReadFile(h.dir("bob/" + layout.MarkerName))
	must(t, err)

	// Whoever has anything is asked to prove it.
	must(t, os.Remove(h.dir("bob/"+layout.MarkerName)))
	_, err = e.ResetNode(t.Context(), "bob", true)
	wantErr(t, err, cairn.ErrPrecondition, "cairn node check bob --mark")

	must(t, os.RemoveAll(h.dir("bob")))
	_, err = e.ResetNode(t.Context(), "bob", true)
	must(t, err)
	got, err := os.ReadFile(h.dir("bob/" + layout.MarkerName))
	must(t, err)
	if string(got) != string(marker) {
		t.Errorf("marker %q, want %q", got, marker)
	}
	await(t, func() bool { return nodeOf(t, e, "bob") == "ok" })
	must(t, e.visit(t.Context())) // brings the newest root, which it confirmed before and does not show
	if state := nodeOf(t, e, "bob"); state != "ok" {
		t.Errorf("an empty disk is held against it: %s", state)
	}
	r, err := e.Rebuild(t.Context(), Work{Request: scrub.Request{Node: "bob"}}, nil)
	must(t, err)
	if r.Made == 0 || r.Left != 0 {
		t.Errorf("rebuild: %+v", r)
	}
	if shards, _ := filepath.Glob(h.dir("bob/packs/*/*/*/*/*")); len(shards) == 0 {
		t.Error("no shard is on it again")
	}

	// One that is whole stays as it is.
	_, err = e.ResetNode(t.Context(), "bob", true)
	must(t, err)

	// A person's reset lasts where roots were missing.
	must(t, filepath.WalkDir(h.dir("carol/"+layout.RootsDir), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Remove(path)
	}))
	must(t, e.visit(t.Context()))
	await(t, func() bool { _ = e.visit(t.Context()); return nodeOf(t, e, "carol") == "suspect" })
	_, err = e.ResetNode(t.Context(), "carol", false)
	must(t, err)
	must(t, e.visit(t.Context()))
	if state := nodeOf(t, e, "carol"); state != "ok" {
		t.Errorf("after reset and another look at its roots: %s", state)
	}
}
