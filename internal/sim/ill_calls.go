package sim

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// gated are ills that are one decision ahead of, or after, every call.
type gated struct {
	through
	before func(ctx context.Context, op, name string, bytes int) error
	after  func(op, name string) error
}

func (g gated) call(ctx context.Context, op, name string, bytes int, run func() error) error {
	if g.before != nil {
		if err := g.before(ctx, op, name, bytes); err != nil {
			return err
		}
	}
	err := run()
	if err == nil && g.after != nil {
		err = g.after(op, name)
	}
	return err
}

func (g gated) Put(ctx context.Context, name string, data []byte) error {
	return g.call(ctx, backends.OpPut, name, len(data), func() error { return g.remote.Put(ctx, name, data) })
}

func (g gated) Replace(ctx context.Context, name string, data []byte) error {
	return g.call(ctx, backends.OpReplace, name, len(data), func() error { return g.remote.Replace(ctx, name, data) })
}

func (g gated) ReadAt(ctx context.Context, name string, p []byte, off int64) error {
	return g.call(ctx, backends.OpRead, name, len(p), func() error { return g.remote.ReadAt(ctx, name, p, off) })
}

func (g gated) Stat(ctx context.Context, name string) (size int64, err error) {
	err = g.call(ctx, backends.OpStat, name, 0, func() (err error) { size, err = g.remote.Stat(ctx, name); return err })
	return size, err
}

func (g gated) Delete(ctx context.Context, name string) error {
	return g.call(ctx, backends.OpDelete, name, 0, func() error { return g.remote.Delete(ctx, name) })
}

func (g gated) Free(ctx context.Context) (free, total int64, err error) {
	err = g.call(ctx, backends.OpFree, "", 0, func() (err error) { free, total, err = g.remote.Free(ctx); return err })
	return free, total, err
}

func (g gated) List(ctx context.Context, dir string) iter.Seq2[backends.Entry, error] {
	return func(yield func(backends.Entry, error) bool) {
		stopped := false
		err := g.call(ctx, backends.OpList, dir, 0, func() error {
			for e, err := range g.remote.List(ctx, dir) {
				if err != nil {
					return err
				}
				if !yield(e, nil) {
					stopped = true
					return nil
				}
			}
			return nil
		})
		if err != nil && !stopped {
			yield(backends.Entry{}, err)
		}
	}
}

func down(t through) remote {
	return gated{through: t, before: func(_ context.Context, op, _ string, _ int) error { return unavailable(op) }}
}

func bursts(t through) remote {
	return gated{through: t, before: func(_ context.Context, op, name string, _ int) error {
		// Counted by file and not over all calls, whose order is nobody's.
		if (t.s.node.try("burst "+op, plain(name))-1)/burst%2 == 0 {
			return unavailable(op)
		}
		return nil
	}}
}

// burst is how many calls for one file fail in a row, and then work.
const burst = 3

func hangs(t through) remote {
	return gated{through: t, before: func(ctx context.Context, op, name string, _ int) error {
		if !t.s.hit(op, name) {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}}
}

func drips(t through) remote {
	return gated{through: t, before: func(ctx context.Context, _, _ string, bytes int) error {
		return pause(ctx, time.Duration(max(bytes, 1))*time.Second)
	}}
}

func revoked(t through) remote {
	return gated{through: t, before: func(_ context.Context, op, _ string, _ int) error {
		return fmt.Errorf("%s: injected: %w", op, cairn.ErrDenied)
	}}
}

func failsLarge(t through) remote {
	return gated{through: t, before: func(_ context.Context, op, _ string, bytes int) error {
		if op == backends.OpRead && bytes > 64<<10 {
			return unavailable(op)
		}
		return nil
	}}
}

func losesAcks(t through) remote {
	return gated{through: t, after: func(op, name string) error {
		if t.s.hit(op, name) {
			return unavailable(op)
		}
		return nil
	}}
}
