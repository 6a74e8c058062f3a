package engine

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/recovery"
)

// loss is a store at the moment before something of it is lost: objects named
// early/ stand in a checkpoint, late/ on the nodes since, here/ were
// acknowledged and are on the gateway's disk only.
type loss struct {
	*ashes
	kits map[string]recovery.Kit // by when they were made
	tom  recovery.Owner          // an owner beside the first
}

// The directories of a loss.
const (
	before    = "before"    // everything as it was, below it the same names again
	yesterday = "yesterday" // the gateway's directory before late/
)

// newLoss makes one with five nodes, coded 2+2. checkpoint leaves out that
// there ever was one.
func newLoss(t *testing.T, checkpoint bool) *loss {
	t.Helper()
	h := newHome(t)
	h.file.Store.Flush.Max = config.Duration(time.Hour)
	a := &ashes{t: t, home: h, objects: make(map[cairn.Key][]byte)}
	l := &loss{ashes: a, kits: make(map[string]recovery.Kit)}
	file, err := os.ReadFile(h.dir("owner"))
	must(t, err)
	a.owner, err = recovery.OpenIdentityFile(file, nil)
	must(t, err)
	x, err := age.GenerateX25519Identity()
	must(t, err)
	l.tom = recovery.Owner{Ages: []age.Identity{x}}
	e := h.open()
	kit := func(name string) {
		made, err := e.MakeKit(t.Context())
		must(t, err)
		l.kits[name], err = recovery.OpenKit(made.Data, a.owner.Ages...)
		must(t, err)
	}
	add := func(names ...string) {
		for _, name := range names {
			_, err := h.add(e, name)
			must(t, err)
		}
	}
	add("alice", "bob", "carol")
	must(t, e.Store.CreateBucket(t.Context(), "box"))
	kit("old") // before there were dora, erik and tom
	add("dora", "erik")
	must(t, e.AddOwner(t.Context(), x.Recipient().String()))
	a.put(e, "early", 12)
	must(t, e.Store.Flush(t.Context()))
	if checkpoint {
		_, err := e.Store.Checkpoint(t.Context())
		must(t, err)
	}
	copyTree(t, h.file.Dir, h.dir(yesterday))
	a.put(e, "late", 12)
	must(t, e.Store.Flush(t.Context()))
	site := "cellar"
	_, err = e.SetNode(t.Context(), "alice", NodeChange{Site: &site}) // a root later than yesterday's
	must(t, err)
	kit("new")
	a.put(e, "here", 6)
	// As power loss or kill -9 would leave it: closing spreads what is here.
	for _, name := range l.places() {
		copyTree(t, h.dir(name), h.dir(filepath.Join(before, name)))
	}
	shut(t, e)
	return l
}

func (l *loss) nodes() []string { return []string{"alice", "bob", "carol", "dora", "erik"} }

func (l *loss) places() []string { return append(l.nodes(), "state") }

// restore puts everything back to before the loss.
func (l *loss) restore() {
	l.t.Helper()
	for _, name := range l.places() {
		must(l.t, os.RemoveAll(l.home.dir(name)))
		copyTree(l.t, l.home.dir(filepath.Join(before, name)), l.home.dir(name))
	}
	kit := l.kits["new"]
	l.kit = &kit
}

// drop removes, of every node or of those named, what glob names below it.
func (l *loss) drop(glob string, nodes ...string) {
	l.t.Helper()
	if len(nodes) == 0 {
		nodes = l.nodes()
	}
	found := 0
	for _, n := range nodes {
		all, err := filepath.Glob(filepath.Join(l.home.dir(n), glob))
		must(l.t, err)
		for _, name := range all {
			must(l.t, os.RemoveAll(name))
			found++
		}
	}
	if found == 0 {
		l.t.Fatalf("there is no %s to lose", glob)
	}
}

// want fails unless e serves every object exactly as it was put, but for those
// whose names begin with one of lost: these are not there, or, where the index
// survived, refused. Nothing else may be listed.
func (l *loss) want(e *Engine, lost []string, refused error) {
	l.t.Helper()
	for _, key := range slices.SortedFunc(maps.Keys(l.objects), func(a, b cairn.Key) int { return strings.Compare(a.Object, b.Object) }) {
		got, err := l.read(e, key)
		gone := slices.ContainsFunc(lost, func(p string) bool { return strings.HasPrefix(key.Object, p) })
		switch {
		case gone && !errors.Is(err, refused):
			l.t.Errorf("%v: %d bytes, %v, want it lost as %v", key, len(got), err, refused)
		case !gone && (err != nil || !bytes.Equal(got, l.objects[key])):
			l.t.Errorf("%v: %d bytes, %v, want %d", key, len(got), err, len(l.objects[key]))
		}
	}
}

func (l *loss) read(e *Engine, key cairn.Key) ([]byte, error) {
	o, src, err := e.Store.Open(l.t.Context(), key)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	in, err := src.Range(l.t.Context(), 0, o.Size)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return io.ReadAll(in)
}

// copyTree copies a directory with the modes of its files; what goes meanwhile,
// as the temporaries of a store that is open do, is left out.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	must(t, filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != from {
			return nil
		}
		if err != nil {
			return err
		}
		at := filepath.Join(to, strings.TrimPrefix(path, from))
		info, err := d.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(at, info.Mode())
		case !info.Mode().IsRegular():
			return nil // a socket
		}
		b, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		}
		return os.WriteFile(at, b, info.Mode())
	}))
}

// onlyHere is what a store loses that loses its gateway's disk, and no more: the
// acknowledged bytes that status shows as only here. `ack = "spread"` has none
// (store: TestAnAcknowledgedWriteSurvivesTheLossOfTheMachine).
var onlyHere = []string{"here/"}

// TestEveryWayOfLosing: what is lost, what brings the store back, and what
// exactly is gone then.
func TestEveryWayOfLosing(t *testing.T) {
	l, bare := newLoss(t, true), newLoss(t, false)
	for _, c := range []struct {
		name string
		of   *loss
		lose func(l *loss, c *RecoverConfig)
		// restart: the same directory is opened again, and nobody recovers
		restart bool
		lost    []string
		refused error // how what is lost is refused; default ErrNotExist
		says    func(out RecoverReport) string
	}{
		{"the disk is gone", l, func(l *loss, _ *RecoverConfig) { must(t, os.RemoveAll(l.home.file.Dir)) }, false, onlyHere, nil, nil},
		{"the disk is gone, and the kit", l, func(l *loss, c *RecoverConfig) {
			c.Kit, c.From = nil, []From{{Remote: "local:" + l.home.dir("dora")}}
		}, false, onlyHere, nil, nil},
		{"the index is gone", l, func(l *loss, _ *RecoverConfig) {
			must(t, os.RemoveAll(filepath.Join(l.home.file.Dir, "index")))
		}, true, nil, nil, nil},
		{"the index is gone, without a checkpoint", bare, func(l *loss, _ *RecoverConfig) {
			must(t, os.RemoveAll(filepath.Join(l.home.file.Dir, "index")))
		}, true, nil, nil, nil},
		{"the stage is gone", l, func(l *loss, _ *RecoverConfig) { l.noStage("stage") }, false, onlyHere, nil, nil},
		{"index and stage are gone", l, func(l *loss, _ *RecoverConfig) { l.noStage("index", "stage") }, false, onlyHere, nil, nil},
		{"yesterday's disk was restored, and is recovered over", l, func(l *loss, _ *RecoverConfig) {
			must(t, os.RemoveAll(l.home.file.Dir))
			copyTree(t, l.home.dir(yesterday), l.home.file.Dir)
		}, false, onlyHere, nil, nil},
		{"all roots are gone", l, func(l *loss, _ *RecoverConfig) { l.drop("roots") }, false, onlyHere, nil,
			func(out RecoverReport) string {
				if out.Root != 0 {
					return "a root was found"
				}
				return ""
			}},
		{"all roots are gone, and there is no checkpoint", bare, func(l *loss, _ *RecoverConfig) { l.drop("roots") }, false, onlyHere, nil, nil},
		{"there is no checkpoint", bare, func(*loss, *RecoverConfig) {}, false, onlyHere, nil, nil},
		{"all roots are gone, and the files of keys", l, func(l *loss, _ *RecoverConfig) { l.drop("roots"); l.drop("keys") }, false, onlyHere, nil, nil},
		{"m nodes are gone", l, func(l *loss, _ *RecoverConfig) {
			l.drop("", "bob")
			l.drop("", "erik")
		}, false, onlyHere, nil, func(out RecoverReport) string {
			if len(out.Silent) != 2 || out.Index.LostCount != 0 {
				return "two silent nodes and nothing lost"
			}
			return ""
		}},
		{"m nodes show older roots", l, func(l *loss, _ *RecoverConfig) { l.rollBack("alice", "carol") }, false, onlyHere, nil,
			func(out RecoverReport) string {
				if len(out.Behind) != 2 {
					return "alice and carol named as behind"
				}
				return ""
			}},
		{"all nodes show older roots", l, func(l *loss, _ *RecoverConfig) { l.rollBack(l.nodes()...) }, false, onlyHere, nil,
			func(out RecoverReport) string {
				if !slices.ContainsFunc(out.Notes, func(s string) bool { return strings.Contains(s, "kit") }) {
					return "a note that the kit knows of newer ones"
				}
				return ""
			}},
		{"the gateway's identity is gone", l, func(l *loss, _ *RecoverConfig) { must(t, os.Remove(l.home.file.Identity)) }, false, onlyHere, nil, nil},
		{"the first owner's identity is gone", l, func(l *loss, c *RecoverConfig) { c.Owner = l.tom }, false, onlyHere, nil, nil},
		{"the kit is out of date", l, func(l *loss, c *RecoverConfig) {
			kit := l.kits["old"] // two nodes and an owner ago, with the roots of then
			c.Kit = &kit
		}, false, onlyHere, nil, nil},
		{"the kit is out of date, and the only nodes it knows but one are gone", l, func(l *loss, c *RecoverConfig) {
			kit := l.kits["old"]
			c.Kit = &kit
			l.drop("", "alice")
			l.drop("", "bob")
		}, false, onlyHere, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := c.of
			was := l.t
			l.t, l.home.t = t, t
			defer func() { l.t, l.home.t = was, was }()
			l.restore()
			disk := durable.NewMem()
			rc := l.config(disk)
			c.lose(l, &rc)
			if c.refused == nil {
				c.refused = cairn.ErrNotExist
			}
			if c.restart {
				e := l.home.open()
				defer shut(t, e)
				l.want(e, c.lost, c.refused)
				return
			}
			out, err := Recover(t.Context(), rc)
			must(t, err)
			if c.says != nil {
				if want := c.says(out); want != "" {
					t.Errorf("recover tells %+v, want %s", out.RecoverFound, want)
				}
			}
			e, err := l.open(t.Context(), disk)
			must(t, err)
			defer shut(t, e)
			l.want(e, c.lost, c.refused)
			if out.Objects != int64(len(l.objects)-6) {
				t.Errorf("%d objects are back, want %d", out.Objects, len(l.objects)-6)
			}
		})
	}
}

// noStage removes parts of the gateway's directory, the stage among them. What
// is left is not gone on with, since an unmounted disk looks like that: whoever
// knows that it is lost recovers into another directory. The whole comes back to
// life with the disk.
func (l *loss) noStage(parts ...string) {
	l.t.Helper()
	for _, p := range parts {
		must(l.t, os.Rename(filepath.Join(l.home.file.Dir, p), l.home.dir("unmounted-"+p)))
	}
	_, err := l.home.tryOpen()
	wantErr(l.t, err, cairn.ErrUnavailable, "stage is empty", "is its disk mounted?", "cairn recover")
	for _, p := range parts {
		must(l.t, os.RemoveAll(filepath.Join(l.home.file.Dir, p)))
		must(l.t, os.Rename(l.home.dir("unmounted-"+p), filepath.Join(l.home.file.Dir, p)))
	}
	e := l.home.open()
	l.want(e, nil, nil)
	shut(l.t, e)
	l.restore()
	for _, p := range parts {
		must(l.t, os.RemoveAll(filepath.Join(l.home.file.Dir, p)))
	}
}

// rollBack leaves nodes with the roots of yesterday and before.
func (l *loss) rollBack(nodes ...string) {
	l.t.Helper()
	for _, n := range nodes {
		names, err := os.ReadDir(filepath.Join(l.home.dir(n), "roots"))
		must(l.t, err)
		gone := 0
		for _, d := range names {
			if _, err := os.Stat(filepath.Join(l.home.dir(yesterday), "roots", d.Name())); errors.Is(err, fs.ErrNotExist) {
				must(l.t, os.Remove(filepath.Join(l.home.dir(n), "roots", d.Name())))
				gone++
			}
		}
		if gone == 0 || gone == len(names) {
			l.t.Fatalf("%s loses %d of %d roots", n, gone, len(names))
		}
	}
}
