//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package durable

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// lockFile uses flock(2) and not vfs's fcntl lock: that one belongs to the
// process, so closing any other descriptor of the file would drop it without
// a word, and a second opener is only kept out by comparing spellings of the
// path. The file stays when the lock is freed: removing it would let two
// processes hold locks on two files of one name.
func lockFile(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != unix.EINTR {
			break
		}
	}
	if err == nil {
		return f, nil
	}
	_ = f.Close() // the lock's own error says more
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = errHeld
	}
	return nil, err
}
