//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// lockFile is Pebble's lock. It does not tell a held lock from one that
// cannot be had, so both count as held unless the directory is missing.
func lockFile(name string) (io.Closer, error) {
	l, err := vfs.Default.Lock(name)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return l, err
	}
	return nil, fmt.Errorf("%w: %w", errHeld, err)
}
