package durable

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
)

// maxPending is how many changes of names a Mem keeps undecided. Programs
// that sync their directories stay far below.
const maxPending = 1 << 14

// A power loss keeps or drops bytes that were written and not synced in units
// of a page, as a kernel writes them back, or of a sector, as a disk does.
const (
	page   = 4096
	sector = 512
)

// entry is a name in a directory.
type entry struct {
	dir  *node
	name string
}

func (e entry) node() *node { return e.dir.kids[e.name] }

// change is one step of a directory journal, which a power loss keeps or
// drops whole: a name gone, a name come (over whatever had it), or both for a
// rename. An unused side has no dir.
type change struct {
	gone, come entry
	node       *node // what come names
}

// names is where a change is carried out: names by directory.
type names func(dir *node) map[string]*node

// dirs carries out a change for good.
func (c change) dirs() names { return func(d *node) map[string]*node { return d.durable } }

func (c change) apply(in names) {
	if c.gone.dir != nil {
		delete(in(c.gone.dir), c.gone.name)
	}
	if c.come.dir != nil {
		in(c.come.dir)[c.come.name] = c.node
	}
}

// syncDir makes the changes that touch dir durable. A rename touches two
// directories and is made durable whole, as journals do, and with it every
// earlier change of the same names: otherwise an old one could win later.
func (t *tree) syncDir(dir *node) {
	take := make([]bool, len(t.pending))
	touched := map[entry]bool{}
	for i, c := range slices.Backward(t.pending) {
		if c.gone.dir != dir && c.come.dir != dir && !touched[c.gone] && !touched[c.come] {
			continue
		}
		take[i] = true
		for _, e := range []entry{c.gone, c.come} {
			if e.dir != nil {
				touched[e] = true
			}
		}
	}
	var later []change
	for i, c := range t.pending {
		if take[i] {
			c.apply(c.dirs())
		} else {
			later = append(later, c)
		}
	}
	t.pending = later
}

// crash returns the tree that Mem.Crash promises.
func (t *tree) crash(percent int, seed uint64) *tree {
	t.mu.Lock()
	defer t.mu.Unlock()
	dice := rand.New(rand.NewPCG(seed, 0))
	l := loss{
		keep: func() bool { return percent > 0 && dice.IntN(100) < percent },
		dirs: map[*node]map[string]*node{},
		left: map[*node]*node{},
	}
	for _, c := range t.pending {
		if l.keep() {
			c.apply(l.names)
		}
	}
	after := newTree(t.total)
	after.root = l.leave(t.root, after)
	return after
}

// loss is one power loss on its way through a tree.
type loss struct {
	keep func() bool
	dirs map[*node]map[string]*node // what is left in directories with changes
	left map[*node]*node            // what is left of a node, once decided
}

func (l *loss) names(dir *node) map[string]*node {
	if l.dirs[dir] == nil {
		l.dirs[dir] = maps.Clone(dir.durable)
	}
	return l.dirs[dir]
}

// leave returns what is left of n in the tree after. A file with two names
// stays one file.
func (l *loss) leave(n *node, after *tree) *node {
	if m := l.left[n]; m != nil {
		return m
	}
	if n.isDir {
		m := newDir()
		m.modified = n.modified
		l.left[n] = m
		names := n.durable
		if changed := l.dirs[n]; changed != nil {
			names = changed
		}
		for _, name := range sortedKeys(names) { // in order, so that a seed means one outcome
			kid := l.leave(names[name], after)
			kid.links++
			m.kids[name] = kid
		}
		m.durable = maps.Clone(m.kids)
		return m
	}
	m := &node{modified: n.modified, data: l.leaveData(n)}
	m.synced = slices.Clone(m.data)
	l.left[n] = m
	after.used += m.charge()
	return m
}

func (l *loss) leaveData(n *node) []byte {
	data := slices.Clone(n.synced)
	unit := int64(page)
	if l.keep() {
		unit = sector
	}
	for lo := n.dirty.lo - n.dirty.lo%unit; lo < n.dirty.hi; lo += unit {
		hi := min(lo+unit, int64(len(n.data)))
		block := n.data[lo:hi]
		if hi <= int64(len(data)) && bytes.Equal(block, data[lo:hi]) || !l.keep() {
			continue
		}
		// A later block that survives moves the end of the file; the lost ones
		// before it read as zeros.
		data = extend(data, hi)
		copy(data[lo:], block)
	}
	return data
}

func sortedKeys(m map[string]*node) []string { return slices.Sorted(maps.Keys(m)) }
