package contribute

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/pkg/sftp"
)

// Fileread opens a regular file. A device or pipe that someone put there is
// refused without waiting for its other end.
func (h *session) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	name := local(r.Filepath)
	if err := h.begin("open", name); err != nil {
		return nil, err
	}
	f, err := h.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, answer(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = syscall.EACCES
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, answer(err)
	}
	return &download{h: h, name: name, f: f}, nil
}

// download is a file open for reading.
type download struct {
	h    *session
	name string
	f    *os.File
}

// ReadAt reads what is asked for and lets the tap see it.
func (d *download) ReadAt(p []byte, off int64) (int, error) {
	if err := d.h.begin("read", d.name); err != nil {
		return 0, err
	}
	n, err := d.f.ReadAt(p, off)
	if n > 0 {
		d.h.s.c.Tap.Data(d.name, off, p[:n])
	}
	if err != nil && err != io.EOF {
		err = answer(err)
	}
	return n, err
}

// Close ends the handle.
func (d *download) Close() error { return d.f.Close() }

// Filewrite creates a file that is not there yet; whatever the flags say, an
// existing one is never opened for writing.
func (h *session) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	name := local(r.Filepath)
	if err := h.begin("create", name); err != nil {
		return nil, err
	}
	if flags := r.Pflags(); !flags.Creat || flags.Append {
		return nil, syscall.EACCES
	}
	f, err := h.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, answer(err)
	}
	return &upload{h: h, name: name, f: f}, nil
}

// upload is a file being written.
type upload struct {
	h    *session
	name string
	f    *os.File

	mu     sync.Mutex
	size   int64 // guarded by mu, as all below: bytes taken from the quota
	failed error // the first write that failed
	torn   bool  // the connection ended before the file did
}

// WriteAt takes the growth from the quota first, so that the quota holds
// whatever the order of concurrent writes.
func (u *upload) WriteAt(p []byte, off int64) (int, error) {
	if err := u.h.begin("write", u.name); err != nil {
		return 0, u.fail(err)
	}
	if off < 0 || off+int64(len(p)) < off {
		return 0, u.fail(syscall.EINVAL)
	}
	if err := u.grow(off + int64(len(p))); err != nil {
		return 0, u.fail(err)
	}
	n, err := u.f.WriteAt(p, off)
	if err != nil {
		return n, u.fail(err)
	}
	return n, nil
}

func (u *upload) grow(end int64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if end <= u.size {
		return nil
	}
	if err := u.h.s.space.take(end - u.size); err != nil {
		return err
	}
	u.size = end
	return nil
}

func (u *upload) fail(err error) error {
	err = answer(err)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.failed == nil {
		u.failed = err
	}
	return err
}

// TransferError notes that the connection ended with the file still open.
func (u *upload) TransferError(error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.torn = true
}

// Close returns nil only when every byte is on the disk. A file whose writer
// vanished can never be published and is removed.
func (u *upload) Close() error {
	u.mu.Lock()
	failed, torn, size := u.failed, u.torn, u.size
	u.mu.Unlock()
	if torn {
		_ = u.f.Close()
		if err := u.h.root.Remove(u.name); err == nil {
			u.h.s.space.give(size)
		}
		return nil
	}
	err := u.h.begin("close", u.name)
	if err == nil {
		err = u.f.Sync()
	}
	if cerr := u.f.Close(); err == nil {
		err = cerr
	}
	if failed != nil {
		return failed
	}
	return answer(err)
}

// begin comes before every operation on names: the trash is not there, and the
// tap, which is given the last name, may delay or refuse it. Its error is what the
// client is told.
func (h *session) begin(op string, names ...string) error {
	if slices.ContainsFunc(names, hidden) {
		return syscall.ENOENT
	}
	return answer(h.s.c.Tap.Before(h.ctx, op, names[len(names)-1]))
}

// local is the name below the root of a clean absolute path.
func local(p string) string {
	if p = strings.TrimPrefix(path.Clean("/"+p), "/"); p == "" {
		return "."
	}
	return p
}

// answer is what a client is told of err: the system's error number, which the
// protocol maps to its codes, without the paths of this machine.
func answer(err error) error {
	var errno syscall.Errno
	switch {
	case err == nil:
		return nil
	case errors.As(err, &errno):
		return errno
	case errors.Is(err, fs.ErrNotExist):
		return syscall.ENOENT
	case errors.Is(err, fs.ErrPermission):
		return syscall.EACCES
	case errors.Is(err, fs.ErrExist):
		return syscall.EEXIST
	}
	return sftp.ErrSSHFxFailure
}
