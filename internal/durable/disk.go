package durable

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// dirMode is the permission of new directories: names of objects are private,
// so nobody but the gateway's user may look in.
const dirMode fs.FileMode = 0o700

// disk is an FS over a layer.
type disk struct{ at layer }

var _ FS = disk{}

func (d disk) layer() layer { return d.at }
func (d disk) VFS() vfs.FS  { return d.at }

func (d disk) Create(name string) (File, error) {
	f, err := d.at.createNew(name)
	return open("create", name, f, err)
}

func (d disk) Open(name string) (File, error) {
	f, err := d.at.Open(name)
	return open("open", name, f, err)
}

func (d disk) OpenReadWrite(name string) (File, error) {
	f, err := d.at.openExisting(name)
	return open("open", name, f, err)
}

func open(op, name string, f vfs.File, err error) (File, error) {
	if err != nil {
		return nil, fail(op, name, err)
	}
	return file{f: f, name: name}, nil
}

func (d disk) Rename(oldname, newname string) error {
	return fail("rename", oldname+" to "+newname, d.at.Rename(oldname, newname))
}

func (d disk) Remove(name string) error {
	return fail("remove", name, d.at.Remove(name))
}

func (d disk) List(dir string) ([]string, error) {
	names, err := d.at.List(dir)
	if err != nil {
		return nil, fail("list", dir, err)
	}
	slices.Sort(names)
	return names, nil
}

func (d disk) Size(name string) (int64, error) {
	info, err := d.at.Stat(name)
	if err != nil {
		return 0, fail("stat", name, err)
	}
	return info.Size(), nil
}

func (d disk) SyncDir(dir string) error {
	return fail("sync directory", dir, d.syncDir(dir))
}

func (d disk) syncDir(dir string) error {
	f, err := d.at.OpenDir(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

func (d disk) MkdirAll(dir string) error {
	var missing []string // deepest first
	at := dir
	for {
		info, err := d.at.Stat(at)
		if err == nil {
			if !info.IsDir() {
				return fail("make directory", at, syscall.ENOTDIR)
			}
			break
		}
		parent := d.at.PathDir(at)
		if !errors.Is(err, fs.ErrNotExist) || parent == at {
			return fail("make directory", at, err)
		}
		missing = append(missing, at)
		at = parent
	}
	// What exists may be the work of a process killed between making a
	// directory and syncing its parent, so the names above are synced too,
	// and first: a directory is never durable below one that is not.
	if err := d.syncAbove(at); err != nil {
		return err
	}
	for _, dir := range slices.Backward(missing) {
		if err := d.at.MkdirAll(dir, dirMode); err != nil {
			return fail("make directory", dir, err)
		}
		if err := d.SyncDir(d.at.PathDir(dir)); err != nil {
			return err
		}
	}
	return nil
}

// syncAbove makes the existing directory dir and its parents durable, as far
// up as they may be opened: where we may not even look we made nothing.
func (d disk) syncAbove(dir string) error {
	for {
		parent := d.at.PathDir(dir)
		if parent == dir {
			return nil
		}
		switch err := d.syncDir(parent); {
		case err == nil:
		case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENOTSUP):
			return nil
		default:
			return fail("sync directory", parent, err)
		}
		dir = parent
	}
}

func (d disk) Lock(name string) (io.Closer, error) {
	l, err := d.at.Lock(name)
	if err != nil {
		return nil, fail("lock", name, err)
	}
	return l, nil
}

func (d disk) Free(dir string) (free, total uint64, err error) {
	u, err := d.at.GetDiskUsage(dir)
	if err != nil {
		return 0, 0, fail("ask free space of", dir, err)
	}
	return u.AvailBytes, u.TotalBytes, nil
}

// file is a File over a file of a layer.
type file struct {
	f    vfs.File
	name string
}

func (f file) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.f.ReadAt(p, off)
	if err != nil && err != io.EOF { // io.EOF goes bare, as io.ReaderAt wants it
		err = fail("read", f.name, err)
	}
	return n, err
}

func (f file) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.f.WriteAt(p, off)
	return n, fail("write", f.name, err)
}

// Sync asks for the data and whatever is needed to read it back, the size
// included; times are not worth a second journal commit.
func (f file) Sync() error  { return fail("sync", f.name, f.f.SyncData()) }
func (f file) Close() error { return fail("close", f.name, f.f.Close()) }

func (f file) Size() (int64, error) {
	info, err := f.f.Stat()
	if err != nil {
		return 0, fail("stat", f.name, err)
	}
	return info.Size(), nil
}

func (f file) Allocate(off, n int64) error {
	err := f.f.Preallocate(off, n)
	for errors.Is(err, syscall.EINTR) { // fallocate may be interrupted half way, and may be repeated
		err = f.f.Preallocate(off, n)
	}
	if errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		return nil
	}
	return fail("allocate", f.name, err)
}
