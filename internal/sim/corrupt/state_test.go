package corrupt

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cache"
)

// stateBench harms the small files of a gateway at rest: the number of its
// life, and the list of nodes that a lost index is made again with.
type stateBench struct {
	*worlds
	w *world
}

func openState(_ *testing.T, w *worlds) bench { return &stateBench{w, w.spread()} }

func (b *stateBench) do(t *testing.T, r *rand.Rand) (o outcome) {
	disk := b.w.copyOf()
	life, list := filepath.Join(dir, "stage", "life"), filepath.Join(dir, "secrets", "nodes")
	name, other := life, list
	o.class = "life"
	if r.IntN(2) == 0 {
		o.class, name, other = "list of nodes", list, life
		if o.err = disk.VFS().RemoveAll(filepath.Join(dir, "index")); o.err != nil { // it is read only without one
			return o
		}
	}
	data, err := contentOf(disk, name)
	more, err2 := contentOf(disk, other)
	if o.err = errors.Join(err, err2); o.err != nil {
		return o
	}
	c := alter(r, data, span{o.class, 0, len(data)}, [][]byte{more})
	o.what, o.result = o.class+": "+c.how, failed
	if o.err = replace(disk, name, c.data); o.err != nil {
		return o
	}
	g, err := b.open(t.Context(), disk, &reach{boxes: newBoxes(b.w.boxes)}, cache.Config{MemoryBytes: 1 << 20})
	if err == nil {
		o.err = errors.Join(errors.New("the store opens with it"), g.close(t.Context()))
	} else if !errors.Is(err, cairn.ErrCorrupt) && !errors.Is(err, cairn.ErrInvalid) {
		o.err = fmt.Errorf("another class than corrupt: %w", err)
	}
	return o
}
