package fleet

import "github.com/cairn-storage/cairn"

// Gone reports that nobody waits for a node any more: a person gave it up or
// took it out of the store, or it was away for Config.GoneAfter. Before the first
// SetNodes no node is gone.
func (f *Fleet) Gone(id cairn.NodeID) bool {
	if n := f.node(id); n != nil {
		return n.gone() || n.absent()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.told
}
