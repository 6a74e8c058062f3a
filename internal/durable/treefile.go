package durable

import (
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// treeFile is an open file or directory of a tree. A removed one stays usable
// until it is closed.
type treeFile struct {
	t     *tree
	name  string // base name when it was opened
	write bool

	n   *node // nil when closed; this and pos are guarded by t.mu
	pos int64 // of Read and Write
}

func newTreeFile(t *tree, n *node, name string, write bool) *treeFile {
	n.handles++
	return &treeFile{t: t, name: name, write: write, n: n}
}

// with runs do on the open file under the mutex.
func (f *treeFile) with(op string, do func(n *node) error) error {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	if f.n == nil {
		return pathError(op, f.name, fs.ErrClosed)
	}
	err := do(f.n)
	if err == io.EOF {
		return err
	}
	return pathError(op, f.name, err)
}

func (f *treeFile) Close() error {
	return f.with("close", func(n *node) error {
		f.n = nil
		n.handles--
		f.t.release(n)
		return nil
	})
}

func (f *treeFile) ReadAt(p []byte, off int64) (read int, err error) {
	err = f.with("read", func(n *node) (err error) {
		read, err = n.readAt(p, off)
		if err == nil && read < len(p) {
			err = io.EOF
		}
		return err
	})
	return read, err
}

func (f *treeFile) Read(p []byte) (read int, err error) {
	err = f.with("read", func(n *node) (err error) {
		read, err = n.readAt(p, f.pos)
		f.pos += int64(read)
		return err
	})
	return read, err
}

func (n *node) readAt(p []byte, off int64) (int, error) {
	switch {
	case n.isDir:
		return 0, syscall.EISDIR
	case off < 0:
		return 0, syscall.EINVAL
	case len(p) == 0:
		return 0, nil
	case off >= int64(len(n.data)):
		return 0, io.EOF
	}
	return copy(p, n.data[off:]), nil
}

func (f *treeFile) WriteAt(p []byte, off int64) (wrote int, err error) {
	err = f.with("write", func(n *node) (err error) {
		wrote, err = f.writeAt(n, p, off)
		return err
	})
	return wrote, err
}

func (f *treeFile) Write(p []byte) (wrote int, err error) {
	err = f.with("write", func(n *node) (err error) {
		wrote, err = f.writeAt(n, p, f.pos)
		f.pos += int64(wrote)
		return err
	})
	return wrote, err
}

// writeAt writes as much of p as there is room for, as a real disk does.
func (f *treeFile) writeAt(n *node, p []byte, off int64) (int, error) {
	switch {
	case !f.write:
		return 0, syscall.EBADF
	case off < 0:
		return 0, syscall.EINVAL
	case len(p) == 0:
		return 0, nil
	}
	before := f.t.used
	end := f.t.grow(n, off+int64(len(p)))
	room := end - off
	if room <= 0 {
		f.t.used = before
		room = 0
	} else {
		n.data = extend(n.data, off+room)
		copy(n.data[off:], p[:room])
		n.dirty = n.dirty.with(off, off+room)
		n.modified = time.Now()
	}
	if room < int64(len(p)) {
		return int(room), syscall.ENOSPC
	}
	return len(p), nil
}

// extend returns b with zeros up to size. It doubles what it takes, as files
// here mostly grow by appending.
func extend(b []byte, size int64) []byte {
	have := int64(len(b))
	if size <= have {
		return b
	}
	if size > int64(cap(b)) {
		b = append(make([]byte, 0, max(size, 2*have)), b...)
	}
	b = b[:size]
	clear(b[have:])
	return b
}

func (f *treeFile) Sync() error {
	return f.with("sync", func(n *node) error {
		if n.isDir {
			f.t.syncDir(n)
			return nil
		}
		n.synced = extend(n.synced, int64(len(n.data)))
		copy(n.synced[n.dirty.lo:n.dirty.hi], n.data[n.dirty.lo:])
		n.dirty = span{}
		return nil
	})
}

func (f *treeFile) SyncData() error { return f.Sync() }

// SyncTo does nothing, as with OS.
func (f *treeFile) SyncTo(int64) (bool, error) { return false, nil }

func (f *treeFile) Preallocate(off, length int64) error {
	return f.with("allocate", func(n *node) error {
		if !f.write {
			return syscall.EBADF
		}
		if off < 0 || length <= 0 {
			return syscall.EINVAL
		}
		end := off + length
		before := f.t.used
		if f.t.grow(n, end) < end {
			f.t.used = before // all or nothing
			return syscall.ENOSPC
		}
		n.reserved = max(n.reserved, end)
		return nil
	})
}

func (f *treeFile) Stat() (info vfs.FileInfo, err error) {
	err = f.with("stat", func(n *node) error {
		info = infoOf(n, f.name)
		return nil
	})
	return info, err
}

func (f *treeFile) Prefetch(int64, int64) error { return nil }
func (f *treeFile) Fd() uintptr                 { return vfs.InvalidFd }

// treeInfo is a vfs.FileInfo, taken when it was asked for.
type treeInfo struct {
	name     string
	size     int64
	modified time.Time
	isDir    bool
}

func infoOf(n *node, name string) treeInfo {
	return treeInfo{name, int64(len(n.data)), n.modified, n.isDir}
}

func (i treeInfo) Name() string           { return i.name }
func (i treeInfo) Size() int64            { return i.size }
func (i treeInfo) ModTime() time.Time     { return i.modified }
func (i treeInfo) IsDir() bool            { return i.isDir }
func (i treeInfo) Sys() any               { return nil }
func (i treeInfo) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }

func (i treeInfo) Mode() os.FileMode {
	if i.isDir {
		return dirMode | os.ModeDir
	}
	return fileMode
}
