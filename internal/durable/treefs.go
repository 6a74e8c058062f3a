package durable

import (
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// treeLayer is a tree as a layer. Every method is one step under tree.mu.
type treeLayer struct{ t *tree }

var _ layer = treeLayer{}

// make adds an empty file called name, in place of what has the name.
func (l treeLayer) make(name string, exclusive bool) (*treeFile, error) {
	e, err := l.t.entry(name)
	if err != nil {
		return nil, err
	}
	if n := e.node(); n != nil {
		switch {
		case exclusive:
			return nil, syscall.EEXIST
		case n.isDir:
			return nil, syscall.EISDIR
		}
		l.t.change(change{gone: e}) // two steps, as on a real one
	}
	n := &node{modified: time.Now()}
	l.t.change(change{come: e, node: n})
	return newTreeFile(l.t, n, e.name, true), nil
}

func (l treeLayer) open(name string, write bool) (*treeFile, error) {
	n, err := l.t.find(name)
	if err != nil {
		return nil, err
	}
	if n.isDir && write {
		return nil, syscall.EISDIR
	}
	return newTreeFile(l.t, n, path.Base(clean(name)), write), nil
}

// file runs one of the two above and makes a vfs.File of its result.
func (l treeLayer) file(op, name string, f func() (*treeFile, error), opts ...vfs.OpenOption) (vfs.File, error) {
	l.t.mu.Lock()
	h, err := f()
	l.t.mu.Unlock()
	if err != nil {
		return nil, pathError(op, name, err)
	}
	for _, o := range opts {
		o.Apply(h)
	}
	return h, nil
}

func (l treeLayer) createNew(name string) (vfs.File, error) {
	return l.file("create", name, func() (*treeFile, error) { return l.make(name, true) })
}

func (l treeLayer) openExisting(name string) (vfs.File, error) {
	return l.file("open", name, func() (*treeFile, error) { return l.open(name, true) })
}

func (l treeLayer) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	return l.file("create", name, func() (*treeFile, error) { return l.make(name, false) })
}

func (l treeLayer) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	return l.file("open", name, func() (*treeFile, error) { return l.open(name, false) }, opts...)
}

func (l treeLayer) OpenDir(name string) (vfs.File, error) {
	return l.Open(name)
}

func (l treeLayer) OpenReadWrite(name string, _ vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return l.file("open", name, func() (*treeFile, error) {
		h, err := l.open(name, true)
		if err == syscall.ENOENT {
			return l.make(name, true)
		}
		return h, err
	}, opts...)
}

func (l treeLayer) ReuseForWrite(oldname, newname string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	return l.file("reuse", oldname, func() (*treeFile, error) {
		if err := l.t.rename(oldname, newname); err != nil {
			return nil, err
		}
		return l.open(newname, true)
	})
}

// step runs f, which changes names, under the mutex.
func (l treeLayer) step(op, name string, f func() error) error {
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	return pathError(op, name, f())
}

func (l treeLayer) Link(oldname, newname string) error {
	return l.step("link", oldname, func() error {
		n, err := l.t.find(oldname)
		if err != nil {
			return err
		}
		e, err := l.t.entry(newname)
		switch {
		case err != nil:
			return err
		case e.node() != nil:
			return syscall.EEXIST
		case n.isDir:
			return syscall.EPERM
		}
		l.t.change(change{come: e, node: n})
		return nil
	})
}

func (l treeLayer) Rename(oldname, newname string) error {
	return l.step("rename", oldname, func() error { return l.t.rename(oldname, newname) })
}

func (l treeLayer) remove(name string, all bool) error {
	return l.step("remove", name, func() error {
		e, err := l.t.entry(name)
		if err != nil {
			return err
		}
		return l.t.remove(e, all)
	})
}

func (l treeLayer) Remove(name string) error { return l.remove(name, false) }

func (l treeLayer) RemoveAll(name string) error {
	err := l.remove(name, true)
	if pe, ok := err.(*fs.PathError); ok && pe.Err == syscall.ENOENT {
		return nil
	}
	return err
}

func (l treeLayer) MkdirAll(dir string, _ os.FileMode) error {
	return l.step("mkdir", dir, func() error { return l.t.mkdirAll(clean(dir)) })
}

func (l treeLayer) List(dir string) ([]string, error) {
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	n, err := l.t.find(dir)
	if err == nil && !n.isDir {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, pathError("list", dir, err)
	}
	return sortedKeys(n.kids), nil
}

func (l treeLayer) Stat(name string) (vfs.FileInfo, error) {
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	n, err := l.t.find(name)
	if err != nil {
		return nil, pathError("stat", name, err)
	}
	return infoOf(n, path.Base(clean(name))), nil
}

func (l treeLayer) GetDiskUsage(name string) (vfs.DiskUsage, error) {
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	if _, err := l.t.find(name); err != nil {
		return vfs.DiskUsage{}, pathError("statfs", name, err)
	}
	return vfs.DiskUsage{
		AvailBytes: uint64(max(l.t.total-l.t.used, 0)),
		TotalBytes: uint64(l.t.total),
		UsedBytes:  uint64(l.t.used),
	}, nil
}

func (treeLayer) PathBase(name string) string    { return path.Base(name) }
func (treeLayer) PathJoin(elem ...string) string { return path.Join(elem...) }
func (treeLayer) PathDir(name string) string     { return path.Dir(name) }
func (treeLayer) Unwrap() vfs.FS                 { return nil }
