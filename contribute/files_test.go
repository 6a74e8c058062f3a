package contribute_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cairn-storage/cairn/contribute"
)

func TestFilesAreWrittenOnce(t *testing.T) {
	h := serve(t, contribute.Config{})
	_, c := h.enter(t)
	for _, dir := range []string{"tmp", "packs", "cairn", "cairn/tmp", "cairn/packs"} {
		if err := c.Mkdir(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"packs/a", "cairn.json", "cairn/packs/a", "cairn/STATUS.txt", "cairn/README.txt", "cairn/cairn.json", "cairn/tmp/a"} {
		if err := put(c, name, []byte("old")); err != nil {
			t.Fatal(err)
		}
	}
	for name, flags := range map[string]int{
		"exclusive":  os.O_WRONLY | os.O_CREATE | os.O_EXCL,
		"truncating": os.O_WRONLY | os.O_CREATE | os.O_TRUNC,
		"creating":   os.O_WRONLY | os.O_CREATE,
		"writing":    os.O_WRONLY,
		"appending":  os.O_WRONLY | os.O_APPEND,
		"read-write": os.O_RDWR,
		"all":        os.O_RDWR | os.O_CREATE | os.O_TRUNC,
	} {
		if f, err := c.OpenFile("packs/a", flags); err == nil {
			f.Close()
			t.Errorf("%s open of an existing file succeeded", name)
		}
	}
	for name, change := range map[string]func() error{
		"truncate": func() error { return c.Truncate("packs/a", 0) },
		"chmod":    func() error { return c.Chmod("packs/a", 0o777) },
		"link":     func() error { return c.Link("packs/a", "packs/b") },
		"symlink":  func() error { return c.Symlink("packs/a", "packs/c") },
		"rmdir":    func() error { return c.RemoveDirectory("tmp") },
	} {
		if change() == nil {
			t.Errorf("%s succeeded", name)
		}
	}
	rename := func(to string) (errs [2]error) {
		for i, move := range []func(string, string) error{c.PosixRename, c.Rename} {
			if err := put(c, "tmp/x", []byte("new")); err != nil {
				t.Fatal(err)
			}
			if errs[i] = move("tmp/x", to); errs[i] != nil {
				if err := c.Remove("tmp/x"); err != nil {
					t.Fatal(err)
				}
			}
		}
		return errs
	}
	for _, name := range []string{"packs/a", "cairn/packs/a"} {
		for _, err := range rename(name) {
			if err == nil {
				t.Errorf("a rename went over %s", name)
			}
		}
	}
	// Of a store in a directory below, too.
	for _, name := range []string{"cairn.json", "cairn/STATUS.txt", "cairn/README.txt", "cairn/cairn.json", "cairn/tmp/a"} {
		for _, err := range rename(name) {
			if err != nil {
				t.Errorf("rename over %s: %v", name, err)
			}
		}
		if got := get(t, c, name); got != "new" {
			t.Errorf("%s now reads %q", name, got)
		}
	}
	if errs := rename("packs/b"); errs[0] != nil || errs[1] == nil {
		t.Errorf("rename into a free name, then again: %v", errs)
	}
	if got := get(t, c, "packs/a"); got != "old" {
		t.Errorf("the file now reads %q", got)
	}
}

func TestNothingOutsideIsReached(t *testing.T) {
	h := serve(t, contribute.Config{})
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(h.dir, "out")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(h.dir, "file")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(h.dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, c := h.enter(t)
	for _, name := range []string{"out/secret", "file", secret, "../" + filepath.Base(outside) + "/secret", "fifo", "."} {
		if f, err := c.Open(name); err == nil {
			f.Close()
			t.Errorf("opened %s", name)
		}
	}
	if err := put(c, "out/new", []byte("x")); err == nil {
		t.Error("wrote through a link")
	}
	if err := put(c, "in", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := c.PosixRename("in", "out/in"); err == nil {
		t.Error("renamed through a link")
	}
	if err := c.Remove("out/secret"); err == nil {
		t.Error("removed through a link")
	}
	if entries, err := c.ReadDir("out"); err == nil {
		t.Errorf("listed through a link: %d entries", len(entries))
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) != 1 {
		t.Errorf("outside: %v, %v", left, err)
	}
}

func TestUploadThatTearsLeavesNothing(t *testing.T) {
	h := serve(t, contribute.Config{Quota: 1 << 20})
	conn, c := h.enter(t)
	f, err := c.OpenFile("torn", os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(make([]byte, 500_000)); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	_, c = h.enter(t)
	eventually(t, func() bool { _, err := c.Lstat("torn"); return errors.Is(err, os.ErrNotExist) })
	eventually(t, func() bool { vfs, err := c.StatVFS("."); return err == nil && vfs.FreeSpace() == 1<<20 })
}

func TestListingsOfManyFilesAreWhole(t *testing.T) {
	h := serve(t, contribute.Config{})
	for i := range 350 { // more than three pages
		if err := os.WriteFile(filepath.Join(h.dir, strings.Repeat("x", i%7+1)+string(rune('a'+i%26))+strings.Repeat("y", i/26)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadDir(h.dir)
	if err != nil {
		t.Fatal(err)
	}
	_, c := h.enter(t)
	got, err := c.ReadDir(".")
	if err != nil || len(got) != len(want) {
		t.Errorf("listed %d of %d files, %v", len(got), len(want), err)
	}
}
