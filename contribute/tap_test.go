package contribute_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cairn-storage/cairn/contribute"
)

// tapFunc is a Tap that fails and alters.
type tapFunc struct {
	before func(op, name string) error
	data   func(p []byte)
}

func (t tapFunc) Before(_ context.Context, op, name string) error { return t.before(op, name) }

func (t tapFunc) Data(_ string, _ int64, p []byte) { t.data(p) }

func TestTapReachesTheClient(t *testing.T) {
	var mu sync.Mutex
	fail := map[string]error{}
	tap := tapFunc{
		before: func(op, name string) error { mu.Lock(); defer mu.Unlock(); return fail[op] },
		data:   func(p []byte) { p[0] ^= 1 },
	}
	h := serve(t, contribute.Config{Tap: tap})
	_, c := h.enter(t)
	if err := put(c, "a", []byte("abc")); err != nil {
		t.Fatal(err)
	}
	if got := get(t, c, "a"); got != "`bc" {
		t.Errorf("read %q, want the altered bytes", got)
	}
	for op, try := range map[string]func() error{
		"create":  func() error { return put(c, "b", nil) },
		"write":   func() error { return put(c, "c", []byte("x")) },
		"close":   func() error { return put(c, "d", []byte("x")) },
		"open":    func() error { _, err := c.Open("a"); return err },
		"read":    func() error { f, err := c.Open("a"); return errors.Join(err, second(f.Read(make([]byte, 1)))) },
		"stat":    func() error { return second2(c.Lstat("a")) },
		"list":    func() error { _, err := c.ReadDir("."); return err },
		"mkdir":   func() error { return c.Mkdir("dir") },
		"rename":  func() error { return c.PosixRename("a", "z") },
		"remove":  func() error { return c.Remove("a") },
		"statvfs": func() error { _, err := c.StatVFS("."); return err },
	} {
		for _, err := range []error{syscall.EACCES, errors.New("anything")} {
			mu.Lock()
			fail = map[string]error{op: err}
			mu.Unlock()
			got := try()
			if got == nil {
				t.Errorf("%s: its failure did not reach the client", op)
			}
			if err == syscall.EACCES && op != "remove" && !errors.Is(got, os.ErrPermission) {
				t.Errorf("%s: got %v, want a denial", op, got)
			}
			if strings.Contains(got.Error(), h.dir) {
				t.Errorf("%s: the error tells the server's paths: %v", op, got)
			}
			mu.Lock()
			fail = nil
			mu.Unlock()
			for _, name := range []string{"b", "c", "d"} {
				_ = c.Remove(name)
			}
		}
	}
}

func second(_ int, err error) error { return err }

func second2(_ os.FileInfo, err error) error { return err }
