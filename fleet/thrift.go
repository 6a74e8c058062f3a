package fleet

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/pack"
)

type thriftKey struct{}

// Thrifty says that what is placed with the context it returns is background
// work: shards are put only on nodes whose hours and traffic of the month allow it
// now, and where those are too few the rest waits.
func Thrifty(ctx context.Context) context.Context { return context.WithValue(ctx, thriftKey{}, true) }

// may reports whether background work may move n bytes with the node now.
func (n *node) may(now time.Time, bytes int64) bool {
	return n.budget.hours.Wait(now) == 0 && n.affords(now, bytes)
}

// affords reports whether the traffic of this month allows n bytes more.
func (n *node) affords(now time.Time, bytes int64) bool {
	return n.budget.traffic <= 0 || n.traffic(now)+bytes <= n.budget.traffic
}

// Affords reports whether the month's traffic of a node allows n bytes more of
// background work, at whatever hour.
func (f *Fleet) Affords(id cairn.NodeID, n int64) bool {
	nd := f.node(id)
	return nd == nil || nd.affords(time.Now(), n)
}

// SpendPuts is Spend for n shards of size bytes each that are to be placed: it
// waits until so many nodes that take shards may be given one, or as many as take
// any, and for the pace. ErrBudget when the month's traffic allows too few of
// them, ErrUnavailable when none takes shards.
func (f *Fleet) SpendPuts(ctx context.Context, n int, size int64) error {
	for {
		now, changed := time.Now(), f.Changed()
		open, afford, wait := 0, 0, time.Hour
		all := f.candidates(true, now)
		for _, c := range all {
			nd := f.node(c.Node)
			if nd == nil || !nd.affords(now, size) {
				continue
			}
			afford++
			if w := nd.budget.hours.Wait(now); w > 0 {
				wait = min(wait, w)
			} else {
				open++
			}
		}
		want := min(n, len(all))
		switch {
		case want == 0:
			return fmt.Errorf("fleet: no node takes shards: %w", cairn.ErrUnavailable)
		case afford < want:
			return fmt.Errorf("fleet: %d nodes may be given shards by background work, %d are needed: of others %w", afford, want, ErrBudget)
		case open >= want:
			return f.pace.Wait(ctx, int64(want)*size)
		}
		if err := pause(ctx, wait, changed); err != nil {
			return err
		}
	}
}

// shut is avoid with the nodes that background work may give no shard now.
func (p *placing) shut() map[cairn.NodeID]bool {
	if !p.thrifty {
		return p.avoid
	}
	out := maps.Clone(p.avoid)
	now := time.Now()
	for _, n := range p.f.all() {
		if !n.may(now, p.FileSize()) {
			out[n.ID] = true
		}
	}
	return out
}

// Lacks is what a read of n bytes at off of pack p would ask nodes for, by data
// shard: bytes of its blocks from the first on that is not in the cache. It is nil
// where there is none, or no such range.
func (f *Fleet) Lacks(p pack.Params, off uint64, n int) map[uint8]int64 {
	total := uint64(max(p.Coding.K, 0)) * p.Length
	if p.Length == 0 || p.Length > pack.MaxLength || n <= 0 || off > total || uint64(n) > total-off {
		return nil
	}
	var out map[uint8]int64
	for end := off + uint64(n); off < end; {
		index, in := uint8(off/p.Length), off%p.Length
		block := int(in / pack.BlockSize)
		size := pack.BlockLength(p.Length, block)
		if out[index] > 0 || !f.c.Cache.Has(cache.Key{Pack: p.ID, Index: index, Block: uint32(block)}) {
			if out == nil {
				out = make(map[uint8]int64)
			}
			out[index] += int64(size)
		}
		off += uint64(block)*pack.BlockSize + uint64(size) - in
	}
	return out
}
