package loss

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/layout"
)

// fate is what became of a node.
type fate int32

const (
	well      fate = iota
	away           // nothing answers
	unmounted      // nothing is there, no marker either
	emptied        // the marker is there, shards are not
	lying          // a bit of every block is flipped, tails are right
	raving         // a bit of whatever is read of shards is flipped
	swapped        // another shard is served for each
	cut            // files end after their first half
	fates
)

// String is the word for it in the names of tests.
func (f fate) String() string {
	return [...]string{"well", "away", "unmounted", "emptied", "lying", "raving", "swapped", "cut"}[f]
}

// front is a node as its fate lets it be seen.
type front struct {
	*backendtest.Mem
	n *node
}

func shard(name string) bool { return strings.HasPrefix(name, layout.PacksDir+"/") }

// at returns the name to look at in place of name, or why there is nothing.
func (f front) at(name string) (string, error) {
	switch fate(f.n.fate.Load()) {
	case away:
		return "", fmt.Errorf("%s: %w", name, cairn.ErrUnavailable)
	case unmounted:
		return "", fmt.Errorf("%s %w", name, cairn.ErrNotExist)
	case emptied:
		if shard(name) {
			return "", fmt.Errorf("%s %w", name, cairn.ErrNotExist)
		}
	case swapped:
		names := f.Names()
		for i, other := range names {
			if shard(name) && other == name {
				if next := names[(i+1)%len(names)]; shard(next) {
					return next, nil
				}
				return names[i-1], nil // a store has more than one pack
			}
		}
	}
	return name, nil
}

// ReadAt reads what is shown.
func (f front) ReadAt(ctx context.Context, name string, p []byte, off int64) error {
	from, err := f.at(name)
	if err != nil {
		return err
	}
	if fate(f.n.fate.Load()) == cut && shard(name) {
		if size, err := f.Mem.Stat(ctx, name); err == nil && off+int64(len(p)) > size/2 {
			return fmt.Errorf("%s has %d bytes: %w", name, size/2, cairn.ErrCorrupt)
		}
	}
	if err := f.Mem.ReadAt(ctx, from, p, off); err != nil || !shard(name) {
		return err
	}
	size, err := f.Mem.Stat(ctx, from)
	tail := off+int64(len(p)) == size
	if now := fate(f.n.fate.Load()); err == nil && (now == raving || now == lying && !tail) {
		for i := 0; i < len(p); i += 4096 { // in each block, whatever the range
			p[i] ^= 4
		}
	}
	return err
}

// Stat tells the size of what is shown.
func (f front) Stat(ctx context.Context, name string) (int64, error) {
	from, err := f.at(name)
	if err != nil {
		return 0, err
	}
	size, err := f.Mem.Stat(ctx, from)
	if err == nil && fate(f.n.fate.Load()) == cut && shard(name) {
		size /= 2
	}
	return size, err
}

// List lists what is shown.
func (f front) List(ctx context.Context, dir string) iter.Seq2[backends.Entry, error] {
	if _, err := f.at(layout.MarkerName); err != nil {
		return func(yield func(backends.Entry, error) bool) { yield(backends.Entry{}, err) }
	}
	return f.Mem.List(ctx, dir)
}

// Free tells the space of a node that is there.
func (f front) Free(ctx context.Context) (int64, int64, error) {
	if _, err := f.at(layout.MarkerName); err != nil {
		return 0, 0, err
	}
	return f.Mem.Free(ctx)
}
