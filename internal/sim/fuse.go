package sim

// How is the way in which the power goes.
type How uint8

// The ways: before a step; after one that was done and is not told of; in the
// middle of a write.
const (
	Before How = iota
	After
	Torn
)

// Fuse takes the power away at one durable step from now.
type Fuse struct {
	Index   bool // counts the steps of the index, else all others of the disk
	Node    bool // counts what changes a file on any node
	At      int  // which of them, from 1
	How     How
	Percent int // of what was not synced that is kept
}

// onNode is told before a file of a node changes. It reports whether the fuse
// burns down here, and the power goes with the change, in the way returned: the
// caller then calls pull when as much of it is done.
func (d *disk) onNode() (How, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left != nil {
		return 0, false
	}
	d.points.Node++
	if !d.fuse.Node || d.fuse.At == 0 {
		return 0, false
	}
	d.fuse.At--
	return d.fuse.How, d.fuse.At == 0
}

// Points are how many steps there were at which a Fuse can burn down.
type Points struct{ Disk, Index, Node int }

func (p Points) less(o Points) Points {
	return Points{p.Disk - o.Disk, p.Index - o.Index, p.Node - o.Node}
}

// light makes the power go.
func (d *disk) light(f Fuse) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left == nil && !d.torn {
		d.fuse = f
	}
}

// burning is the fuse as far as it burnt down, none after a power loss.
func (d *disk) burning() Fuse {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left != nil || d.fuse.At == 0 {
		return Fuse{}
	}
	return d.fuse
}

// lightAnother is light where no fuse burns yet.
func (d *disk) lightAnother(f Fuse) {
	d.mu.Lock()
	burns := d.fuse.At > 0
	d.mu.Unlock()
	if !burns {
		d.light(f)
	}
}

// passed is how many steps there were.
func (d *disk) passed() Points {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.points
}

// percent is what the fuse keeps of what was not synced.
func (d *disk) percent() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fuse.Percent
}
