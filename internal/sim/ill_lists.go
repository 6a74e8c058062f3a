package sim

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/layout"
)

type listOmits struct{ through }

func (f listOmits) List(ctx context.Context, dir string) iter.Seq2[backends.Entry, error] {
	return func(yield func(backends.Entry, error) bool) {
		for e, err := range f.remote.List(ctx, dir) {
			if err == nil && shard(e.Name) && f.s.hit(backends.OpList, e.Name) {
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// namesPerSecond is how fast a listing is at most: one without end of which
// another ill leaves out every name would else take no time, and never end.
const namesPerSecond = 1 << 11

// listInvents names shards of packs that never were after those that are, as
// many as most says; negative for no end.
type listInvents struct {
	through
	most int
}

func (f listInvents) List(ctx context.Context, dir string) iter.Seq2[backends.Entry, error] {
	return func(yield func(backends.Entry, error) bool) {
		for e, err := range f.remote.List(ctx, dir) {
			if !yield(e, err) || err != nil {
				return
			}
		}
		for i := 0; f.most < 0 || i < f.most; i++ {
			if i%namesPerSecond == namesPerSecond-1 {
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
				}
			}
			if err := ctx.Err(); err != nil {
				yield(backends.Entry{}, err)
				return
			}
			name := cairn.ShardName{Pack: cairn.NewPackID(uint64(1+i), [10]byte{0xee, byte(f.s.node.number)}), Index: uint8(i % 3), Write: uint32(i)}
			if !yield(backends.Entry{Name: layout.Path(name), Size: 1 << 20}, nil) {
				return
			}
		}
	}
}

// rootsDir is where nodes keep the signed state of the store.
const rootsDir = "roots/"

// previousRoot hides the newest root from listings and serves the one before
// it under its name.
type previousRoot struct{ through }

// newest returns the two newest roots, empty where there are fewer.
func (f previousRoot) newest() (last, before string) {
	for _, name := range f.s.node.mem.Names() { // the sequence comes first in a name
		if strings.HasPrefix(name, rootsDir) {
			last, before = name, last
		}
	}
	return last, before
}

func (f previousRoot) ReadAt(ctx context.Context, name string, p []byte, off int64) error {
	if last, before := f.newest(); name == last && before != "" {
		name = before
	}
	return f.remote.ReadAt(ctx, name, p, off)
}

func (f previousRoot) List(ctx context.Context, dir string) iter.Seq2[backends.Entry, error] {
	return func(yield func(backends.Entry, error) bool) {
		last, before := f.newest()
		for e, err := range f.remote.List(ctx, dir) {
			if err == nil && e.Name == last && before != "" {
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	}
}
