package fleet

import (
	"context"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/pack"
)

// Verify returns those of at whose shard stands: its tail, read from the node
// now, by its name, verifies and belongs to the pack that p describes. Of those that hold
// one shard, or lie on one node, one is returned, so that there are as many as can be.
func (f *Fleet) Verify(ctx context.Context, p pack.Params, at []cairn.Location) []cairn.Location {
	ctx = backends.Afresh(ctx)
	good := make([]bool, len(at))
	done := make(chan struct{}, len(at)) // room for all
	for i, l := range at {
		go func() {
			if n := f.node(l.Node); n != nil {
				_, err := f.readTail(ctx, n, p, l)
				good[i] = err == nil
			}
			done <- struct{}{}
		}()
	}
	for range at {
		<-done // each ends when its node answers, at its deadline, or with ctx
	}
	var stand []cairn.Location
	for i, l := range at {
		if good[i] {
			stand = append(stand, l)
		}
	}
	return apart(stand)
}

// apart chooses the most of at of which no two hold one shard or lie on one node,
// by augmenting paths (Kuhn): after odd losses the first that fit are not always
// the most.
func apart(at []cairn.Location) (out []cairn.Location) {
	on := make(map[cairn.NodeID]int) // the one of at that is chosen there
	var choose func(index uint8, tried map[cairn.NodeID]bool) bool
	choose = func(index uint8, tried map[cairn.NodeID]bool) bool {
		for i, l := range at {
			if l.Index != index || tried[l.Node] {
				continue
			}
			tried[l.Node] = true
			other, taken := on[l.Node]
			if !taken || choose(at[other].Index, tried) {
				on[l.Node] = i
				return true
			}
		}
		return false
	}
	seen := make(map[uint8]bool)
	for _, l := range at {
		if !seen[l.Index] {
			seen[l.Index] = true
			choose(l.Index, make(map[cairn.NodeID]bool))
		}
	}
	for i, l := range at {
		if chosen, ok := on[l.Node]; ok && chosen == i {
			out = append(out, l)
		}
	}
	return out
}
