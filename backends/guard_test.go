package backends_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
)

// telling is a node that lists whatever it likes.
type telling struct {
	backendtest.Mem
	entries iter.Seq[backends.Entry]
}

func (n *telling) List(context.Context, string) iter.Seq2[backends.Entry, error] {
	return func(yield func(backends.Entry, error) bool) {
		for e := range n.entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func tells(names ...string) iter.Seq[backends.Entry] {
	return func(yield func(backends.Entry) bool) {
		for _, name := range names {
			size := int64(1)
			if name == "packs/negative" {
				size = -1
			}
			if !yield(backends.Entry{Name: name, Size: size}) {
				return
			}
		}
	}
}

// endless gives names made from 0, 1, 2 ... for ever.
func endless(name func(n int) string) iter.Seq[backends.Entry] {
	return func(yield func(backends.Entry) bool) {
		for n := 0; yield(backends.Entry{Name: name(n)}); n++ {
		}
	}
}

// Hazard C6: an over-long or malformed listing is the node's fault, not memory.
func TestC6ListingsAreBoundedWhateverTheNodeTells(t *testing.T) {
	bounds := backends.Bounds{PerDir: 10, Files: 100, Dirs: 20}
	for name, c := range map[string]struct {
		entries iter.Seq[backends.Entry]
		seen    int
		err     error
	}{
		"good":                          {tells("packs/a", "packs/b/c"), 2, nil},
		"nothing":                       {tells(), 0, nil},
		"a name that leaves the root":   {tells("packs/a", "packs/../../etc/passwd", "packs/b"), 2, backends.ErrForeign},
		"a name of another directory":   {tells("packs/a", "roots/b", "packsa"), 1, backends.ErrForeign},
		"the directory itself":          {tells("packs"), 0, backends.ErrForeign},
		"a foreign file among ours":     {tells("packs/.DS_Store", "packs/a"), 1, backends.ErrForeign},
		"a negative size":               {tells("packs/negative", "packs/a"), 1, backends.ErrForeign},
		"one directory without end":     {endless(func(n int) string { return fmt.Sprintf("packs/%d", n) }), 10, cairn.ErrCorrupt},
		"directories without end":       {endless(func(n int) string { return fmt.Sprintf("packs/%d/a", n) }), 10, cairn.ErrCorrupt},
		"two levels without end":        {endless(func(n int) string { return fmt.Sprintf("packs/%d/%d/a", n%5, n) }), -1, cairn.ErrCorrupt},
		"foreign names without end":     {endless(func(n int) string { return fmt.Sprintf("packs/%d_", n) }), 0, cairn.ErrCorrupt},
		"files without end in few dirs": {endless(func(n int) string { return fmt.Sprintf("packs/%d/%d", n%9, n/9) }), -1, cairn.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			r := backends.Guard(&telling{entries: c.entries}, bounds)
			seen, last := 0, error(nil)
			for _, err := range r.List(t.Context(), "packs") {
				if last = err; err == nil {
					seen++
				}
			}
			if !errors.Is(last, c.err) || (c.err == nil) != (last == nil) {
				t.Errorf("ended with %v", last)
			}
			if c.err != nil && !errors.Is(last, cairn.ErrCorrupt) {
				t.Errorf("%v is not corrupt", last)
			}
			if errors.Is(last, backends.ErrForeign) != errors.Is(c.err, backends.ErrForeign) {
				t.Errorf("foreign, or not: %v", last)
			}
			if seen != c.seen && c.seen >= 0 || seen > bounds.Files {
				t.Errorf("%d entries came through", seen)
			}
		})
	}
}

func TestC6MemoryOfAListingDoesNotGrowWithIt(t *testing.T) {
	// 100,000 files in 1,000 directories of 100.
	r := backends.Guard(&telling{entries: func(yield func(backends.Entry) bool) {
		for n := range 100_000 {
			if !yield(backends.Entry{Name: fmt.Sprintf("packs/%d/%d/%d", n/10_000, n/100, n%100)}) {
				return
			}
		}
	}}, backends.Bounds{})
	var before, after runtime.MemStats
	seen := 0
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, err := range r.List(t.Context(), "packs") {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == 100_000 {
			runtime.GC()
			runtime.ReadMemStats(&after)
		}
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); seen != 100_000 || grown > 1<<20 {
		t.Errorf("%d entries, the heap grew by %d bytes", seen, grown)
	}
}

func TestGuardKeepsBadNamesFromTheNode(t *testing.T) {
	f := backendtest.NewFaulty(&backendtest.Mem{}, nil)
	r := backends.Guard(f, backends.Bounds{})
	if err := r.Put(t.Context(), "../up", nil); !errors.Is(err, cairn.ErrInvalid) {
		t.Errorf("put: %v", err)
	}
	for _, err := range r.List(t.Context(), "../up") {
		if !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("list: %v", err)
		}
	}
	if n := f.Attempts(backends.OpPut, "../up") + f.Attempts(backends.OpList, "../up"); n != 0 {
		t.Errorf("%d calls reached the node", n)
	}
}
