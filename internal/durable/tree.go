package durable

import (
	"io/fs"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"
)

// tree is the state of a Mem: directories, files, and for both what a power
// loss would leave.
type tree struct {
	mu      sync.Mutex
	root    *node
	pending []change        // changes of names that no sync covers, oldest first
	locks   map[string]bool // held locks by clean path
	used    int64           // bytes charged to files that have a name or a handle
	total   int64           // bytes
}

// node is a file or a directory. Everything in it is guarded by tree.mu.
type node struct {
	isDir    bool
	modified time.Time

	kids    map[string]*node // of a directory: what is there
	durable map[string]*node // of a directory: what a power loss leaves at least

	data     []byte // of a file: what is read
	synced   []byte // of a file: what a power loss leaves at least
	dirty    span   // the part of data that may differ from synced
	reserved int64  // end of what Allocate reserved
	links    int    // names
	handles  int    // open files
}

// span is the bytes from lo up to hi; hi 0 means none.
type span struct{ lo, hi int64 }

func (s span) with(lo, hi int64) span {
	if s.hi == 0 {
		return span{lo, hi}
	}
	return span{min(s.lo, lo), max(s.hi, hi)}
}

func newTree(total int64) *tree {
	return &tree{root: newDir(), locks: map[string]bool{}, total: total}
}

func newDir() *node {
	return &node{isDir: true, modified: time.Now(), kids: map[string]*node{}, durable: map[string]*node{}}
}

func clean(name string) string { return path.Clean("/" + name) }

// find returns the node called name. tree.mu is held, as in all below.
func (t *tree) find(name string) (*node, error) {
	at := t.root
	for elem := range strings.SplitSeq(strings.Trim(clean(name), "/"), "/") {
		if elem == "" { // the root
			break
		}
		if !at.isDir {
			return nil, syscall.ENOTDIR
		}
		next := at.kids[elem]
		if next == nil {
			return nil, syscall.ENOENT
		}
		at = next
	}
	return at, nil
}

// entry returns the place of name: its directory, which exists, and its base.
func (t *tree) entry(name string) (entry, error) {
	dir, base := path.Split(clean(name))
	if base == "" {
		return entry{}, syscall.EINVAL
	}
	d, err := t.find(dir)
	if err != nil {
		return entry{}, err
	}
	if !d.isDir {
		return entry{}, syscall.ENOTDIR
	}
	return entry{d, base}, nil
}

// change carries out c where it is seen at once and keeps it for a sync.
func (t *tree) change(c change) {
	if c.come.dir != nil {
		c.node.links++ // first: between two names a file is not without one
	}
	if c.gone.dir != nil {
		t.unname(c.gone)
	}
	if c.come.dir != nil {
		t.unname(c.come)
		c.come.dir.kids[c.come.name] = c.node
	}
	t.pending = append(t.pending, c)
	if len(t.pending) > maxPending {
		// As a journal does that has waited long enough, and so that removed
		// files are not kept in memory for ever.
		half := len(t.pending) / 2
		for _, c := range t.pending[:half] {
			c.apply(c.dirs())
		}
		t.pending = append([]change(nil), t.pending[half:]...)
	}
}

func (t *tree) unname(e entry) {
	n := e.node()
	if n == nil {
		return
	}
	delete(e.dir.kids, e.name)
	n.links--
	t.release(n)
}

// release gives back the space of n once it has neither name nor handle.
func (t *tree) release(n *node) {
	if n.links == 0 && n.handles == 0 {
		t.used -= n.charge()
	}
}

func (n *node) charge() int64 { return max(int64(len(n.data)), n.reserved) }

// remove takes away the name e and, with all, everything below it first.
func (t *tree) remove(e entry, all bool) error {
	n := e.node()
	if n == nil {
		return syscall.ENOENT
	}
	if n.isDir && len(n.kids) > 0 {
		if !all {
			return syscall.ENOTEMPTY
		}
		for _, name := range sortedKeys(n.kids) {
			if err := t.remove(entry{n, name}, true); err != nil {
				return err
			}
		}
	}
	t.change(change{gone: e})
	return nil
}

func (t *tree) mkdirAll(dir string) error {
	n, err := t.find(dir)
	if err == nil {
		if !n.isDir {
			return syscall.ENOTDIR
		}
		return nil
	}
	if err != syscall.ENOENT {
		return err
	}
	if err := t.mkdirAll(path.Dir(dir)); err != nil {
		return err
	}
	e, err := t.entry(dir)
	if err != nil {
		return err
	}
	t.change(change{come: e, node: newDir()})
	return nil
}

func (t *tree) rename(oldname, newname string) error {
	from, err := t.entry(oldname)
	if err != nil {
		return err
	}
	to, err := t.entry(newname)
	if err != nil {
		return err
	}
	moved, over := from.node(), to.node()
	switch {
	case moved == nil:
		return syscall.ENOENT
	case over != nil && over.isDir:
		return syscall.EEXIST // never over a directory, as with os.Rename
	case moved == over:
		return nil
	case moved.isDir && strings.HasPrefix(clean(newname), clean(oldname)+"/"):
		return syscall.EINVAL
	case moved.isDir && over != nil:
		return syscall.ENOTDIR
	}
	t.change(change{gone: from, come: to, node: moved})
	return nil
}

// grow charges n with end bytes in all, or with what is left, and returns the
// end that there was room for.
func (t *tree) grow(n *node, end int64) int64 {
	more := end - n.charge()
	if more <= 0 {
		return end
	}
	got := max(min(more, t.total-t.used), 0)
	t.used += got
	return n.charge() + got
}

func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}
