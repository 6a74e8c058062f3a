package contribute

import (
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	"github.com/pkg/sftp"
)

// replaceable reports whether name may be renamed over: the few files whose
// content changes, and temporaries, which are of no value to anyone. A store may
// lie in any directory below the one that is served, so the names alone count;
// no shard, key or root is called so. Everything else is written once.
func replaceable(name string) bool {
	switch path.Base(name) {
	case "cairn.json", "README.txt", "STATUS.txt":
		return true
	}
	return passing(name)
}

// Filecmd carries out rename, remove and mkdir. Everything else (modes, times,
// links, removing directories) is refused.
func (h *session) Filecmd(r *sftp.Request) error {
	name := local(r.Filepath)
	switch r.Method {
	case "Rename":
		return h.PosixRename(r)
	case "Remove":
		if err := h.begin("remove", name); err != nil {
			return err
		}
		return answer(h.remove(name))
	case "Mkdir":
		if err := h.begin("mkdir", name); err != nil {
			return err
		}
		if err := h.root.Mkdir(name, 0o700); err != nil {
			return answer(err)
		}
		return answer(h.syncDir(path.Dir(name)))
	}
	return sftp.ErrSSHFxOpUnsupported
}

// PosixRename moves a file to a free name, or over a replaceable one, and
// returns nil when that is on the disk.
func (h *session) PosixRename(r *sftp.Request) error {
	from, to := local(r.Filepath), local(r.Target)
	if err := h.begin("rename", from, to); err != nil {
		return err
	}
	if err := h.rename(from, to); err != nil {
		return answer(err)
	}
	return answer(h.syncDir(path.Dir(to)))
}

func (h *session) rename(from, to string) error {
	h.s.renames.Lock()
	defer h.s.renames.Unlock()
	if info, err := h.root.Lstat(from); err != nil {
		return err
	} else if !info.Mode().IsRegular() {
		return syscall.EACCES
	}
	if h.s.trash != nil && !passing(from) {
		return syscall.EACCES // whatever is moved out of its name is as good as removed
	}
	info, err := h.root.Lstat(to)
	switch {
	case err == nil && (!replaceable(to) || !info.Mode().IsRegular()):
		return syscall.EEXIST
	case err == nil:
		defer h.s.space.give(info.Size())
	case !os.IsNotExist(err):
		return err
	}
	return h.root.Rename(from, to)
}

func (h *session) remove(name string) error {
	info, err := h.root.Lstat(name)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return syscall.EISDIR
	}
	if h.s.trash != nil && !passing(name) {
		return h.s.trash.take(h.root, name)
	}
	if err := h.root.Remove(name); err != nil {
		return err
	}
	if info.Mode().IsRegular() {
		h.s.space.give(info.Size())
	}
	return nil
}

// syncDir makes the names in dir durable.
func (h *session) syncDir(dir string) error {
	d, err := h.root.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// StatVFS tells the quota as the size of the disk, or the disk's own numbers
// where that leaves less.
func (h *session) StatVFS(*sftp.Request) (*sftp.StatVFS, error) {
	if err := h.begin("statvfs", "."); err != nil {
		return nil, err
	}
	free, total, err := h.s.space.room(h.s.c.Dir)
	if err != nil {
		return nil, answer(err)
	}
	const block = 512 // small, so that little is lost to rounding
	return &sftp.StatVFS{
		Bsize: block, Frsize: block,
		Blocks: uint64(total / block), Bfree: uint64(free / block), Bavail: uint64(free / block),
		Namemax: 255,
	}, nil
}

// Filelist answers stat (links are followed as far as they stay below the
// root) and the listing of a directory.
func (h *session) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	name := local(r.Filepath)
	switch r.Method {
	case "Stat":
		return h.one("stat", name, h.root.Stat)
	case "List":
		if err := h.begin("list", name); err != nil {
			return nil, err
		}
		d, err := h.root.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY, 0)
		if err != nil {
			return nil, answer(err)
		}
		return &listing{h: h, name: name, d: d}, nil
	}
	return nil, sftp.ErrSSHFxOpUnsupported
}

// Lstat answers for the name itself, not for what a link points to.
func (h *session) Lstat(r *sftp.Request) (sftp.ListerAt, error) {
	return h.one("stat", local(r.Filepath), h.root.Lstat)
}

func (h *session) one(op, name string, stat func(string) (fs.FileInfo, error)) (sftp.ListerAt, error) {
	if err := h.begin(op, name); err != nil {
		return nil, err
	}
	info, err := stat(name)
	if err != nil {
		return nil, answer(err)
	}
	return single{info}, nil
}

// single is a list of one.
type single struct{ info fs.FileInfo }

// ListAt gives the one entry.
func (s single) ListAt(p []fs.FileInfo, off int64) (int, error) {
	if off > 0 || len(p) == 0 {
		return 0, io.EOF
	}
	p[0] = s.info
	return 1, nil
}

// listing reads a directory page by page, as it is asked for, so that a full
// directory never stands in memory.
type listing struct {
	h    *session
	name string
	d    *os.File
}

// ListAt gives the next entries; the library asks in order. An entry that
// vanishes meanwhile is left out.
func (l *listing) ListAt(p []fs.FileInfo, _ int64) (int, error) {
	for {
		entries, err := l.d.ReadDir(len(p))
		n := 0
		for _, e := range entries {
			if hidden(path.Join(l.name, e.Name())) {
				continue
			}
			if info, err := l.h.root.Lstat(path.Join(l.name, e.Name())); err == nil {
				p[n] = info
				n++
			}
		}
		if err != nil && err != io.EOF {
			err = answer(err)
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Close ends the listing.
func (l *listing) Close() error { return l.d.Close() }
