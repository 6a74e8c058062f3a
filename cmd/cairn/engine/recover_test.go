package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/recovery"
	"github.com/cairn-storage/cairn/store"
)

// ashes is what a burnt gateway leaves: nodes, a kit, an owner.
type ashes struct {
	t       *testing.T
	home    *home
	kit     *recovery.Kit
	owner   recovery.Owner
	objects map[cairn.Key][]byte
}

// newAshes puts objects before and after a checkpoint, and burns the gateway.
func newAshes(t *testing.T) *ashes {
	t.Helper()
	h := newHome(t)
	a := &ashes{t: t, home: h, objects: make(map[cairn.Key][]byte)}
	e := h.open()
	for _, name := range []string{"alice", "bob", "carol"} {
		_, err := h.add(e, name)
		must(t, err)
	}
	must(t, e.Store.CreateBucket(t.Context(), "box"))
	a.put(e, "early", 12)
	_, err := e.Store.Checkpoint(t.Context())
	must(t, err)
	a.put(e, "late", 12)
	must(t, e.Store.Flush(t.Context()))
	made, err := e.MakeKit(t.Context())
	must(t, err)
	shut(t, e)
	file, err := os.ReadFile(h.dir("owner"))
	must(t, err)
	a.owner, err = recovery.OpenIdentityFile(file, nil)
	must(t, err)
	kit, err := recovery.OpenKit(made.Data, a.owner.Ages...)
	must(t, err)
	a.kit = &kit
	must(t, os.RemoveAll(h.file.Dir))
	return a
}

func (a *ashes) put(e *Engine, prefix string, n int) {
	a.t.Helper()
	for i := range n {
		key := cairn.Key{Bucket: "box", Object: fmt.Sprintf("%s/%d", prefix, i)}
		data := bytes.Repeat([]byte(key.Object+" "), 1+i*300)
		_, err := e.Store.Put(a.t.Context(), store.Put{Key: key, Body: bytes.NewReader(data), Size: int64(len(data)),
			Digest: func() (store.Digest, error) { return store.Digest{ETag: "e"}, nil }})
		must(a.t, err)
		a.objects[key] = data
	}
}

// config recovers into /state of fs.
func (a *ashes) config(fs durable.FS) RecoverConfig {
	f := config.Default()
	f.Dir, f.Identity, f.Cache.Limit = "/state", "/secret/identity", 0
	return RecoverConfig{Config: Config{FS: fs, File: f.Resolve(), IndexCache: 1 << 20}, Owner: a.owner, Kit: a.kit, Takeover: true, pause: time.Millisecond}
}

// open opens what a recovery made, as serve does.
func (a *ashes) open(ctx context.Context, fs durable.FS) (*Engine, error) {
	c := a.config(fs).Config
	b, err := durable.ReadFile(fs, c.File.Identity, 1<<20)
	if err != nil {
		return nil, err
	}
	if c.Identity, err = crypt.ParseIdentity(b); err != nil {
		return nil, err
	}
	return Open(ctx, c)
}

// exact fails unless e has every object as it was put.
func (a *ashes) exact(e *Engine) {
	a.t.Helper()
	for key, want := range a.objects {
		o, src, err := e.Store.Open(a.t.Context(), key)
		if err != nil {
			a.t.Errorf("%v: %v", key, err)
			continue
		}
		in, err := src.Range(a.t.Context(), 0, o.Size)
		must(a.t, err)
		got, err := io.ReadAll(in)
		if err != nil || !bytes.Equal(got, want) {
			a.t.Errorf("%v: %d bytes, %v, want %d", key, len(got), err, len(want))
		}
		_, _ = in.Close(), src.Close()
	}
}

// A recovery that loses its power at any durable step before it is done leaves a
// directory that serve does not take for a store, and the next one ends well.
func TestRecoverCutOffAnywhere(t *testing.T) {
	a := newAshes(t)
	for cut := uint64(1); ; cut += 1 + cut/4 {
		disk := durable.NewMem()
		var made atomic.Bool // from there on it is as with any store that is opened
		fs := durable.Watch(disk, durable.Hook{Before: func(s durable.Step) error {
			if s.N >= cut && !made.Load() {
				return durable.ErrCrashed
			}
			return nil
		}, After: func(s durable.Step, err error) error {
			if s.Op == durable.OpRename && s.To == "/state/secrets" {
				made.Store(true)
			}
			return err
		}})
		_, err := Recover(t.Context(), a.config(fs))
		if err == nil {
			if cut < 20 {
				t.Fatalf("a recovery takes %d durable steps: nothing was cut off", cut)
			}
			break
		}
		after := disk.Crash(int(cut%3)*50, cut)
		if _, err := a.open(t.Context(), after); !errors.Is(err, cairn.ErrNotExist) {
			t.Fatalf("cut off at step %d: serve says %v, want that there is no store", cut, err)
		}
		if _, err := Recover(t.Context(), a.config(after)); err != nil {
			t.Fatalf("again after step %d: %v", cut, err)
		}
		e, err := a.open(t.Context(), after)
		must(t, err)
		a.exact(e)
		shut(t, e)
	}
}

func TestRecoverRefuses(t *testing.T) {
	a := newAshes(t)
	for _, c := range []struct {
		name   string
		change func(c *RecoverConfig, fs durable.FS)
		class  error
		says   []string
	}{
		{"a gateway that may be alive", func(c *RecoverConfig, _ durable.FS) { c.Takeover = false }, cairn.ErrPrecondition, []string{"the old gateway may be alive", "--takeover"}},
		{"a store in its place", func(c *RecoverConfig, fs durable.FS) {
			must(t, durable.WriteFile(fs, "/state/secrets/store", nil))
		}, cairn.ErrPrecondition, []string{"holds a store already"}},
		{"the stage of a store in its place", func(c *RecoverConfig, fs durable.FS) { must(t, fs.MkdirAll("/state/stage")) }, cairn.ErrPrecondition, []string{"move it away"}},
		{"an identity in its place", func(c *RecoverConfig, fs durable.FS) {
			must(t, durable.WriteFile(fs, "/secret/identity", []byte("x")))
		}, cairn.ErrPrecondition, []string{"--gateway-identity"}},
		{"no place to look", func(c *RecoverConfig, _ durable.FS) { c.Kit = nil }, cairn.ErrInvalid, []string{"address of one of its nodes"}},
		{"another owner", func(c *RecoverConfig, _ durable.FS) {
			other := newHome(t)
			b, err := os.ReadFile(other.dir("owner"))
			must(t, err)
			c.Owner, err = recovery.OpenIdentityFile(b, nil)
			must(t, err)
		}, cairn.ErrInvalid, []string{"not of one store"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := durable.NewMem()
			must(t, fs.MkdirAll("/state/secrets"))
			must(t, fs.MkdirAll("/secret"))
			must(t, fs.Remove("/state/secrets"))
			if c.name == "a store in its place" {
				must(t, fs.MkdirAll("/state/secrets"))
			}
			rc := a.config(fs)
			c.change(&rc, fs)
			_, err := Recover(t.Context(), rc)
			wantErr(t, err, c.class, c.says...)
		})
	}
}

// With as many nodes silent as packs can miss everything is there; with more,
// somebody has to accept what is unknown.
func TestRecoverWithSilentNodes(t *testing.T) {
	a := newAshes(t) // three nodes: 2+1
	must(t, os.Rename(a.home.dir("carol"), a.home.dir("away")))
	fs := durable.NewMem()
	out, err := Recover(t.Context(), a.config(fs))
	must(t, err)
	if len(out.Silent) != 1 || !strings.HasPrefix(out.Silent[0], "carol: ") || out.Objects != int64(len(a.objects)) || out.Index.LostCount != 0 {
		t.Errorf("without carol: %+v", out)
	}
	e, err := a.open(t.Context(), fs)
	must(t, err)
	a.exact(e)
	shut(t, e)

	must(t, os.Rename(a.home.dir("bob"), a.home.dir("away-too")))
	fs = durable.NewMem()
	_, err = Recover(t.Context(), a.config(fs))
	wantErr(t, err, cairn.ErrUnavailable, "bob, carol", "bring some back")
	if _, err := a.open(t.Context(), fs); !errors.Is(err, cairn.ErrNotExist) {
		t.Errorf("what was refused can be served: %v", err)
	}
	// The same directory, when a node is back.
	must(t, os.Rename(a.home.dir("away"), a.home.dir("carol")))
	_, err = Recover(t.Context(), a.config(fs))
	must(t, err)
	e, err = a.open(t.Context(), fs)
	must(t, err)
	a.exact(e)
	shut(t, e)
}

// A recovery that was cut off after it told the nodes is gone on with in its
// directory: the young root there is its own. In another one it may be alive.
func TestRecoverKnowsItsOwnTakeover(t *testing.T) {
	a := newAshes(t)
	disk := durable.NewMem()
	fs := durable.Watch(disk, durable.Hook{Before: func(s durable.Step) error {
		if s.Op == durable.OpRename && strings.HasSuffix(s.To, "/secrets") {
			return durable.ErrCrashed
		}
		return nil
	}})
	if _, err := Recover(t.Context(), a.config(fs)); !errors.Is(err, durable.ErrCrashed) {
		t.Fatalf("cut off at the last step: %v", err)
	}
	c := a.config(durable.NewMem())
	c.Takeover = false
	_, err := Recover(t.Context(), c)
	wantErr(t, err, cairn.ErrPrecondition, "may be alive")
	c = a.config(disk)
	c.Takeover = false
	_, err = Recover(t.Context(), c)
	must(t, err)
}

// A rehearsal leaves no trace on any node, and reads what it counts.
func TestRehearsalWritesNothing(t *testing.T) {
	a := newAshes(t)
	before := a.onNodes()
	c := a.config(durable.NewMem())
	c.Rehearse, c.Sample, c.Takeover = true, 10, false
	out, err := Recover(t.Context(), c)
	must(t, err)
	if out.Sampled != 10 || out.Failed != 0 || out.Objects != int64(len(a.objects)) || !out.Rehearsed {
		t.Errorf("rehearsed: %+v", out)
	}
	if after := a.onNodes(); after != before {
		t.Errorf("on the nodes before\n%s\nand after\n%s", before, after)
	}
}

func (a *ashes) onNodes() string {
	a.t.Helper()
	var out strings.Builder
	for _, name := range []string{"alice", "bob", "carol"} {
		must(a.t, filepath.WalkDir(a.home.dir(name), func(path string, d os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			fmt.Fprintln(&out, path, info.Size(), info.ModTime())
			return err
		}))
	}
	return out.String()
}
