package corrupt

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/recovery"
)

// recoverBench harms what a store is recovered from, on nodes and in the kit,
// and recovers it.
type recoverBench struct{ *rooted }

func openRecover(t *testing.T, w *worlds) bench { return recoverBench{w.rooted} }

func (b recoverBench) do(t *testing.T, r *rand.Rand) (o outcome) {
	o.result = exact
	boxes := newBoxes(b.world.boxes)
	class := []string{"root", "root", "checkpoint", "wrapped keys", "delegation", "other packs", "kit"}[r.IntN(7)]
	o.class = class
	kit := b.kit
	first, harmed, beyond := r.IntN(nodeN), 0, false
	switch {
	case class == "kit":
		c := alter(r, kit, span{class, 0, len(kit)}, nil)
		kit, o.what = c.data, c.how
	default:
		harmed = 1 + r.IntN(lossy)
		if beyond = r.IntN(4) == 0; beyond {
			harmed = lossy + 1 + r.IntN(nodeN-lossy)
			o.class += " on too many nodes"
		}
		on := r.Perm(nodeN)
		first = on[nodeN-1] // who is asked first; whole unless all are harmed
		for _, i := range on[:harmed] {
			for _, name := range slices.Sorted(maps.Keys(b.world.boxes[i])) {
				if b.kind(name) != class {
					continue
				}
				data := b.world.boxes[i][name]
				c := alter(r, data, span{class, 0, len(data)}, nil)
				boxes[i].SetBytes(name, c.data)
				o.what = fmt.Sprintf("on %d nodes, such as n%d: %s: %s", harmed, i, name, c.how)
			}
		}
		kit = nil
	}
	var owned *recovery.Kit
	if kit != nil {
		k, err := b.openKit(kit)
		if err != nil {
			o.result = failed
			if !known(err) {
				o.err = fmt.Errorf("an error of no class: %w", err)
			}
			return o
		}
		owned = &k
	}
	ctx := t.Context()
	re := &reach{boxes: boxes}
	disk, out, err := b.recover(ctx, re, owned, first)
	if err != nil {
		o.result = failed
		switch {
		case !known(err):
			o.err = fmt.Errorf("an error of no class: %w", err)
		case !beyond:
			o.err = fmt.Errorf("%d nodes are whole: %w", nodeN-harmed, err)
		}
		return o
	}
	g, err := b.open(ctx, disk, re, cache.Config{MemoryBytes: 1 << 20})
	if err != nil {
		o.err = fmt.Errorf("what was recovered does not open: %w", err)
		return o
	}
	got := readAll(ctx, g.Store, b.world)
	o.err = errors.Join(g.close(ctx), got.wrong)
	if got.fine() {
		return o
	}
	o.result = failed
	if !beyond {
		o.err = errors.Join(o.err, got.say())
	}
	if len(got.stale) > 0 && out.LostCount == 0 && len(out.Holes) == 0 {
		o.err = errors.Join(o.err, fmt.Errorf("something is missing, and the recovery did not say so: %+v: %w", out, got.say()))
	}
	return o
}
