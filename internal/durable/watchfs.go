package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var _ layer = (*watchLayer)(nil)

// create runs a step that makes name and opens it by f.
func (w *watchLayer) create(name string, f func() (vfs.File, error)) (vfs.File, error) {
	s := Step{Op: OpCreate, Name: name}
	if err := w.before(&s); err != nil {
		return nil, err
	}
	made, err := f()
	return w.opened(made, w.after(&s, err), name, OpSync)
}

// opened is the watched file of f, which it closes if err says that the
// caller is not to have it.
func (w *watchLayer) opened(f vfs.File, err error, name string, sync Op) (vfs.File, error) {
	if err != nil {
		if f != nil {
			_ = f.Close() // err is the one to report
		}
		return nil, err
	}
	return &watchFile{File: f, w: w, name: name, sync: sync}, nil
}

// open opens what exists, which is no step.
func (w *watchLayer) open(name string, sync Op, f func() (vfs.File, error)) (vfs.File, error) {
	if err := w.alive(); err != nil {
		return nil, err
	}
	opened, err := f()
	return w.opened(opened, err, name, sync)
}

func (w *watchLayer) createNew(name string) (vfs.File, error) {
	return w.create(name, func() (vfs.File, error) { return w.below.createNew(name) })
}

func (w *watchLayer) openExisting(name string) (vfs.File, error) {
	return w.open(name, OpSync, func() (vfs.File, error) { return w.below.openExisting(name) })
}

func (w *watchLayer) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return w.create(name, func() (vfs.File, error) { return w.below.Create(name, c) })
}

func (w *watchLayer) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	return w.open(name, OpSync, func() (vfs.File, error) { return w.below.Open(name, opts...) })
}

func (w *watchLayer) OpenDir(name string) (vfs.File, error) {
	return w.open(name, OpSyncDir, func() (vfs.File, error) { return w.below.OpenDir(name) })
}

func (w *watchLayer) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	if _, err := w.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return w.create(name, func() (vfs.File, error) { return w.below.OpenReadWrite(name, c, opts...) })
	}
	return w.open(name, OpSync, func() (vfs.File, error) { return w.below.OpenReadWrite(name, c, opts...) })
}

func (w *watchLayer) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	s := Step{Op: OpRename, Name: oldname, To: newname}
	if err := w.before(&s); err != nil {
		return nil, err
	}
	f, err := w.below.ReuseForWrite(oldname, newname, c)
	return w.opened(f, w.after(&s, err), newname, OpSync)
}

func (w *watchLayer) Link(oldname, newname string) error {
	return w.step(Step{Op: OpLink, Name: oldname, To: newname}, func() error { return w.below.Link(oldname, newname) })
}

func (w *watchLayer) Rename(oldname, newname string) error {
	return w.step(Step{Op: OpRename, Name: oldname, To: newname}, func() error { return w.below.Rename(oldname, newname) })
}

func (w *watchLayer) Remove(name string) error {
	return w.step(Step{Op: OpRemove, Name: name}, func() error { return w.below.Remove(name) })
}

func (w *watchLayer) RemoveAll(name string) error {
	return w.step(Step{Op: OpRemove, Name: name}, func() error { return w.below.RemoveAll(name) })
}

// MkdirAll of what exists is no step, as it changes nothing.
func (w *watchLayer) MkdirAll(dir string, perm os.FileMode) error {
	if info, err := w.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	return w.step(Step{Op: OpMkdir, Name: dir}, func() error { return w.below.MkdirAll(dir, perm) })
}

// Lock is no step: nothing depends on a lock file being durable.
func (w *watchLayer) Lock(name string) (io.Closer, error) {
	if err := w.alive(); err != nil {
		return nil, err
	}
	return w.below.Lock(name)
}

func (w *watchLayer) List(dir string) ([]string, error) {
	if err := w.alive(); err != nil {
		return nil, err
	}
	return w.below.List(dir)
}

func (w *watchLayer) Stat(name string) (vfs.FileInfo, error) {
	if err := w.alive(); err != nil {
		return nil, err
	}
	return w.below.Stat(name)
}

func (w *watchLayer) GetDiskUsage(name string) (vfs.DiskUsage, error) {
	if err := w.alive(); err != nil {
		return vfs.DiskUsage{}, err
	}
	return w.below.GetDiskUsage(name)
}

func (w *watchLayer) PathBase(name string) string    { return w.below.PathBase(name) }
func (w *watchLayer) PathJoin(elem ...string) string { return w.below.PathJoin(elem...) }
func (w *watchLayer) PathDir(name string) string     { return w.below.PathDir(name) }
func (w *watchLayer) Unwrap() vfs.FS                 { return nil } // nobody gets past the hook

// watchFile is an open file or directory of a watchLayer. Prefetch, SyncTo
// (both hints) and Fd go straight to the file below.
type watchFile struct {
	vfs.File
	w    *watchLayer
	name string
	sync Op // OpSyncDir for a directory
}

// Close gives the file back even without power, so that tests leak nothing.
func (f *watchFile) Close() error {
	err := f.File.Close()
	if dead := f.w.alive(); dead != nil {
		return dead
	}
	return err
}

func (f *watchFile) Read(p []byte) (int, error) {
	if err := f.w.alive(); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

func (f *watchFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.w.alive(); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *watchFile) Stat() (vfs.FileInfo, error) {
	if err := f.w.alive(); err != nil {
		return nil, err
	}
	return f.File.Stat()
}

func (f *watchFile) Write(p []byte) (int, error) {
	s := Step{Op: OpWrite, Name: f.name, Off: -1, Len: int64(len(p))}
	if err := f.w.before(&s); err != nil {
		n := tornWrite(err, len(p))
		if n > 0 {
			n, _ = f.File.Write(p[:n])
		}
		return n, err
	}
	n, err := f.File.Write(p)
	s.Done = int64(n)
	return n, f.w.after(&s, err)
}

func (f *watchFile) WriteAt(p []byte, off int64) (int, error) {
	s := Step{Op: OpWrite, Name: f.name, Off: off, Len: int64(len(p))}
	if err := f.w.before(&s); err != nil {
		n := tornWrite(err, len(p))
		if n > 0 {
			n, _ = f.File.WriteAt(p[:n], off)
		}
		return n, err
	}
	n, err := f.File.WriteAt(p, off)
	s.Done = int64(n)
	return n, f.w.after(&s, err)
}

func (f *watchFile) Preallocate(off, n int64) error {
	return f.w.step(Step{Op: OpAllocate, Name: f.name, Off: off, Len: n}, func() error { return f.File.Preallocate(off, n) })
}

func (f *watchFile) Sync() error {
	return f.w.step(Step{Op: f.sync, Name: f.name}, f.File.Sync)
}

func (f *watchFile) SyncData() error {
	return f.w.step(Step{Op: f.sync, Name: f.name}, f.File.SyncData)
}
