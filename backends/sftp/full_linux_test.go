package sftp_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/contribute"
)

func TestFullIsToldAsFull(t *testing.T) {
	t.Parallel()
	full := func(t *testing.T, n *node) {
		r := open(t, n.config())
		ctx := t.Context()
		if err := r.Put(ctx, "packs/fits", content(300<<10, 1)); err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{1 << 20, 4 << 20} {
			if err := r.Put(ctx, "packs/too-large", content(size, 2)); !errors.Is(err, cairn.ErrFull) {
				t.Errorf("put %d bytes: got %v, want ErrFull", size, err)
			}
		}
		if got := list(t, r, ""); len(got) != 1 {
			t.Errorf("left behind: %v", got)
		}
		free, total, err := r.Free(ctx)
		if err != nil || total != 1<<20 || free > 724<<10 || free < 600<<10 {
			t.Errorf("free %d of %d, %v", free, total, err)
		}
		if err := r.Delete(ctx, "packs/fits"); err != nil {
			t.Fatal(err)
		}
		if err := r.Put(ctx, "packs/fits-now", content(900<<10, 3)); err != nil {
			t.Errorf("after a delete: %v", err)
		}
	}
	t.Run("quota of contribute", func(t *testing.T) { full(t, contributed(t, contribute.Config{Quota: 1 << 20})) })
	t.Run("disk under openssh", func(t *testing.T) {
		n := openssh(t)
		if err := syscall.Mount("tmpfs", n.dir, "tmpfs", 0, "size=1m"); err != nil {
			t.Skipf("cannot mount a small file system: %v", err)
		}
		t.Cleanup(func() {
			if err := syscall.Unmount(n.dir, syscall.MNT_DETACH); err != nil {
				t.Errorf("unmount: %v", err)
			}
		})
		full(t, n)
	})
}
