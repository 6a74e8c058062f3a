package durable

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOSModesArePrivate(t *testing.T) {
	on, root := OS(), t.TempDir()
	must(t, on.MkdirAll(filepath.Join(root, "d/e")))
	must(t, WriteFile(on, filepath.Join(root, "d/e/f"), []byte("x")))
	f, err := on.VFS().Create(filepath.Join(root, "d/e/g"), writer)
	must(t, err)
	must(t, f.Close())
	l, err := on.Lock(filepath.Join(root, "d/e/l"))
	must(t, err)
	must(t, l.Close())
	for name, want := range map[string]os.FileMode{"d": 0o700, "d/e": 0o700, "d/e/f": 0o600, "d/e/g": 0o600, "d/e/l": 0o600} {
		info, err := os.Stat(filepath.Join(root, name))
		must(t, err)
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
}
