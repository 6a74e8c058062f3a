package conform_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/backends/conform"
)

// broken is a node that breaks the contract in one way.
type broken struct {
	*backendtest.Mem
	put  func(ctx context.Context, name string, data []byte) error
	read func(ctx context.Context, name string, p []byte, off int64) error
	stat func(ctx context.Context, name string) (int64, error)
	list func(ctx context.Context, dir string) iter.Seq2[backends.Entry, error]
	del  func(ctx context.Context, name string) error
}

func (b *broken) Put(ctx context.Context, name string, data []byte) error {
	if b.put != nil {
		return b.put(ctx, name, data)
	}
	return b.Mem.Put(ctx, name, data)
}

func (b *broken) ReadAt(ctx context.Context, name string, p []byte, off int64) error {
	if b.read != nil {
		return b.read(ctx, name, p, off)
	}
	return b.Mem.ReadAt(ctx, name, p, off)
}

func (b *broken) Stat(ctx context.Context, name string) (int64, error) {
	if b.stat != nil {
		return b.stat(ctx, name)
	}
	return b.Mem.Stat(ctx, name)
}

func (b *broken) List(ctx context.Context, dir string) iter.Seq2[backends.Entry, error] {
	if b.list != nil {
		return b.list(ctx, dir)
	}
	return b.Mem.List(ctx, dir)
}

func (b *broken) Delete(ctx context.Context, name string) error {
	if b.del != nil {
		return b.del(ctx, name)
	}
	return b.Mem.Delete(ctx, name)
}

// Every way to break the contract that was seen in the field is found by name.
func TestBrokenNodesAreFound(t *testing.T) {
	mem := &backendtest.Mem{}
	listing := func(keep func(dir string, e backends.Entry) bool) func(context.Context, string) iter.Seq2[backends.Entry, error] {
		return func(ctx context.Context, dir string) iter.Seq2[backends.Entry, error] {
			return func(yield func(backends.Entry, error) bool) {
				parent := dir[:max(strings.LastIndexByte(dir, '/'), 0)]
				for e, err := range mem.List(ctx, parent) {
					if err == nil && (!keep(dir, e) || !strings.HasPrefix(e.Name, dir)) {
						continue
					}
					if !yield(e, err) {
						return
					}
				}
			}
		}
	}
	for name, c := range map[string]struct {
		node  broken
		check string
	}{
		"short reads come back clean (large sftp packets)": {broken{read: func(ctx context.Context, name string, p []byte, off int64) error {
			return mem.ReadAt(ctx, name, p[:min(len(p), 2<<20)], off)
		}}, "a file of 4 MiB and one byte reads back"},
		"the range is ignored": {broken{read: func(ctx context.Context, name string, p []byte, off int64) error {
			return mem.ReadAt(ctx, name, p, 0)
		}}, "the middle of a file can be read alone"},
		"past the end is answered short": {broken{read: func(ctx context.Context, name string, p []byte, off int64) error {
			size, err := mem.Stat(ctx, name)
			if err != nil {
				return err
			}
			return mem.ReadAt(ctx, name, p[:max(min(int64(len(p)), size-off), 0)], min(off, size))
		}}, "reading past the end is refused, never answered short"},
		"the context is ignored (sftp)": {broken{put: func(ctx context.Context, name string, data []byte) error {
			return mem.Put(context.WithoutCancel(ctx), name, data)
		}}, "a cancelled call ends with an error and does nothing"},
		"missing looks like a failure": {broken{stat: func(ctx context.Context, name string) (int64, error) {
			size, err := mem.Stat(ctx, name)
			if errors.Is(err, cairn.ErrNotExist) {
				err = cairn.ErrUnavailable
			}
			return size, err
		}}, "a missing file is told as missing, not as an error of the node"},
		"deletes of missing files fail": {broken{del: func(ctx context.Context, name string) error {
			if _, err := mem.Stat(ctx, name); err != nil {
				return err
			}
			return mem.Delete(ctx, name)
		}}, "deleting a missing file is fine"},
		"listings match by prefix (object stores)": {broken{
			list: listing(func(string, backends.Entry) bool { return true }),
		}, "a listing stays in its directory"},
		"listings are not recursive": {broken{list: listing(func(dir string, e backends.Entry) bool {
			return strings.HasPrefix(e.Name, dir+"/") && !strings.Contains(e.Name[len(dir)+1:], "/")
		})}, "a listing has every file below, with its size"},
		"names leave the root": {broken{put: func(ctx context.Context, name string, data []byte) error {
			if backends.CheckName(name) != nil {
				return nil
			}
			return mem.Put(ctx, name, data)
		}}, "a name that leaves the node's directory is refused"},
		"the same name is refused the second time": {broken{put: func(ctx context.Context, name string, data []byte) error {
			if _, err := mem.Stat(ctx, name); err == nil {
				return cairn.ErrDenied
			}
			return mem.Put(ctx, name, data)
		}}, "the same put twice is fine"},
	} {
		t.Run(name, func(t *testing.T) {
			*mem = backendtest.Mem{}
			c.node.Mem = mem
			found := false
			for _, result := range conform.Run(t.Context(), &c.node, "tmp/check", nil) {
				found = found || result.Name == c.check && !result.OK()
			}
			if !found {
				t.Errorf("the check %q is content", c.check)
			}
		})
	}
}

func TestADeadNodeEndsTheRunEarly(t *testing.T) {
	f := backendtest.NewFaulty(&backendtest.Mem{}, nil)
	f.SetDown(true)
	results := conform.Run(t.Context(), f, "tmp/check", nil)
	if len(results) != 3 {
		t.Errorf("%d checks ran against a dead node", len(results))
	}
	for _, r := range results {
		if r.OK() || !errors.Is(r.Err, cairn.ErrUnavailable) {
			t.Errorf("%v", r)
		}
	}
}

func TestRunReportsAsItGoesAndEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	mem := &backendtest.Mem{}
	var seen []conform.Result
	results := conform.Run(ctx, mem, "tmp/check", func(r conform.Result) {
		if seen = append(seen, r); len(seen) == 5 {
			cancel()
		}
	})
	if len(results) != 5 || len(seen) != 5 || results[4] != seen[4] {
		t.Errorf("%d results, %d reported", len(results), len(seen))
	}
	if left := mem.Names(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestResultsReadWell(t *testing.T) {
	for _, c := range []struct {
		result conform.Result
		want   string
	}{
		{conform.Result{Name: "a file reads back", Took: 12345678}, "ok    a file reads back (12ms)"},
		{conform.Result{Name: "space", Err: conform.ErrNotOffered}, "skip  space: not offered"},
		{conform.Result{Name: "a file reads back", Err: cairn.ErrFull, Took: 1e9}, "FAIL  a file reads back: no space left (1s)"},
	} {
		if got := c.result.String(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	seen := map[string]bool{}
	for _, c := range conform.Checks() {
		if seen[c.Name] {
			t.Errorf("two checks are called %q", c.Name)
		}
		seen[c.Name] = true
	}
}
