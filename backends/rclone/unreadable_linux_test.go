package rclone

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/cairn-storage/cairn"
)

// rclone's local backend lists an unreadable directory as an empty one.
func TestTrapUnreadableDirectoryIsNotAnEmptyOne(t *testing.T) {
	r, root := openLocal(t)
	put(t, r, "packs/closed/file", "x")
	if err := os.Chmod(filepath.Join(root, "packs", "closed"), 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Join(root, "packs", "closed"), 0o700)
	if os.Getuid() == 0 {
		// root reads everything: go on as nobody, on this thread alone,
		// which ends with the test's goroutine because it stays locked.
		runtime.LockOSThread()
		temp := filepath.Dir(root)
		for _, dir := range []string{root, temp, filepath.Dir(temp)} { // all made by this test
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := syscall.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer syscall.Setfsuid(0)
	}
	var last error
	for _, err := range r.List(t.Context(), "packs") {
		last = err
	}
	if !errors.Is(last, cairn.ErrDenied) {
		t.Errorf("list: %v", last)
	}
	if _, err := r.Stat(t.Context(), "packs/closed/file"); !errors.Is(err, cairn.ErrDenied) {
		t.Errorf("stat: %v", err)
	}
}
