package durable

import (
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// around is a layer that tells enter of every call that may wait for a device.
type around struct {
	below layer
	enter func(op, name string) (leave func())
}

var _ layer = around{}

func (a around) file(f vfs.File, err error, name string) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &aroundFile{f, a, name}, nil
}

func (a around) createNew(name string) (vfs.File, error) {
	defer a.enter("create", name)()
	f, err := a.below.createNew(name)
	return a.file(f, err, name)
}

func (a around) openExisting(name string) (vfs.File, error) {
	defer a.enter("open", name)()
	f, err := a.below.openExisting(name)
	return a.file(f, err, name)
}

func (a around) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	defer a.enter("create", name)()
	f, err := a.below.Create(name, c)
	return a.file(f, err, name)
}

func (a around) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	defer a.enter("open", name)()
	f, err := a.below.Open(name, opts...)
	return a.file(f, err, name)
}

func (a around) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	defer a.enter("open", name)()
	f, err := a.below.OpenReadWrite(name, c, opts...)
	return a.file(f, err, name)
}

func (a around) OpenDir(name string) (vfs.File, error) {
	defer a.enter("open", name)()
	f, err := a.below.OpenDir(name)
	return a.file(f, err, name)
}

func (a around) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	defer a.enter("rename", oldname)()
	f, err := a.below.ReuseForWrite(oldname, newname, c)
	return a.file(f, err, newname)
}

func (a around) Link(oldname, newname string) error {
	defer a.enter("link", oldname)()
	return a.below.Link(oldname, newname)
}

func (a around) Rename(oldname, newname string) error {
	defer a.enter("rename", oldname)()
	return a.below.Rename(oldname, newname)
}

func (a around) Remove(name string) error {
	defer a.enter("remove", name)()
	return a.below.Remove(name)
}

func (a around) RemoveAll(name string) error {
	defer a.enter("remove", name)()
	return a.below.RemoveAll(name)
}

func (a around) MkdirAll(dir string, perm os.FileMode) error {
	defer a.enter("make directory", dir)()
	return a.below.MkdirAll(dir, perm)
}

func (a around) Lock(name string) (io.Closer, error) {
	defer a.enter("lock", name)()
	return a.below.Lock(name)
}

func (a around) List(dir string) ([]string, error) {
	defer a.enter("list", dir)()
	return a.below.List(dir)
}

func (a around) Stat(name string) (vfs.FileInfo, error) {
	defer a.enter("stat", name)()
	return a.below.Stat(name)
}

func (a around) GetDiskUsage(name string) (vfs.DiskUsage, error) {
	defer a.enter("stat", name)()
	return a.below.GetDiskUsage(name)
}

func (a around) PathBase(name string) string    { return a.below.PathBase(name) }
func (a around) PathJoin(elem ...string) string { return a.below.PathJoin(elem...) }
func (a around) PathDir(name string) string     { return a.below.PathDir(name) }
func (a around) Unwrap() vfs.FS                 { return nil } // nobody gets past

// aroundFile is an open file or directory of an around. Prefetch, SyncTo (both
// hints) and Fd go straight to the file below.
type aroundFile struct {
	vfs.File
	a    around
	name string
}

func (f *aroundFile) Close() error {
	defer f.a.enter("close", f.name)()
	return f.File.Close()
}

func (f *aroundFile) Read(p []byte) (int, error) {
	defer f.a.enter("read", f.name)()
	return f.File.Read(p)
}

func (f *aroundFile) ReadAt(p []byte, off int64) (int, error) {
	defer f.a.enter("read", f.name)()
	return f.File.ReadAt(p, off)
}

func (f *aroundFile) Write(p []byte) (int, error) {
	defer f.a.enter("write", f.name)()
	return f.File.Write(p)
}

func (f *aroundFile) WriteAt(p []byte, off int64) (int, error) {
	defer f.a.enter("write", f.name)()
	return f.File.WriteAt(p, off)
}

func (f *aroundFile) Preallocate(off, n int64) error {
	defer f.a.enter("allocate", f.name)()
	return f.File.Preallocate(off, n)
}

func (f *aroundFile) Stat() (vfs.FileInfo, error) {
	defer f.a.enter("stat", f.name)()
	return f.File.Stat()
}

func (f *aroundFile) Sync() error {
	defer f.a.enter("sync", f.name)()
	return f.File.Sync()
}

func (f *aroundFile) SyncData() error {
	defer f.a.enter("sync", f.name)()
	return f.File.SyncData()
}
