package recovery

import (
	"bytes"
	"context"
	"slices"

	"github.com/cairn-storage/cairn"
)

// Look lists the roots of every node that can be reached, now, and returns
// ErrFork where one of them shows, now or before, that another gateway writes to
// the store. A person who is about to rely on this gateway asks so. It waits for
// the nodes, or for ctx, after which less was seen.
func (k *Keeper) Look(ctx context.Context) error {
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		return errClosed
	}
	k.wg.Add(1)
	for _, m := range k.nodes {
		m.again = true
	}
	k.mu.Unlock()
	defer k.wg.Done()
	k.look(ctx)
	return k.forked()
}

// glance has the next look list the roots of one more node, by turns. A gateway
// that was taken over while it lived learns of it so within a few Glances, for
// one small request each, and not at its next root or Check: what it takes until
// then is not in the store that goes on.
func (k *Keeper) glance() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.present) == 0 || k.fork != nil {
		return
	}
	slices.SortFunc(k.present, func(a, b cairn.NodeID) int { return bytes.Compare(a[:], b[:]) })
	k.glances++
	if m := k.nodes[k.present[k.glances%len(k.present)]]; m != nil {
		m.again = true
	}
}
