package backends

import (
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"strings"

	"github.com/cairn-storage/cairn"
)

// Bounds of what one listing may say. The zero value is good.
type Bounds struct {
	PerDir int // files and directories in one directory; 0 means 256+64: what the layout makes, and some slack
	Files  int // in all; 0 means 8 Mi, 32 TiB of shards of 4 MiB
	Dirs   int // in all; 0 means 1 Mi; each costs some 30 bytes while listing
}

// ErrForeign is the class of the error that ends a listing in which files
// stood that are not ours: all others were listed. It is an ErrCorrupt.
var ErrForeign = fmt.Errorf("files that are not ours: %w", cairn.ErrCorrupt)

// Guard keeps names that break the grammar from reaching r (ErrInvalid), and
// makes listings harmless whatever the node answers: an entry whose name
// breaks the grammar, lies elsewhere or has a negative size is left out, and
// the listing then ends with ErrForeign; more than the bounds allow ends it at
// once with ErrCorrupt. Our memory never depends on the node's answer.
func Guard(r Remote, b Bounds) Remote {
	if b.PerDir <= 0 {
		b.PerDir = 256 + 64
	}
	if b.Files <= 0 {
		b.Files = 8 << 20
	}
	if b.Dirs <= 0 {
		b.Dirs = 1 << 20
	}
	g := &guard{bounds: b}
	g.Around = Around{Inner: r, Do: g.do}
	return g
}

type guard struct {
	Around
	bounds Bounds
}

func (g *guard) do(ctx context.Context, c Call, run func(context.Context) error) error {
	switch c.Op {
	case OpPut, OpRead, OpStat, OpDelete, OpReplace:
		if err := CheckName(c.Name); err != nil {
			return err
		}
	}
	return run(ctx)
}

func (g *guard) List(ctx context.Context, dir string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if err := CheckDir(dir); err != nil {
			yield(Entry{}, err)
			return
		}
		seen := census{bounds: g.bounds, dir: dir, seed: maphash.MakeSeed(), entries: map[uint64]int{}}
		for e, err := range g.Inner.List(ctx, dir) {
			ours := err == nil && seen.ours(e)
			if err == nil {
				err = seen.total()
			}
			if ours && err == nil {
				err = seen.count(e.Name)
			}
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if ours && !yield(e, nil) {
				return
			}
		}
		if seen.foreign > 0 {
			yield(Entry{}, fmt.Errorf("list %s: %d of %w, the first is %.80q", dir, seen.foreign, ErrForeign, seen.first))
		}
	}
}

// census counts what one listing says.
type census struct {
	bounds  Bounds
	dir     string
	foreign int
	first   string // of the foreign names, cut short
	files   int
	seed    maphash.Seed
	entries map[uint64]int // of each directory, by the hash of its name
}

// ours reports whether e can be one of our files; it is counted when not.
func (c *census) ours(e Entry) bool {
	below := c.dir == "" || strings.HasPrefix(e.Name, c.dir+"/")
	if below && e.Size >= 0 && CheckName(e.Name) == nil {
		return true
	}
	if c.foreign == 0 {
		c.first = strings.Clone(e.Name[:min(len(e.Name), MaxName)])
	}
	c.foreign++
	return false
}

// total counts one entry, ours or not: a node may send either without end.
func (c *census) total() error {
	if c.files++; c.files > c.bounds.Files {
		return fmt.Errorf("list %s: more than %d files: %w", c.dir, c.bounds.Files, cairn.ErrCorrupt)
	}
	return nil
}

// count adds one entry to the parent of name, and to each directory above
// when its child is new.
func (c *census) count(name string) error {
	for len(name) > len(c.dir) {
		parent := name[:max(strings.LastIndexByte(name, '/'), 0)]
		key := maphash.String(c.seed, parent)
		c.entries[key]++
		n := c.entries[key]
		switch {
		case n > c.bounds.PerDir:
			return fmt.Errorf("list %s: more than %d entries in one directory: %w", parent, c.bounds.PerDir, cairn.ErrCorrupt)
		case len(c.entries) > c.bounds.Dirs:
			return fmt.Errorf("list %s: more than %d directories: %w", c.dir, c.bounds.Dirs, cairn.ErrCorrupt)
		case n > 1:
			return nil
		}
		name = parent
	}
	return nil
}
