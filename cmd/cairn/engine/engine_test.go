package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/store"
	"github.com/prometheus/client_golang/prometheus"
)

// home is a state directory in a test and what one would type to use it.
type home struct {
	t    testing.TB
	root string
	fs   durable.FS
	file config.Config

	settled time.Duration // of Config
}

// newHome makes a store on the real file system.
func newHome(t testing.TB) *home {
	t.Helper()
	h := &home{t: t, root: t.TempDir(), fs: durable.OS()}
	h.file = config.Default()
	h.file.Dir = filepath.Join(h.root, "state")
	h.file.Cache.Limit = 0
	h.file = h.file.Resolve()
	if _, err := Init(t.Context(), h.init()); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *home) init() InitConfig {
	return InitConfig{FS: h.fs, Dir: h.file.Dir, Identity: h.file.Identity, OwnerFile: filepath.Join(h.root, "owner")}
}

func (h *home) tryOpen() (*Engine, error) {
	id, err := LoadIdentity(h.file.Identity)
	if err != nil {
		return nil, err
	}
	fs, counts := durable.Count(h.fs)
	return Open(h.t.Context(), Config{FS: fs, Counts: counts, File: h.file, Identity: id, Registry: prometheus.NewRegistry(), IndexCache: 1 << 20, Settled: h.settled})
}

// open opens the store; the test closes it, or the test's end does.
func (h *home) open() *Engine {
	h.t.Helper()
	e, err := h.tryOpen()
	if err != nil {
		h.t.Fatal(err)
	}
	return e
}

func (h *home) dir(name string) string { return filepath.Join(h.root, name) }

func (h *home) add(e *Engine, name string) (NodeReport, error) {
	return e.AddNode(h.t.Context(), NodeSpec{Name: name, Remote: "local:" + h.dir(name), SkipChecks: true}, nil)
}

func shut(t testing.TB, e *Engine) {
	t.Helper()
	if err := e.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantErr fails unless err has the class and says every word.
func wantErr(t *testing.T, err, class error, words ...string) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Fatalf("got %v, want %v", err, class)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

func TestFromNothingToObjectsOnThreeNodes(t *testing.T) {
	h := newHome(t)
	e := h.open()
	for _, name := range []string{"alice", "bob", "carol"} {
		_, err := h.add(e, name)
		must(t, err)
	}
	must(t, e.Store.CreateBucket(t.Context(), "box"))
	data := bytes.Repeat([]byte("stone "), 50_000)
	key := cairn.Key{Bucket: "box", Object: "a/b"}
	_, err := e.Store.Put(t.Context(), store.Put{Key: key, Body: bytes.NewReader(data), Size: int64(len(data)),
		Digest: func() (store.Digest, error) { return store.Digest{ETag: "e"}, nil }})
	must(t, err)
	must(t, e.Store.Flush(t.Context()))
	s, err := e.Status(t.Context())
	must(t, err)
	if s.State != Whole || s.HereOnly != 0 || s.Objects != 1 || len(s.Nodes) != 3 || s.Fleet.Coding != "2+1" || s.Fsyncs == 0 {
		t.Errorf("after a flush: %+v", s)
	}
	shut(t, e)

	// A new process with another cache reads it back, one node gone.
	must(t, os.Rename(h.dir("bob"), h.dir("unplugged")))
	e = h.open()
	defer shut(t, e)
	_, src, err := e.Store.Open(t.Context(), key)
	must(t, err)
	defer src.Close()
	r, err := src.Range(t.Context(), 0, int64(len(data)))
	must(t, err)
	defer r.Close()
	got, err := io.ReadAll(r)
	must(t, err)
	if !bytes.Equal(got, data) {
		t.Error("other bytes than were put")
	}
}

func TestNodeCarriesEverythingBeforeItIsRecorded(t *testing.T) {
	h := newHome(t)
	e := h.open()
	defer shut(t, e)
	report, err := e.AddNode(t.Context(), NodeSpec{Name: "alice", Operator: "mia", Remote: "local:" + h.dir("alice"), Capacity: 1 << 30}, nil)
	must(t, err)
	if report.Kind != "local" || report.Passed() != report.Of || report.Of == 0 || report.Put <= 0 || report.Fleet.Coding != "1+0" || report.Fleet.Before != "" {
		report.Checks = nil
		t.Errorf("report: %+v", report)
	}
	var files []string
	must(t, filepath.WalkDir(h.dir("alice"), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(h.dir("alice"), path)
			if rel = filepath.ToSlash(rel); strings.HasPrefix(rel, layout.RootsDir) {
				rel = layout.RootsDir
			}
			files = append(files, rel)
		}
		return err
	}))
	want := []string{layout.ReadmeName, layout.StatusName, layout.MarkerName, e.secrets.keys[0].path, layout.RootsDir}
	slices.Sort(want)
	slices.Sort(files)
	files = slices.DeleteFunc(slices.Compact(files), func(name string) bool { return strings.HasPrefix(name, "keys/0-") }) // the delegation
	if !slices.Equal(files, want) {
		t.Errorf("on the node: %q, want %q", files, want)
	}
	n, err := e.Store.Node("alice")
	must(t, err)
	if n.Operator != "mia" || n.Capacity != 1<<30 || n.ID.String() != report.ID {
		t.Errorf("record: %+v", n)
	}
}

func TestAddNodeRefuses(t *testing.T) {
	other := newHome(t)
	e := other.open()
	_, err := other.add(e, "theirs")
	must(t, err)
	shut(t, e)

	h := newHome(t)
	e = h.open()
	defer shut(t, e)
	_, err = h.add(e, "first")
	must(t, err)
	must(t, os.MkdirAll(h.dir("shards/packs/00/00/00/00"), 0o700))
	must(t, os.WriteFile(h.dir("shards/packs/00/00/00/00/x"), nil, 0o600))
	must(t, os.WriteFile(h.dir("file"), nil, 0o600))
	for _, c := range []struct {
		name  string
		spec  NodeSpec
		class error
		says  string
	}{
		{"the directory of another store", NodeSpec{Name: "mine", Remote: "local:" + other.dir("theirs")}, cairn.ErrDenied, "belongs to another store, " + other.short()},
		{"a directory that is a node already", NodeSpec{Name: "again", Remote: "local:" + h.dir("first")}, cairn.ErrPrecondition, "node first of this store"},
		{"a name that is taken", NodeSpec{Name: "first", Remote: "local:" + h.dir("new")}, cairn.ErrPrecondition, "there is one of this name"},
		{"shards without a marker", NodeSpec{Name: "mine", Remote: "local:" + h.dir("shards")}, cairn.ErrDenied, "lost its marker"},
		{"a file in place of a directory", NodeSpec{Name: "mine", Remote: "local:" + h.dir("file")}, cairn.ErrInvalid, "not a directory"},
		{"a name with capitals", NodeSpec{Name: "Mine", Remote: "local:" + h.dir("new")}, cairn.ErrInvalid, "a-z"},
		{"a password in the address", NodeSpec{Name: "mine", Remote: "sftp://u:hunter2@h/x"}, cairn.ErrInvalid, "password"},
		{"an address without user", NodeSpec{Name: "mine", Remote: "sftp://h/x"}, cairn.ErrInvalid, "user"},
		{"a key that is none", NodeSpec{Name: "mine", Remote: "sftp://u@127.0.0.1:1/x", HostKey: "SHA256:XqzK4rZ5nS2bQkqgkq8W6k0zGm0n4mF0N0J0aY3yR1k", Key: "none"}, cairn.ErrInvalid, "ssh-keygen"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := e.AddNode(t.Context(), c.spec, nil)
			wantErr(t, err, c.class, c.says)
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the password is repeated")
			}
		})
	}
	nodes, err := e.Store.Nodes()
	must(t, err)
	if len(nodes) != 1 {
		t.Errorf("%d nodes recorded, want the first only", len(nodes))
	}
	if _, err := os.Stat(h.dir("new")); err == nil {
		t.Error("a refused node left its directory behind")
	}
}

func (h *home) short() string {
	id, err := LoadIdentity(h.file.Identity)
	must(h.t, err)
	return id.Store().Short()
}

// A node left half made, its marker there and no record of it, gets the id of
// its marker when it is added again.
func TestAddNodeGoesOnAfterAnInterruption(t *testing.T) {
	h := newHome(t)
	e := h.open()
	defer shut(t, e)
	first, err := h.add(e, "alice")
	must(t, err)
	n, err := e.Store.Node("alice")
	must(t, err)
	must(t, e.Store.RemoveNode(t.Context(), n.ID))
	second, err := h.add(e, "alice")
	must(t, err)
	if first.ID != second.ID {
		t.Errorf("id %s became %s", first.ID, second.ID)
	}
}

func TestCheckNode(t *testing.T) {
	h := newHome(t)
	e := h.open()
	defer shut(t, e)
	for _, name := range []string{"whole", "unmounted", "swapped", "gone"} {
		_, err := h.add(e, name)
		must(t, err)
	}
	must(t, os.Remove(filepath.Join(h.dir("unmounted"), layout.MarkerName)))
	marker, err := os.ReadFile(filepath.Join(h.dir("whole"), layout.MarkerName))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(h.dir("swapped"), layout.MarkerName), marker, 0o600))
	must(t, os.Rename(h.dir("gone"), h.dir("went"))) // in one step: a root may just be on its way there
	for _, c := range []struct {
		name  string
		class error
		says  string
	}{
		{"unmounted", cairn.ErrUnavailable, "marker"},
		{"swapped", cairn.ErrDenied, "another node"},
		{"gone", cairn.ErrUnavailable, "gone"},
		{"nobody", cairn.ErrNotExist, "nobody"},
	} {
		_, err := e.CheckNode(t.Context(), c.name, false, nil)
		wantErr(t, err, c.class, c.says)
	}
}

func TestRemoveNodeKeepsShardsUnlessForced(t *testing.T) {
	h := newHome(t)
	e := h.open()
	defer shut(t, e)
	for _, name := range []string{"alice", "bob"} {
		_, err := h.add(e, name)
		must(t, err)
	}
	must(t, e.Store.CreateBucket(t.Context(), "box"))
	must(t, e.Store.Flush(t.Context()))
	_, err := e.RemoveNode(t.Context(), "bob", false)
	wantErr(t, err, cairn.ErrPrecondition, "node bob holds ", "--force")
	// That a node is away makes no difference to what is known of it.
	must(t, os.Rename(h.dir("bob"), h.dir("away")))
	_, err = e.RemoveNode(t.Context(), "bob", false)
	wantErr(t, err, cairn.ErrPrecondition, "node bob holds ", "--force")
	out, err := e.RemoveNode(t.Context(), "bob", true)
	must(t, err)
	if out.Bytes == 0 || out.Fleet.Nodes != 1 {
		t.Errorf("removed: %+v", out)
	}
	_, err = h.add(e, "empty")
	must(t, err)
	_, err = e.RemoveNode(t.Context(), "empty", false)
	must(t, err)
}

func TestSetNodeRecordsOnlyWhatLeadsToTheNode(t *testing.T) {
	h := newHome(t)
	e := h.open()
	defer shut(t, e)
	_, err := h.add(e, "alice")
	must(t, err)
	_, err = h.add(e, "bob")
	must(t, err)
	moved := "local:" + h.dir("moved")
	_, err = e.SetNode(t.Context(), "alice", NodeChange{Remote: &moved})
	wantErr(t, err, cairn.ErrUnavailable, "stays as it was")
	bobs := "local:" + h.dir("bob")
	_, err = e.SetNode(t.Context(), "alice", NodeChange{Remote: &bobs})
	wantErr(t, err, cairn.ErrDenied, "another node")
	must(t, os.Rename(h.dir("alice"), h.dir("moved")))
	site, capacity, state := "cellar", uint64(5<<30), "paused"
	_, err = e.SetNode(t.Context(), "alice", NodeChange{Remote: &moved, Site: &site, Capacity: &capacity, State: &state})
	must(t, err)
	n, err := e.Store.Node("alice")
	must(t, err)
	if n.Remote != moved || n.Site != site || n.Capacity != capacity || n.State != state {
		t.Errorf("record: %+v", n)
	}
	bad := "dead"
	_, err = e.SetNode(t.Context(), "alice", NodeChange{State: &bad})
	wantErr(t, err, cairn.ErrInvalid, "ok, paused, draining and gone")
	_, err = e.SetNode(t.Context(), "nobody", NodeChange{})
	wantErr(t, err, cairn.ErrNotExist, "nobody")
}

func TestDeclareIsIdempotent(t *testing.T) {
	h := newHome(t)
	h.file.Nodes = []config.Node{{Name: "alice", Operator: "mia", Remote: "local:" + h.dir("alice")}, {Name: "bad", Operator: "bad", Remote: "nothing:there"}}
	h.file.Buckets = []config.Bucket{{Name: "open", Public: true}}
	e := h.open()
	must(t, e.DeclareBuckets(t.Context()))
	wantErr(t, e.DeclareNodes(t.Context(), nil), cairn.ErrInvalid, "declared node bad")
	b, err := e.Store.Bucket(t.Context(), "open")
	must(t, err)
	first, err := e.Store.Node("alice")
	must(t, err)
	if !b.Public || first.Operator != "mia" {
		t.Errorf("declared, and got %+v %+v", b, first)
	}
	shut(t, e)

	h.file.Nodes = h.file.Nodes[:1]
	h.file.Nodes[0].Site = "attic"
	h.file.Buckets[0].Public = false
	e = h.open()
	defer shut(t, e)
	for range 2 {
		must(t, e.DeclareBuckets(t.Context()))
		must(t, e.DeclareNodes(t.Context(), nil))
	}
	if b, err = e.Store.Bucket(t.Context(), "open"); err != nil || b.Public {
		t.Errorf("bucket %+v, %v", b, err)
	}
	if n, err := e.Store.Node("alice"); err != nil || n.ID != first.ID || n.Site != "attic" {
		t.Errorf("node %+v, %v", n, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	h, other := newHome(t), newHome(t)
	mine := h.file
	for _, c := range []struct {
		name  string
		spoil func()
		class error
		says  string
	}{
		{"another gateway's identity", func() { h.file.Identity = other.file.Identity }, cairn.ErrDenied, "another gateway"},
		{"an owner's identity", func() { h.file.Identity = h.dir("owner") }, cairn.ErrInvalid, "gateway identity is needed"},
		{"no identity", func() { h.file.Identity = h.dir("none") }, cairn.ErrNotExist, "cairn init"},
		{"an identity open to all", func() {
			h.file.Identity = h.dir("open")
			b, _ := os.ReadFile(mine.Identity)
			_ = os.WriteFile(h.file.Identity, b, 0o644)
			_ = os.Chmod(h.file.Identity, 0o644)
		}, cairn.ErrDenied, "chmod"},
		{"a directory without store", func() { h.file.Dir = h.dir("empty") }, cairn.ErrNotExist, "cairn init"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.file = mine
			c.spoil()
			_, err := h.tryOpen()
			wantErr(t, err, c.class, c.says)
		})
	}
	h.file = mine
	e := h.open()
	defer shut(t, e)
	_, err := h.tryOpen()
	wantErr(t, err, cairn.ErrUnavailable, "in use by another cairn")
}

func TestStatusSaysWhatIsWrong(t *testing.T) {
	h := newHome(t)
	e := h.open()
	defer shut(t, e)
	s, err := e.Status(t.Context())
	must(t, err)
	if s.State != Local || len(s.Wrong) == 0 {
		t.Errorf("without nodes: %+v", s)
	}
	_, err = h.add(e, "alice")
	must(t, err)
	paused := "paused"
	_, err = e.SetNode(t.Context(), "alice", NodeChange{State: &paused})
	must(t, err)
	if s, err = e.Status(t.Context()); err != nil || s.State == Whole || len(s.Wrong) == 0 {
		t.Errorf("with its only node paused: %+v, %v", s, err)
	}
}
