package recovery

import (
	"cmp"
	"context"
	"slices"

	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// pruneNode removes from the node the roots of our own chain beyond the newest
// keepRoots, and never a root that is not of it. What cannot be removed costs
// only room and is tried again at the next visit.
func (k *Keeper) pruneNode(ctx context.Context, n pack.Node, r backends.Remote, m *nodeMemory) {
	k.mu.Lock()
	shelf := slices.Clone(m.shelf)
	k.mu.Unlock()
	if len(shelf) <= keepRoots {
		return
	}
	slices.SortFunc(shelf, func(a, b string) int { return cmp.Compare(b, a) }) // newest first
	for _, name := range shelf[keepRoots:] {
		if err := r.Delete(ctx, layout.RootsDir+"/"+name); err != nil {
			k.c.Log.Debug("old root stays on node", "node", n.Name, "root", name, "err", err)
			return
		}
		k.mu.Lock()
		m.shelf = slices.DeleteFunc(m.shelf, func(n string) bool { return n == name })
		k.mu.Unlock()
	}
}
