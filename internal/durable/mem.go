package durable

// Mem is a file system in memory that can lose its power. It is for tests,
// also inside testing/synctest: it starts no goroutine and holds its mutex
// over nothing that waits.
//
// It is our own and not vfs.NewCrashableMem, whose CrashClone brings every
// removed file back unless the directory was synced (so that it cannot show
// what is lost by removing too early), may leave both names of a rename, and
// gives another answer each time for one seed.
type Mem struct {
	disk
	tree *tree
}

var _ FS = (*Mem)(nil)

// memTotal is the size of a new Mem in bytes, more than a test writes.
const memTotal = 1 << 40

// NewMem returns an empty file system of 1 TiB. A relative name is below "/".
func NewMem() *Mem { return newMem(newTree(memTotal)) }

func newMem(t *tree) *Mem { return &Mem{disk: disk{treeLayer{t}}, tree: t} }

// SetCapacity makes the whole file system total bytes large; what is beyond
// is cairn.ErrFull. File contents and reservations count, names do not.
func (m *Mem) SetCapacity(total int64) {
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	m.tree.total = total
}

// Crash returns what a power loss at this moment leaves, as a new Mem that
// shares nothing with m; m goes on as if nothing had happened.
//
// What was synced is there. Of the rest, every page or sector of a file and
// every change of a name (made, removed; a rename is one change) survives
// with the given chance from 0 to 100 percent, each for itself: at 0 exactly
// the synced state is left, at 100 the state as m shows it. The same seed
// over the same history leaves the same. Locks are free.
func (m *Mem) Crash(unsyncedPercent int, seed uint64) *Mem {
	return newMem(m.tree.crash(unsyncedPercent, seed))
}

// LoseUnsynced makes the file name lose what was written to it and not
// synced, in the way of a kernel whose write-back failed: it is read as
// before, no later sync makes it durable, and the next power loss shows.
// Called by a Hook.Before that then fails the OpSync, it is a failed fsync.
func (m *Mem) LoseUnsynced(name string) error {
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	n, err := m.tree.find(name)
	if err != nil {
		return fail("lose unsynced", name, err)
	}
	n.dirty = span{}
	return nil
}
