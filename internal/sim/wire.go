package sim

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/cairn-storage/cairn/backends"
)

// wire is the connection of one life to a node; it is dead with the life.
type wire struct {
	n *Node
	l *life
	d *disk
}

// change carries out a change of a file on the node, unless the power goes
// before it; torn is as much of it as may be done when it goes in the middle.
func (c wire) change(do, torn func(remote) error) error {
	how, burns := c.d.onNode()
	if !burns {
		return do(c.now())
	}
	var err error
	switch n := c.now(); how {
	case After:
		err = do(n)
	case Torn:
		err = torn(n)
	}
	c.d.pull(c.d.percent())
	return errors.Join(errPower, err)
}

func leave(remote) error { return nil }

// now is the node as it behaves, or one that is down once the process that
// asks is gone: after a power loss no call of the old life may do anything.
func (c wire) now() remote {
	r := c.n.now()
	if c.l.over.Load() {
		return down(through{r, nil})
	}
	return r
}

// travel is the time that a call takes on its way: it depends on the call alone,
// so calls of one history meet in the same order each time.
func (c wire) travel(ctx context.Context, op, name string, bytes int) error {
	attempt := c.n.try("travel "+op, plain(name))
	d := time.Duration(1+hash(c.n.seed, "travel", c.n.number, op, plain(name), attempt)%uint64(latency)) + time.Duration(bytes)*perByte
	return pause(ctx, d)
}

// Calls take up to latency on their way, and perByte more for what they carry.
const (
	latency = 20 * time.Millisecond
	perByte = 20 * time.Nanosecond
)

// Put passes on.
func (c wire) Put(ctx context.Context, name string, data []byte) error {
	if err := c.travel(ctx, backends.OpPut, name, len(data)); err != nil {
		return err
	}
	return c.change(func(n remote) error { return n.Put(ctx, name, data) },
		func(n remote) error { return n.Put(ctx, name, data[:len(data)/2]) }) // it has no rename
}

// ReadAt passes on.
func (c wire) ReadAt(ctx context.Context, name string, p []byte, off int64) error {
	if err := c.travel(ctx, backends.OpRead, name, len(p)); err != nil {
		return err
	}
	return c.now().ReadAt(ctx, name, p, off)
}

// Stat passes on.
func (c wire) Stat(ctx context.Context, name string) (int64, error) {
	if err := c.travel(ctx, backends.OpStat, name, 0); err != nil {
		return 0, err
	}
	return c.now().Stat(ctx, name)
}

// List passes on.
func (c wire) List(ctx context.Context, dir string) iter.Seq2[backends.Entry, error] {
	return func(yield func(backends.Entry, error) bool) {
		if err := c.travel(ctx, backends.OpList, dir, 0); err != nil {
			yield(backends.Entry{}, err)
			return
		}
		c.now().List(ctx, dir)(yield)
	}
}

// Delete passes on.
func (c wire) Delete(ctx context.Context, name string) error {
	if err := c.travel(ctx, backends.OpDelete, name, 0); err != nil {
		return err
	}
	return c.change(func(n remote) error { return n.Delete(ctx, name) }, leave)
}

// Free passes on.
func (c wire) Free(ctx context.Context) (int64, int64, error) {
	if err := c.travel(ctx, backends.OpFree, "", 0); err != nil {
		return 0, 0, err
	}
	return c.now().Free(ctx)
}

// Replace passes on.
func (c wire) Replace(ctx context.Context, name string, data []byte) error {
	if err := c.travel(ctx, backends.OpReplace, name, len(data)); err != nil {
		return err
	}
	return c.change(func(n remote) error { return n.Replace(ctx, name, data) }, leave)
}
