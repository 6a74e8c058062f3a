package sftp_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/contribute"
)

// TestALookOpensAfresh: POSIX lets a deleted file be read for as long as it is
// open, so what is held open tells nothing of what the name leads to now.
func TestALookOpensAfresh(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, n *node) {
		r := open(t, n.config())
		data, other := content(64<<10, 1), content(64<<10, 2)
		if err := r.Put(t.Context(), "packs/a", data); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(n.dir, "packs/a")
		read := func(ctx context.Context) ([]byte, error) {
			b := make([]byte, len(data))
			return b, r.ReadAt(ctx, "packs/a", b, 0)
		}
		if _, err := read(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".new", other, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		if b, err := read(t.Context()); err != nil || !bytes.Equal(b, data) {
			t.Fatalf("the file was not held open, so this shows nothing: %v", err)
		}
		look := backends.Afresh(t.Context())
		if b, err := read(look); err != nil || !bytes.Equal(b, other) {
			t.Errorf("a look at a file that was replaced: the old one, or %v", err)
		}
		if b, err := read(t.Context()); err != nil || !bytes.Equal(b, other) {
			t.Errorf("after the look: the old file, or %v", err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := read(t.Context()); err != nil {
			t.Fatalf("the file was not held open, so this shows nothing: %v", err)
		}
		if _, err := read(backends.Afresh(t.Context())); !errors.Is(err, cairn.ErrNotExist) {
			t.Errorf("a look at a file that was deleted: got %v, want ErrNotExist", err)
		}
		if _, err := read(t.Context()); !errors.Is(err, cairn.ErrNotExist) {
			t.Errorf("after the look: got %v, want ErrNotExist", err)
		}
	})
}

// TestALookOpensAFileOnce: the reads of one look share the file it opened, and
// other reads use it, too.
func TestALookOpensAFileOnce(t *testing.T) {
	t.Parallel()
	count := &opens{}
	r := open(t, contributed(t, contribute.Config{Tap: count}).config())
	if err := r.Put(t.Context(), "packs/a", content(4<<20, 1)); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		what string
		ctx  context.Context
		want int64
	}{
		{"a reader", t.Context(), 1},
		{"a look", backends.Afresh(t.Context()), 1},
		{"a reader after it", t.Context(), 0},
		{"another look", backends.Afresh(t.Context()), 1},
	} {
		before := count.Load()
		for i := range 4 {
			if err := r.ReadAt(step.ctx, "packs/a", make([]byte, 1<<20), int64(i)<<20); err != nil {
				t.Fatal(err)
			}
		}
		if got := count.Load() - before; got != step.want {
			t.Errorf("%s: opened %d times, want %d", step.what, got, step.want)
		}
	}
}
