package engine

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/layout"
)

// TestHazardC16ScrubMendsTheFilesOfEveryNode: the marker, a file of keys and the newest
// root, each in every way of being wrong, are right again after one scrub, by a
// person and in the background. A marker that is missing is not: whoever wrote
// one might mark the empty place where a disk is not mounted.
func TestHazardC16ScrubMendsTheFilesOfEveryNode(t *testing.T) {
	drop := func(t *testing.T, path string, _ []byte) { must(t, os.Remove(path)) }
	flip := func(t *testing.T, path string, b []byte) {
		b = slices.Clone(b)
		b[len(b)/2] ^= 0x10
		must(t, os.WriteFile(path, b, 0o600))
	}
	digit := func(t *testing.T, path string, b []byte) { // still a marker, of nobody
		i := bytes.Index(b, []byte(`"node":"`)) + len(`"node":"`)
		b = slices.Clone(b)
		b[i] = map[bool]byte{true: '1', false: '0'}[b[i] == '0']
		must(t, os.WriteFile(path, b, 0o600))
	}
	cut := func(t *testing.T, path string, b []byte) { must(t, os.WriteFile(path, b[:len(b)/2], 0o600)) }
	empty := func(t *testing.T, path string, _ []byte) { must(t, os.WriteFile(path, nil, 0o600)) }
	foreign := func(t *testing.T, path string, _ []byte) {
		b, err := layout.Marker{Version: 1, Store: cairn.StoreID{9}, Node: cairn.NodeID{8}}.Encode()
		must(t, err)
		must(t, os.WriteFile(path, b, 0o600))
	}
	newer := func(t *testing.T, path string, b []byte) {
		must(t, os.WriteFile(path, bytes.Replace(b, []byte(`"version":1`), []byte(`"version":2`), 1), 0o600))
	}
	older := func(t *testing.T, path string, _ []byte) { // the bytes of another root under its name
		all, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
		must(t, err)
		b, err := os.ReadFile(all[0])
		must(t, err)
		if all[0] == path {
			t.Fatal("there is one root only")
		}
		must(t, os.WriteFile(path, b, 0o600))
	}
	rolledBack := func(t *testing.T, path string, _ []byte) { must(t, os.Remove(path)) }
	for _, c := range []struct {
		file, what string
		spoil      func(*testing.T, string, []byte)
		stays      bool // it is left as it is, and said
		bare       bool // no shard proves whose directory it is
	}{
		{"cairn.json", "flipped", flip, false, false},
		{"cairn.json", "of another id by one digit", digit, false, false},
		{"cairn.json", "truncated", cut, false, false},
		{"cairn.json", "empty", empty, false, false},
		{"cairn.json", "truncated, and nothing proves whose it is", cut, true, true},
		{"cairn.json", "deleted", drop, true, false},
		{"cairn.json", "of another store", foreign, true, false},
		{"cairn.json", "of a newer cairn", newer, true, false},
		{"keys/1-*", "deleted", drop, false, false},
		{"keys/1-*", "flipped", flip, false, false},
		{"keys/1-*", "truncated", cut, false, false},
		{"roots/*", "deleted, older ones are left", rolledBack, false, false},
		{"roots/*", "flipped", flip, false, false},
		{"roots/*", "truncated", cut, false, false},
		{"roots/*", "replaced by an older one", older, false, false},
	} {
		for _, by := range []string{"a person", "the background"} {
			t.Run(c.file+" "+c.what+", by "+by, func(t *testing.T) {
				t.Parallel()
				h := newHome(t)
				e := h.open()
				defer shut(t, e)
				for _, name := range []string{"alice", "bob", "carol"} {
					_, err := h.add(e, name)
					must(t, err)
				}
				if !c.bare {
					must(t, e.Store.CreateBucket(t.Context(), "box"))
					must(t, e.Store.Flush(t.Context()))
				}
				all, err := filepath.Glob(filepath.Join(h.dir("bob"), c.file))
				must(t, err)
				if len(all) == 0 {
					t.Fatalf("bob has no %s", c.file)
				}
				path := slices.Max(all) // the newest root
				want, err := os.ReadFile(path)
				must(t, err)
				c.spoil(t, path, want)
				spoilt, spoiltErr := os.ReadFile(path)

				if by == "a person" {
					r, err := e.Scrub(t.Context(), Work{}, nil)
					must(t, err)
					if says := strings.Join(r.Says, "\n"); c.stays && !strings.Contains(says, "bob") {
						t.Errorf("nobody is told: %s", says)
					}
				} else {
					ctx, stop := context.WithCancel(t.Context())
					var wg sync.WaitGroup
					wg.Go(func() { e.Care(ctx) })
					defer wg.Wait()
					defer stop()
					await(t, func() bool {
						b, err := os.ReadFile(path)
						if c.stays {
							n := nodeOf(t, e, "bob")
							return n == "offline"
						}
						return err == nil && bytes.Equal(b, want) && nodeOf(t, e, "bob") != "offline" // it is looked at again at once
					})
				}
				got, err := os.ReadFile(path)
				switch {
				case c.stays && (!bytes.Equal(got, spoilt) || errors.Is(err, os.ErrNotExist) != errors.Is(spoiltErr, os.ErrNotExist)):
					t.Errorf("it was written: %q, %v", got, err)
				case !c.stays && (err != nil || !bytes.Equal(got, want)):
					t.Errorf("it is not mended: %d bytes of %d, %v", len(got), len(want), err)
				case !c.stays && nodeOf(t, e, "bob") == "offline":
					t.Error("the node is offline")
				}
			})
		}
	}
}

// await waits for ok, and fails the test where that takes too long.
func await(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("it never came")
		}
	}
}

// nodeOf is the state of a node as the fleet has it.
func nodeOf(t *testing.T, e *Engine, name string) string {
	t.Helper()
	nodes, _ := e.Fleet.Status()
	for _, n := range nodes {
		if n.Name == name {
			return n.State
		}
	}
	t.Fatalf("no node %s", name)
	return ""
}
