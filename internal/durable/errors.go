package durable

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/cairn-storage/cairn"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// fileError is what every FS and File returns: what was done to which file,
// why it failed, and the class of that.
type fileError struct {
	op, name string
	class    error // from cairn, or nil
	err      error
}

func (e *fileError) Error() string { return e.op + " " + e.name + ": " + e.err.Error() }

// Unwrap gives both the cause (fs.ErrNotExist, syscall.EIO, ErrCrashed ...)
// and the class.
func (e *fileError) Unwrap() []error {
	if e.class == nil {
		return []error{e.err}
	}
	return []error{e.err, e.class}
}

// errHeld is what a layer's Lock returns for a lock that somebody has.
var errHeld = errors.New("held by another process")

// fail returns err with op, name and class, or nil for nil.
func fail(op, name string, err error) error {
	if err == nil {
		return nil
	}
	class := classOf(err)
	// The path is said once, by us.
	var pathErr *fs.PathError
	var linkErr *os.LinkError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	} else if errors.As(err, &linkErr) {
		err = linkErr.Err
	}
	return &fileError{op: op, name: name, class: class, err: err}
}

func classOf(err error) error {
	switch {
	case errors.Is(err, errHeld):
		return cairn.ErrUnavailable
	case vfs.IsNoSpaceError(err), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return cairn.ErrFull
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS): // EACCES and EPERM
		return cairn.ErrDenied
	case errors.Is(err, fs.ErrNotExist):
		return cairn.ErrNotExist
	}
	return nil
}
