package fleet

import (
	"context"
	"slices"
	"time"
)

// readyWait is how long Ready waits for nodes that answer and are held: a root
// is read and written within seconds, or something is in its way.
const readyWait = 15 * time.Second

// Ready returns once every node that answers may take shards, as those of a
// gateway that has just started may in a moment, or after 15 seconds, or when
// ctx ends.
func (f *Fleet) Ready(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	for {
		changed := f.Changed()
		if !slices.ContainsFunc(f.all(), func(n *node) bool { return n.status().State == "held" }) {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
