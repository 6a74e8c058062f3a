package durable

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"github.com/cairn-storage/cairn"
)

func TestErrorClasses(t *testing.T) {
	cases := []struct {
		err  error
		want error
	}{
		{syscall.ENOSPC, cairn.ErrFull}, {syscall.EDQUOT, cairn.ErrFull},
		{syscall.EACCES, cairn.ErrDenied}, {syscall.EPERM, cairn.ErrDenied}, {syscall.EROFS, cairn.ErrDenied},
		{syscall.ENOENT, cairn.ErrNotExist}, {fs.ErrNotExist, cairn.ErrNotExist},
		{syscall.EIO, nil}, {ErrCrashed, nil}, {fs.ErrExist, nil},
	}
	for _, c := range cases {
		on := Watch(NewMem(), Hook{Before: func(Step) error { return &fs.PathError{Op: "x", Path: "/deep/name", Err: c.err} }})
		_, err := on.Create("name")
		if !errors.Is(err, c.err) || cairn.Class(err) != c.want {
			t.Errorf("%v: %v has class %v, want %v", c.err, err, cairn.Class(err), c.want)
		}
		if want := "create name: " + c.err.Error(); err.Error() != want {
			t.Errorf("text %q, want %q", err, want)
		}
	}
}
