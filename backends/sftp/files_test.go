package sftp_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/contribute"
)

func TestUnmountedDiskIsNotMissingFiles(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, n *node) {
		c := n.config()
		c.Path = filepath.Join(c.Path, "disk/cairn")
		r := open(t, c)
		ctx := t.Context()
		_, statErr := r.Stat(ctx, "packs/a")
		var listErr error
		for _, err := range r.List(ctx, "") {
			listErr = err
		}
		for what, err := range map[string]error{
			"stat":   statErr,
			"list":   listErr,
			"read":   r.ReadAt(ctx, "packs/a", make([]byte, 1), 0),
			"put":    r.Put(ctx, "packs/a", nil),
			"delete": r.Delete(ctx, "packs/a"),
		} {
			if !errors.Is(err, cairn.ErrUnavailable) || errors.Is(err, cairn.ErrNotExist) {
				t.Errorf("%s: got %v, want ErrUnavailable", what, err)
			}
		}
		if _, err := os.Stat(filepath.Join(n.dir, "disk")); !os.IsNotExist(err) {
			t.Errorf("the missing directory was made: %v", err)
		}
		c.MakePath = true
		r = open(t, c)
		if err := r.Put(ctx, "packs/a", content(10, 1)); err != nil {
			t.Errorf("put that may make the directory: %v", err)
		}
		if _, err := os.Stat(filepath.Join(n.dir, "disk/cairn/packs/a")); err != nil {
			t.Error(err)
		}
	})
}

func TestRememberedDirectoriesMayLie(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, n *node) {
		r := open(t, n.config())
		if err := r.Put(t.Context(), "packs/1/2/a", content(10, 1)); err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{"packs", "tmp"} {
			if err := os.RemoveAll(filepath.Join(n.dir, dir)); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Put(t.Context(), "packs/1/2/b", content(10, 1)); err != nil {
			t.Errorf("put after its directory was removed: %v", err)
		}
	})
}

func TestPutOverAnotherFile(t *testing.T) {
	t.Parallel()
	n := contributed(t, contribute.Config{})
	r := open(t, n.config())
	data := content(100<<10, 1)
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"the same bytes, as after a lost answer": {data, nil},
		"other bytes of that size":               {content(100<<10, 2), cairn.ErrCorrupt},
		"another size":                           {data[:99<<10], cairn.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			if err := r.Put(t.Context(), "packs/a", data); err != nil {
				t.Fatal(err)
			}
			if err := r.Put(t.Context(), "packs/a", c.data); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			got := make([]byte, len(data))
			if err := r.ReadAt(t.Context(), "packs/a", got, 0); err != nil || !bytes.Equal(got, data) {
				t.Errorf("the first file is gone: %v", err)
			}
			if left := list(t, r, "tmp"); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestTruncatedFileIsCorrupt(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, n *node) {
		r := open(t, n.config())
		if err := r.Put(t.Context(), "packs/a", content(1<<20, 1)); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(n.dir, "packs/a"), 700_000); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1<<20)
		for _, c := range []struct{ off, n int }{{0, 1 << 20}, {690_000, 20_000}, {700_000, 1}, {900_000, 100_000}} {
			if err := r.ReadAt(t.Context(), "packs/a", buf[:c.n], int64(c.off)); !errors.Is(err, cairn.ErrCorrupt) {
				t.Errorf("%d bytes from %d: got %v, want ErrCorrupt", c.n, c.off, err)
			}
		}
		if err := r.ReadAt(t.Context(), "packs/a", buf[:700_000], 0); err != nil {
			t.Errorf("what is there: %v", err)
		}
	})
}

func TestLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, n *node) {
		r := open(t, n.config())
		if err := r.Put(t.Context(), "packs/a", content(10, 1)); err != nil {
			t.Fatal(err)
		}
		for link, to := range map[string]string{"packs/loop": "..", "packs/file": "a", "packs/out": "/etc"} {
			if err := os.Symlink(to, filepath.Join(n.dir, link)); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := list(t, r, ""), map[string]int64{"packs/a": 10}; !mapsEqual(got, want) {
			t.Errorf("listed %v, want %v", got, want)
		}
		if _, err := r.Stat(t.Context(), "packs/file"); !errors.Is(err, cairn.ErrNotExist) {
			t.Errorf("stat of a link: got %v, want ErrNotExist", err)
		}
	})
}

// TestHazardB7NothingIsMadeBelowAnEmptyMountPoint: the server came back before its
// disk did, and the directory of the store is there, empty.
func TestHazardB7NothingIsMadeBelowAnEmptyMountPoint(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, n *node) {
		c := n.config()
		c.Path = filepath.Join(c.Path, "disk")
		c.Marker = "cairn.json"
		disk := filepath.Join(n.dir, "disk")
		if err := os.Mkdir(disk, 0o700); err != nil {
			t.Fatal(err)
		}
		r := open(t, c)
		if err := r.Put(t.Context(), "packs/a", content(10, 1)); !errors.Is(err, cairn.ErrUnavailable) {
			t.Errorf("put without the marker: %v, want ErrUnavailable", err)
		}
		if left, err := os.ReadDir(disk); err != nil || len(left) > 0 {
			t.Errorf("made below the mount point: %v, %v", left, err)
		}
		if err := os.WriteFile(filepath.Join(disk, "cairn.json"), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := r.Put(t.Context(), "packs/a", content(10, 1)); err != nil {
			t.Errorf("put with the marker: %v", err)
		}
	})
}
