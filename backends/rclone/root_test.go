package rclone

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// every makes each call once and returns what it said.
func every(ctx context.Context, r backends.Remote) map[string]error {
	_, stat := r.Stat(ctx, "packs/old")
	var list error
	for _, err := range r.List(ctx, "packs") {
		list = err
	}
	all := map[string]error{
		"put":    r.Put(ctx, "packs/new", []byte("new")),
		"read":   r.ReadAt(ctx, "packs/old", make([]byte, 1), 0),
		"stat":   stat,
		"list":   list,
		"delete": r.Delete(ctx, "packs/other"),
	}
	if c, ok := backends.As[backends.Capacity](r); ok {
		_, _, all["free"] = c.Free(ctx)
	}
	if w, ok := backends.As[backends.Replacer](r); ok {
		all["replace"] = w.Replace(ctx, "packs/status", nil)
	}
	return all
}

// Hazard B7: an unmounted disk answers "not found" to everything.
func TestB7MissingRootIsAnAbsentNodeNotMissingFiles(t *testing.T) {
	r, root := openLocal(t)
	put(t, r, "packs/old", "old")
	if err := os.Rename(root, root+".away"); err != nil {
		t.Fatal(err)
	}
	for op, err := range every(t.Context(), r) {
		if !errors.Is(err, cairn.ErrUnavailable) || errors.Is(err, cairn.ErrNotExist) {
			t.Errorf("%s: %v", op, err)
		}
	}
	if _, err := os.Stat(root); err == nil {
		t.Error("the root was made again")
	}
	if err := os.Rename(root+".away", root); err != nil {
		t.Fatal(err)
	}
	for op, err := range every(t.Context(), r) {
		if err != nil {
			t.Errorf("%s after the disk came back: %v", op, err)
		}
	}
}

// Hazard B7: the mount point of an unmounted disk is an empty directory that
// takes writes.
func TestB7AnotherDirectoryAtTheRootIsNotTheNode(t *testing.T) {
	r, root := openLocal(t)
	put(t, r, "packs/old", "old")
	if err := os.Rename(root, root+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(root, 0o700); err != nil {
		t.Fatal(err)
	}
	for op, err := range every(t.Context(), r) {
		if !errors.Is(err, cairn.ErrUnavailable) || errors.Is(err, cairn.ErrNotExist) {
			t.Errorf("%s: %v", op, err)
		}
	}
	if entries, err := os.ReadDir(root); err != nil || len(entries) > 0 {
		t.Errorf("the mount point was written to: %v, %v", entries, err)
	}
	// The node's disk mounted anew is another directory too, but has the marker.
	if err := os.WriteFile(filepath.Join(root, marker), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, r, "packs/old", "old")
	for op, err := range every(t.Context(), r) {
		if err != nil {
			t.Errorf("%s with the marker: %v", op, err)
		}
	}
}

// rclone never syncs; a missing sync shows only in a power loss.
func TestTrapPutSyncsBytesThenDirectoriesThenTheName(t *testing.T) {
	r, root := openLocal(t)
	d := r.(*onDisk).disk
	var synced []string
	d.sync = func(path string) error {
		_, err := os.Stat(filepath.Join(root, "packs/0/file"))
		name, _ := filepath.Rel(root, path)
		if strings.HasPrefix(name, "tmp/") {
			name = "the bytes"
		}
		synced = append(synced, fmt.Sprintf("%s, named %v", name, err == nil))
		return syncPath(path)
	}
	put(t, r, "packs/0/file", "x")
	want := []string{"the bytes, named false", "packs, named false", "., named false", "packs/0, named true"}
	if !slices.Equal(synced, want) {
		t.Errorf("synced %q\nwant   %q", synced, want)
	}
	synced = nil
	put(t, r, "packs/0/second", "x")
	if want := []string{"the bytes, named true", "packs/0, named true"}; !slices.Equal(synced, want) {
		t.Errorf("in a known directory synced %q\nwant   %q", synced, want)
	}
}

func TestTrapAFailedSyncFailsThePut(t *testing.T) {
	for name, c := range map[string]struct {
		fails string // the last element of what cannot be synced, or "tmp" for the bytes
		err   error
		want  error
	}{
		"of the bytes":                       {"tmp", syscall.EIO, cairn.ErrUnavailable},
		"of the bytes, never supported":      {"tmp", syscall.EINVAL, cairn.ErrUnavailable},
		"of the directory":                   {"0", syscall.EIO, cairn.ErrUnavailable},
		"of the directory, full":             {"0", syscall.ENOSPC, cairn.ErrFull},
		"of the directory, not supported":    {"0", syscall.EINVAL, nil},
		"of a directory above":               {"packs", syscall.EIO, cairn.ErrUnavailable},
		"of a directory above, no such call": {"packs", syscall.ENOTSUP, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := openLocal(t)
			r.(*onDisk).disk.sync = func(path string) error {
				if filepath.Base(path) == c.fails || c.fails == "tmp" && filepath.Base(filepath.Dir(path)) == "tmp" {
					return &os.PathError{Op: "sync", Path: path, Err: c.err}
				}
				return syncPath(path)
			}
			err := r.Put(t.Context(), "packs/0/file", []byte("x"))
			if !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if left := listing(t, r, "tmp"); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
