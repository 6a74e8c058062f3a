package contribute_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/contribute"
)

// TestHazardC13AThiefCannotEvictTheTrash: who has the gateway's key removes
// everything, fills the node and moves files about; what was stored is still
// there for the operator, and counted, so that the gateway sees a full node.
func TestHazardC13AThiefCannotEvictTheTrash(t *testing.T) {
	h := serve(t, contribute.Config{Quota: 1 << 20, Trash: 24 * time.Hour})
	_, c := h.enter(t)
	for _, dir := range []string{"tmp", "packs", "packs/ab"} {
		if err := c.Mkdir(dir); err != nil {
			t.Fatal(err)
		}
	}
	stored := []string{"packs/ab/1", "packs/ab/2", "packs/ab/3", "cairn.json"}
	for _, name := range stored {
		if err := errors.Join(put(c, "tmp/x", []byte(strings.Repeat(name, 20_000))), c.PosixRename("tmp/x", name)); err != nil {
			t.Fatal(err)
		}
	}
	before := free(t, c)

	for _, to := range []string{"tmp/y", "packs/ab/9", "cairn.json", "x.partial"} {
		if c.PosixRename("packs/ab/1", to) == nil || c.Rename("packs/ab/1", to) == nil {
			t.Errorf("a stored file was moved to %s", to)
		}
	}
	for _, name := range stored {
		if err := c.Remove(name); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	if got := free(t, c); got > before {
		t.Errorf("%d bytes free, %d before everything was removed: the trash is not counted", got, before)
	}
	if err := put(c, "tmp/big", make([]byte, 900_000)); err == nil {
		t.Error("room was made for it")
	}
	if err := c.Remove("tmp/big"); err != nil { // what was never whole takes no room
		t.Fatal(err)
	}
	if got := free(t, c); got+1024 < before {
		t.Errorf("%d bytes free, %d before an upload that did not fit", got, before)
	}

	h.stop()
	h.start(t, contribute.Config{Quota: 1 << 20, Trash: 24 * time.Hour})
	for _, name := range stored {
		found, err := filepath.Glob(filepath.Join(h.dir, ".trash", "*", name))
		if err != nil || len(found) != 1 {
			t.Fatalf("%s in the trash: %v, %v", name, found, err)
		}
		if data, err := os.ReadFile(found[0]); err != nil || string(data) != strings.Repeat(name, 20_000) {
			t.Errorf("%s is not what was stored: %v", name, err)
		}
	}
	_, c = h.enter(t)
	if err := put(c, "tmp/big", make([]byte, 900_000)); err == nil {
		t.Error("after a restart room was made for it")
	}
}

// TestClientsDoNotSeeTheTrash, by no name and no operation.
func TestClientsDoNotSeeTheTrash(t *testing.T) {
	h := serve(t, contribute.Config{Trash: time.Hour})
	_, c := h.enter(t)
	if err := errors.Join(c.Mkdir("tmp"), put(c, "x", []byte("data")), c.Remove("x"), put(c, "tmp/y", []byte("new"))); err != nil {
		t.Fatal(err)
	}
	entries, err := c.ReadDir(".")
	if err != nil || len(entries) != 1 || entries[0].Name() != "tmp" {
		t.Errorf("listed %v, %v", entries, err)
	}
	if c.Mkdir(".Trash") == nil || put(c, ".TRASH", nil) == nil {
		t.Error("a name that some disks take for the trash can be made")
	}
	const at = ".trash/00000000/x"
	if _, err := os.Stat(filepath.Join(h.dir, at)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{at, "/" + at, "tmp/../" + at, ".TRASH/00000000/x", "./.trash/00000000"} {
		for what, try := range map[string]func() error{
			"open":        func() error { _, err := c.Open(name); return err },
			"create":      func() error { return put(c, name+"2", nil) },
			"stat":        func() error { _, err := c.Stat(name); return err },
			"lstat":       func() error { _, err := c.Lstat(name); return err },
			"list":        func() error { _, err := c.ReadDir(name); return err },
			"remove":      func() error { return c.Remove(name) },
			"mkdir":       func() error { return c.Mkdir(name + "3") },
			"rename from": func() error { return c.PosixRename(name, "tmp/z") },
			"rename to":   func() error { return c.PosixRename("tmp/y", name) },
		} {
			if err := try(); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s %s: %v", what, name, err)
			}
		}
	}
}

// TestNoTrash: without one, removing makes room at once; a negative time is
// refused.
func TestNoTrash(t *testing.T) {
	h := serve(t, contribute.Config{})
	_, c := h.enter(t)
	if err := errors.Join(put(c, "x", []byte("data")), c.Remove("x")); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(h.dir); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if _, err := contribute.New(contribute.Config{Dir: h.dir, HostKey: h.host.Signer, Authorized: []ssh.PublicKey{h.user.Public()}, Trash: -1}); !errors.Is(err, cairn.ErrInvalid) {
		t.Errorf("kept for less than nothing: %v", err)
	}
}
