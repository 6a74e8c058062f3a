package durable

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/cairn-storage/cairn"
)

func TestWatchSeesEveryStepOfBothDoors(t *testing.T) {
	var before, after []string
	on := Watch(NewMem(), Hook{
		Before: func(s Step) error { before = append(before, s.String()); return nil },
		After: func(s Step, err error) error {
			after = append(after, s.String())
			if s.Done != s.Len && s.Op == OpWrite {
				t.Errorf("%v: %d bytes done", s, s.Done)
			}
			return err
		},
	})
	must(t, on.MkdirAll("d"))
	must(t, on.VFS().MkdirAll("d", 0o700)) // exists: no step
	f, err := on.Create("d/a")
	must(t, err)
	must(t, f.Allocate(0, 100))
	_, err = f.WriteAt([]byte("12345"), 7)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
	must(t, on.Rename("d/a", "d/b"))
	must(t, on.SyncDir("d"))
	v := on.VFS()
	g, err := v.OpenReadWrite("d/c", writer)
	must(t, err)
	_, err = g.Write([]byte("123"))
	must(t, err)
	must(t, g.SyncData())
	must(t, g.Close())
	must(t, v.Link("d/b", "d/l"))
	g, err = v.ReuseForWrite("d/c", "d/e", writer)
	must(t, err)
	must(t, g.Close())
	g, err = v.OpenReadWrite("d/e", writer) // exists: no step
	must(t, err)
	must(t, g.Close())
	must(t, on.Remove("d/b"))
	must(t, v.RemoveAll("d"))
	want := []string{
		"mkdir d", "syncdir .", "create d/a", "allocate d/a +100@0", "write d/a +5@7", "sync d/a", "rename d/a to d/b", "syncdir d",
		"create d/c", "write d/c +3@-1", "sync d/c", "link d/b to d/l", "rename d/c to d/e", "remove d/b", "remove d",
	}
	for i := range want {
		want[i] = fmt.Sprint(i+1, " ", want[i])
	}
	if !slices.Equal(before, want) || !slices.Equal(after, want) {
		t.Errorf("before %q\nafter  %q\nwant   %q", before, after, want)
	}
}

// fates of one step, over every kind of step.
func TestWatchFates(t *testing.T) {
	kinds := []struct {
		op   Op
		step func(on FS, f File) error
		done string // state when the step was carried out
	}{
		{OpCreate, func(on FS, _ File) error { return closeIt(on.Create("new")) }, "a=1 f=1 new="},
		{OpWrite, func(_ FS, f File) error { _, err := f.WriteAt([]byte("2345"), 1); return err }, "a=1 f=12345"},
		{OpRename, func(on FS, _ File) error { return on.Rename("a", "b") }, "b=1 f=1"},
		{OpLink, func(on FS, _ File) error { return on.VFS().Link("a", "b") }, "a=1 b=1 f=1"},
		{OpRemove, func(on FS, _ File) error { return on.Remove("a") }, "f=1"},
		{OpMkdir, func(on FS, _ File) error { return on.VFS().MkdirAll("d", 0) }, "a=1 d/ f=1"},
		{OpSync, func(_ FS, f File) error { return f.Sync() }, "a=1 f=1"},
		{OpSyncDir, func(on FS, _ File) error { return on.SyncDir(".") }, "a=1 f=1"},
		{OpAllocate, func(_ FS, f File) error { return f.Allocate(0, 9) }, "a=1 f=1"},
	}
	fates := []struct {
		name   string
		before error
		after  error
		done   bool
		dead   bool
	}{
		{"works", nil, nil, true, false},
		{"fails", syscall.EIO, nil, false, false},
		{"works but says it failed", nil, syscall.EIO, true, false},
		{"disk full", syscall.ENOSPC, nil, false, false},
		{"power lost before", ErrCrashed, nil, false, true},
		{"power lost after", nil, ErrCrashed, true, true},
	}
	for _, k := range kinds {
		for _, fate := range fates {
			t.Run(k.op.String()+"/"+fate.name, func(t *testing.T) {
				m := NewMem()
				create(t, m, "a", "1")
				create(t, m, "f", "1")
				steps := 0
				on := Watch(m, Hook{
					Before: func(s Step) error {
						if steps++; s.Op != k.op {
							t.Errorf("step %v", s)
						}
						return fate.before
					},
					After: func(_ Step, err error) error { return errors.Join(err, fate.after) },
				})
				f, err := on.OpenReadWrite("f")
				must(t, err)
				err = k.step(on, f)
				if wrong := errors.Join(fate.before, fate.after); (err == nil) != (wrong == nil) ||
					fate.before != nil && !errors.Is(err, fate.before) || fate.after != nil && !errors.Is(err, fate.after) {
					t.Errorf("error %v", err)
				}
				if fate.before == syscall.ENOSPC && k.op != OpLink && k.op != OpMkdir && !errors.Is(err, cairn.ErrFull) { // those two are only Pebble's
					t.Errorf("no class: %v", err)
				}
				want := "a=1 f=1"
				if fate.done {
					want = k.done
				}
				if got := state(t, m); got != want {
					t.Errorf("left %q, want %q", got, want)
				}
				if steps != 1 {
					t.Errorf("%d steps", steps)
				}
				if _, err := f.Size(); fate.dead != errors.Is(err, ErrCrashed) {
					t.Errorf("then: %v", err)
				}
				if err := f.Close(); fate.dead != errors.Is(err, ErrCrashed) {
					t.Errorf("then Close: %v", err)
				}
			})
		}
	}
}

func closeIt(f File, err error) error {
	if err != nil {
		return err
	}
	return f.Close()
}

func TestTornWriteLeavesAPrefix(t *testing.T) {
	for _, bytes := range []int64{-1, 0, 3, 100} {
		m := NewMem()
		on := Watch(m, Hook{Before: func(s Step) error {
			if s.Op == OpWrite {
				return &Torn{bytes, syscall.EIO}
			}
			return nil
		}})
		want := max(min(int(bytes), 5), 0)
		f, err := on.Create("a")
		must(t, err)
		if n, err := f.WriteAt([]byte("12345"), 0); n != want || !errors.Is(err, syscall.EIO) {
			t.Errorf("WriteAt: %d, %v", n, err)
		}
		g, err := on.VFS().Create("b", writer)
		must(t, err)
		if n, err := g.Write([]byte("12345")); n != want || !errors.Is(err, syscall.EIO) {
			t.Errorf("Write: %d, %v", n, err)
		}
		if got := content(t, m, "a") + content(t, m, "b"); got != "12345"[:want]+"12345"[:want] {
			t.Errorf("torn after %d: left %q", bytes, got)
		}
	}
}

func TestWithoutPowerNothingWorks(t *testing.T) {
	m := NewMem()
	create(t, m, "a", "1")
	armed := false
	on := Watch(m, Hook{Before: func(Step) error {
		if armed {
			return ErrCrashed
		}
		return nil
	}})
	f, err := on.OpenReadWrite("a")
	must(t, err)
	g, err := on.VFS().Open("a")
	must(t, err)
	armed = true
	if err := on.Remove("a"); !errors.Is(err, ErrCrashed) {
		t.Fatal(err)
	}
	armed = false // the power does not come back
	before := state(t, m)
	v, p := on.VFS(), make([]byte, 1)
	for what, call := range map[string]func() error{
		"Create":        func() error { return closeIt(on.Create("b")) },
		"Open":          func() error { return closeIt(on.Open("a")) },
		"OpenReadWrite": func() error { return closeIt(on.OpenReadWrite("a")) },
		"Rename":        func() error { return on.Rename("a", "b") },
		"Remove":        func() error { return on.Remove("a") },
		"List":          func() error { _, err := on.List("."); return err },
		"Size":          func() error { _, err := on.Size("a"); return err },
		"MkdirAll":      func() error { return on.MkdirAll("d") },
		"SyncDir":       func() error { return on.SyncDir(".") },
		"Lock":          func() error { _, err := on.Lock("l"); return err },
		"Free":          func() error { _, _, err := on.Free("."); return err },
		"ReadAt":        func() error { _, err := f.ReadAt(p, 0); return err },
		"WriteAt":       func() error { _, err := f.WriteAt(p, 0); return err },
		"Sync":          f.Sync,
		"File.Size":     func() error { _, err := f.Size(); return err },
		"Allocate":      func() error { return f.Allocate(0, 1) },
		"Close":         f.Close,
		"vfs.Read":      func() error { _, err := g.Read(p); return err },
		"vfs.Close":     g.Close,
		"vfs.Create":    func() error { _, err := v.Create("b", writer); return err },
		"vfs.OpenRW":    func() error { _, err := v.OpenReadWrite("b", writer); return err },
		"vfs.OpenDir":   func() error { _, err := v.OpenDir("."); return err },
		"vfs.Reuse":     func() error { _, err := v.ReuseForWrite("a", "b", writer); return err },
		"vfs.Link":      func() error { return v.Link("a", "b") },
		"vfs.RemoveAll": func() error { return v.RemoveAll("a") },
		"vfs.MkdirAll":  func() error { return v.MkdirAll("d", 0) },
	} {
		if err := call(); !errors.Is(err, ErrCrashed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := state(t, m); got != before {
		t.Errorf("changed to %q from %q", got, before)
	}
}
