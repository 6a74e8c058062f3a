package sim

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cairn-storage/cairn/internal/durable"
)

// disk is the gateway's disk of one run. Each life of the gateway gets a file
// system around it, with faults that the plan asked for.
type disk struct {
	seed uint64

	mu     sync.Mutex
	mem    *durable.Mem
	fuse   Fuse               // guarded by mu
	left   *durable.Mem       // what a power loss left, nil while there was none; guarded by mu
	torn   bool               // the power goes as soon as a write in progress is done; guarded by mu
	breaks map[durable.Op]int // steps that will fail; guarded by mu
	late   map[durable.Op]int // steps that will be done and reported as failed; guarded by mu
	reads  int                // that will fail; guarded by mu
	full   bool               // guarded by mu
	steps  uint64             // in all
	points Points             // steps by what a fuse counts; guarded by mu
	losses int                // of power
	over   *atomic.Bool       // of the life that runs; guarded by mu
}

var (
	errPower  = errors.New("the power is gone")
	errDevice = fmt.Errorf("injected: %w", syscall.EIO)
)

func newDisk(seed uint64) *disk {
	return &disk{seed: seed, mem: durable.NewMem(), breaks: make(map[durable.Op]int), late: make(map[durable.Op]int)}
}

// fs is the file system of one life; over is set when its power goes.
func (d *disk) fs(over *atomic.Bool) durable.FS {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = over
	return failingFS{durable.Watch(d.mem, durable.Hook{Before: d.before, After: d.after}), d}
}

// ofIndex says whether a step is the index's. Its engine ends the process when
// its disk errs, so it never sees an error: after a power loss it goes on, on a
// disk that nobody will look at.
func ofIndex(s durable.Step) bool {
	return s.Name == dir+"/index" || strings.HasPrefix(s.Name, dir+"/index/")
}

func (d *disk) before(s durable.Step) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.steps++
	if ofIndex(s) {
		d.points.Index++
	} else {
		d.points.Disk++
	}
	if d.torn {
		d.cut()
	}
	if d.left == nil && d.fuse.At > 0 && !d.fuse.Node && d.fuse.Index == ofIndex(s) {
		if d.fuse.At--; d.fuse.At == 0 {
			switch d.fuse.How {
			case Before:
				d.cut()
			case Torn:
				if s.Op == durable.OpWrite && s.Len > 1 && !ofIndex(s) {
					d.torn = true
					return &durable.Torn{Bytes: 1 + int64(hash(d.seed, "torn", s.Len)%uint64(s.Len-1)), Err: errPower}
				}
				d.cut()
			case After:
				d.torn = true // done, and then the power goes: see after
			}
		}
	}
	switch {
	case ofIndex(s):
		return nil
	case d.left != nil:
		return errPower
	case d.breaks[s.Op] > 0:
		d.breaks[s.Op]--
		if s.Op == durable.OpSync {
			_ = d.mem.LoseUnsynced(s.Name) // a file, or it loses nothing
		}
		return errDevice
	}
	return nil
}

func (d *disk) after(s durable.Step, err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.torn {
		d.cut()
	}
	if err == nil && d.left != nil && !ofIndex(s) {
		return errPower // under way when the power went
	}
	if err == nil && !ofIndex(s) && d.late[s.Op] > 0 {
		d.late[s.Op]--
		return errDevice
	}
	return err
}

// cut keeps what a power loss leaves just now; d.mu is held.
func (d *disk) cut() {
	d.torn = false
	if d.left == nil {
		d.losses++
		if d.over != nil {
			d.over.Store(true)
		}
		d.left = d.mem.Crash(d.fuse.Percent, hash(d.seed, "power", d.losses))
	}
}

// lost is how often the power went.
func (d *disk) lost() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.losses
}

// destroy ends the disk's life, which is no power loss.
func (d *disk) destroy() {
	d.pull(0)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.losses--
}

// pull takes the power away now.
func (d *disk) pull(percent int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fuse = Fuse{Percent: percent}
	d.cut()
}

// dead reports whether the power is gone.
func (d *disk) dead() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.left != nil || d.torn
}

// replace puts an empty disk in place of this one.
func (d *disk) replace() {
	d.mend()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mem, d.left, d.torn, d.fuse = durable.NewMem(), nil, false, Fuse{}
}

// restore puts the disk that a power loss left in place of the one that was. A
// fuse that did not burn down yet goes on over an orderly restart.
func (d *disk) restore() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.torn {
		d.cut()
	}
	if d.left != nil {
		d.mem, d.left, d.fuse = d.left, nil, Fuse{}
	}
}

// breakNext makes the next n steps of an operation fail, or reads with op 0;
// done says that the steps are carried out all the same.
func (d *disk) breakNext(op durable.Op, n int, done bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case op == 0:
		d.reads = n
	case done:
		d.late[op] = n
	default:
		d.breaks[op] = n
	}
}

// fill leaves room for free bytes only.
func (d *disk) fill(free int64) error {
	left, total, err := d.mem.Free("/")
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = true
	d.mem.SetCapacity(int64(total-left) + free)
	return nil
}

// ill reports whether faults wait to happen, or the disk is full.
func (d *disk) ill() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.reads
	for _, m := range []map[durable.Op]int{d.breaks, d.late} {
		for _, left := range m {
			n += left
		}
	}
	return n > 0 || d.full
}

// plenty is the size of a disk that is not full, bytes.
const plenty = 1 << 40

// mend ends all that ails the disk but a power loss.
func (d *disk) mend() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads, d.full = 0, false
	clear(d.breaks)
	clear(d.late)
	d.mem.SetCapacity(plenty)
}
