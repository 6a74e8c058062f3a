package sim

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/layout"
)

func notThere(name string) error { return fmt.Errorf("%s: injected: %w", name, cairn.ErrNotExist) }

// shard reports whether name is a shard: ills keep off the marker, since a
// node without it is just offline.
func shard(name string) bool { return strings.HasPrefix(name, layout.PacksDir+"/") }

type falseNotFound struct{ through }

func (f falseNotFound) ReadAt(ctx context.Context, name string, p []byte, off int64) error {
	if shard(name) && f.s.hit(backends.OpRead, name) {
		return notThere(name)
	}
	return f.remote.ReadAt(ctx, name, p, off)
}

func (f falseNotFound) Stat(ctx context.Context, name string) (int64, error) {
	if shard(name) && f.s.hit(backends.OpStat, name) {
		return 0, notThere(name)
	}
	return f.remote.Stat(ctx, name)
}

// newUnmounted is the empty directory below a mount point: what is put there is
// hidden again when the disk is back.
func newUnmounted(t through) remote { return through{&backendtest.Mem{}, t.s} }

type freeLies struct{ through }

func (f freeLies) Free(ctx context.Context) (int64, int64, error) {
	_, total, err := f.remote.Free(ctx)
	if f.s.hit(backends.OpFree, "") {
		return 0, total, err
	}
	return 2 * total, 2 * total, err
}

type fullLate struct{ through }

func (f fullLate) Put(ctx context.Context, name string, data []byte) error {
	if !shard(name) || !f.s.hit(backends.OpPut, name) {
		return f.remote.Put(ctx, name, data)
	}
	if err := f.remote.Put(ctx, name, data[:len(data)*2/3]); err != nil {
		return err
	}
	return fmt.Errorf("%s: injected: %w", name, cairn.ErrFull)
}

type sizeLies struct{ through }

func (f sizeLies) Stat(ctx context.Context, name string) (int64, error) {
	size, err := f.remote.Stat(ctx, name)
	if err == nil && shard(name) && f.s.hit(backends.OpStat, name) {
		size += []int64{-1, 1, 4096, 1 << 40}[hash(f.s.node.seed, plain(name))%4]
	}
	return size, err
}

type dropsWrites struct{ through }

func (f dropsWrites) Put(ctx context.Context, name string, data []byte) error {
	if shard(name) && f.s.hit(backends.OpPut, name) {
		return ctx.Err()
	}
	return f.remote.Put(ctx, name, data)
}

type tornPuts struct{ through }

func (f tornPuts) Put(ctx context.Context, name string, data []byte) error {
	if !shard(name) || !f.s.hit(backends.OpPut, name) {
		return f.remote.Put(ctx, name, data)
	}
	if err := f.remote.Put(ctx, name, data[:len(data)/2]); err != nil {
		return err
	}
	return unavailable(backends.OpPut)
}

// pageCache forgets when it is healed what was put before.
type pageCache struct{ through }

func (f pageCache) Put(ctx context.Context, name string, data []byte) error {
	if shard(name) && f.s.hit(backends.OpPut, name) {
		f.s.cached(name)
	}
	return f.remote.Put(ctx, name, data)
}

// flipsReads changes a byte of reads above min bytes.
type flipsReads struct {
	through
	min int
}

func (f flipsReads) ReadAt(ctx context.Context, name string, p []byte, off int64) error {
	err := f.remote.ReadAt(ctx, name, p, off)
	if err == nil && shard(name) && len(p) > f.min && f.s.hit(backends.OpRead, name) {
		p[hash(f.s.node.seed, plain(name), off)%uint64(len(p))] ^= 0x10
	}
	return err
}

// serves gives reads and sizes of other files than were asked for.
type serves struct {
	through
	other func(names []string, name string) string
}

// file is the file that is served for name.
func (f serves) file(op, name string) string {
	if shard(name) && f.s.hit(op, name) {
		return f.other(f.s.node.shards(), name)
	}
	return name
}

func (f serves) ReadAt(ctx context.Context, name string, p []byte, off int64) error {
	return f.remote.ReadAt(ctx, f.file(backends.OpRead, name), p, off)
}

// foreign is the file after name in order, around the end.
func foreign(names []string, name string) string {
	for i, n := range names {
		if n == name {
			return names[(i+1)%len(names)]
		}
	}
	return name
}

// older is the file before name in order: of an older pack, mostly.
func older(names []string, name string) string {
	for i, n := range names {
		if n == name && i > 0 {
			return names[i-1]
		}
	}
	return name
}

// deleteLate is how long a delete may linger on a node that does it late.
const deleteLate = 10 * time.Minute

type lateDelete struct{ through }

func (f lateDelete) Delete(ctx context.Context, name string) error {
	time.AfterFunc(deleteLate, func() { f.s.node.mem.Drop(name) })
	return ctx.Err()
}

type ignoresDelete struct{ through }

func (f ignoresDelete) Delete(ctx context.Context, _ string) error { return ctx.Err() }

type deletesOther struct{ through }

func (f deletesOther) Delete(ctx context.Context, name string) error {
	if other := foreign(f.s.node.shards(), name); other != name {
		f.s.node.mem.Drop(other)
	}
	return f.remote.Delete(ctx, name)
}
