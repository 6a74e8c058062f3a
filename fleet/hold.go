package fleet

import (
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// whyHeld is what status says of a node that is held.
const whyHeld = "waits for a root that names it"

// Admit lets nodes take shards from now on, where Config.Hold kept them from
// it. They are given as Each showed them: one that is no more in the fleet, or
// whose address or credential changed since, is passed over, and one that
// changes later is held again, because a recovery would look for it where the
// last root says.
func (f *Fleet) Admit(nodes ...pack.Node) {
	news := false
	for _, as := range nodes {
		n := f.node(as.ID)
		if n == nil || !sameRemote(n.Node, as) {
			continue
		}
		n.link.mu.Lock()
		was := n.link.held
		n.link.held = false
		n.link.mu.Unlock()
		if was {
			news = true
			f.c.Log.Info("node takes shards", "node", n.Name)
		}
	}
	if news {
		f.change()
	}
}

// held reports whether the node was not admitted yet.
func (n *node) held() bool {
	n.link.mu.Lock()
	defer n.link.mu.Unlock()
	return n.link.held
}

// heldSince is when the node began to be held; false where it is not.
func (n *node) heldSince() (time.Time, bool) {
	n.link.mu.Lock()
	defer n.link.mu.Unlock()
	return n.link.kept, n.link.held
}

// Suspect holds against a node what why says, such as that it shows older
// files than it confirmed: Status shows it, and new shards go there only while
// the others are too few. What it holds is read and believed as ever, block by
// block. An empty why ends it, and so does Reset.
func (f *Fleet) Suspect(id cairn.NodeID, why string) {
	n := f.node(id)
	if n == nil {
		return
	}
	n.link.mu.Lock()
	before := n.link.suspected
	n.link.suspected = why
	n.link.mu.Unlock()
	switch {
	case before == why:
		return
	case why == "":
		f.c.Log.Info("node is suspect no more", "node", n.Name)
	default:
		f.c.Log.Warn("node is suspect", "node", n.Name, "why", why)
	}
	f.change()
}

// suspects tells which nodes something is held against.
func (f *Fleet) suspects() map[cairn.NodeID]bool {
	var out map[cairn.NodeID]bool
	for _, n := range f.all() {
		n.link.mu.Lock()
		if n.link.suspected != "" || n.link.doubted {
			if out == nil {
				out = make(map[cairn.NodeID]bool)
			}
			out[n.ID] = true
		}
		n.link.mu.Unlock()
	}
	return out
}
