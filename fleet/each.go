package fleet

import (
	"context"
	"sync"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/pack"
)

// opEach is what the errors of Each name as their operation.
const opEach = "reach"

// Each calls do with the connection of every node that is not given up, all at
// once, those that are held or suspect included, and returns when every call
// has. The outcome of each is in the map, nil for those that went well; do is
// not called for a node that cannot be connected, shows no marker or did not
// answer a moment ago. What do reads is opened for it. Each call to the remote has the node's own deadlines,
// and what do returns counts for the node's health as any other answer does.
func (f *Fleet) Each(ctx context.Context, do func(ctx context.Context, n pack.Node, r backends.Remote) error) map[cairn.NodeID]error {
	var mu sync.Mutex
	out := make(map[cairn.NodeID]error)
	var wg sync.WaitGroup
	for _, n := range f.all() {
		if n.gone() {
			continue
		}
		wg.Go(func() {
			err := n.do(ctx, opEach, "", func(ctx context.Context, r backends.Remote) error { return do(backends.Afresh(ctx), n.Node, r) })
			mu.Lock()
			defer mu.Unlock()
			out[n.ID] = err
		})
	}
	wg.Wait()
	return out
}
