package fleet

import (
	"context"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/pack"
)

// Verify returns those of at whose shard stands: its tail, read from the node
// now, by its name, verifies and belongs to the pack that p describes. Of two that hold one
// shard, or lie on one node, only the first is returned.
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
	var out []cairn.Location
	for i, l := range at {
		if good[i] && !slices.ContainsFunc(out, func(o cairn.Location) bool { return o.Index == l.Index || o.Node == l.Node }) {
			out = append(out, l)
		}
	}
	return out
}
