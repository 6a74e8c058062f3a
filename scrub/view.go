package scrub

import (
	"maps"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/pack"
)

// standing is what a node's state means for the shards on it.
type standing int

const (
	here        standing = iota // it answers
	unseen                      // it does not, and never was listed since this store of ours began
	away                        // it does not, and that is not acted upon yet
	settled                     // it has not for a while: counts where few shards are left
	suspect                     // the same for long enough to be shown
	expired                     // so long that its shards are made again
	quarantined                 // it sent wrong bytes
	condemned                   // for long enough that its shards are made again
	gone                        // given up
)

// nodeView is one node at one moment.
type nodeView struct {
	fleet.NodeStatus
	is      standing
	leaving bool // it is to be emptied
	returns bool // gone by the time it was away, not by a person
}

// answers reports whether calls to the node make sense.
func (n nodeView) answers() bool { return n.is == here || n.is == quarantined || n.is == condemned }

// takes reports whether the node may be given shards.
func (n nodeView) takes() bool {
	return n.is == here && !n.leaving && (n.State == "ok" || n.State == "new" || n.State == "suspect")
}

// view is the nodes at one moment, with what graces have passed.
type view struct {
	now   moment
	nodes map[cairn.NodeID]nodeView
	order []cairn.NodeID
	alarm string
	// all says that every node not given up was listed since this store of ours
	// began: a shard that is in no row is then missing, before that unknown (B22).
	all       bool
	operators int // that are not given up
	sound     int // domains with a node that takes shards
}

// free reports whether a node that holds none of a pack takes shards.
func (v *view) free(holds func(cairn.NodeID) bool) bool {
	for id, n := range v.nodes {
		if n.takes() && !holds(id) {
			return true
		}
	}
	return false
}

// seenMost bounds the node-years that are counted: what a Duration holds.
const seenMost = 200 * 365 * day

// view looks at the nodes' states, and begins and ends their graces.
func (s *Scrub) view() *view {
	nodes, err := s.c.Store.Nodes()
	if err != nil {
		s.c.Log.Debug("nodes are not known from the index", "err", err)
	}
	return s.viewOf(nodes)
}

// viewOf is view with the nodes as they are recorded.
func (s *Scrub) viewOf(nodes []pack.Node) *view {
	status, alarm := s.c.Nodes.Status()
	recorded := make(map[cairn.NodeID]string)
	for _, n := range nodes {
		recorded[n.ID] = n.State
	}
	now := s.now()
	v := &view{now: now, nodes: make(map[cairn.NodeID]nodeView, len(status)), alarm: alarm, all: len(status) > 0}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range status {
		m := s.memory(st.ID)
		n := nodeView{NodeStatus: st, leaving: st.State == "draining" || recorded[st.ID] == "draining"}
		byPerson := recorded[st.ID] == "gone"
		if byPerson || st.State == "gone" {
			n.is, n.returns = gone, !byPerson
			if !m.Gone {
				m.Gone = true
				s.kept.Lost++
			}
		} else {
			if m.Gone {
				m.Gone = false
				s.kept.Lost-- // it was only away
			}
			n.is = s.standing(m, st.State, now)
			v.all = v.all && m.Listed != 0
		}
		v.nodes[st.ID] = n
		v.order = append(v.order, st.ID)
	}
	operators := make(map[string]bool)
	for _, n := range v.nodes {
		if n.is != gone {
			operators[n.Operator] = true
		}
	}
	v.operators = len(operators)
	domains := make(map[string]bool)
	for _, n := range v.nodes {
		if n.takes() {
			domains[v.domain(n)] = true
		}
	}
	v.sound = len(domains)
	s.kept.Seen = min(s.kept.Seen+now.since(s.kept.Until)*time.Duration(len(status)), seenMost)
	s.kept.Until = now
	return v
}

// standing applies the graces to a node that is not given up; mu is held. Only
// an answer ends an absence: a node that was not asked yet in this life goes on
// being away.
func (s *Scrub) standing(m *nodeMemory, state string, now moment) standing {
	switch state {
	case "down", "offline":
		if m.Away == 0 {
			m.Away = now
		}
	case "new":
	default:
		if m.Away != 0 && now.since(m.Away) >= s.c.Suspect {
			m.Due = true // what it holds is looked at before anything is concluded
		}
		m.Away = 0
	}
	if state != "quarantined" {
		if m.Away == 0 {
			m.Ill = 0
		}
	} else if m.Ill == 0 {
		m.Ill = now
	}
	if m.Away != 0 {
		d := now.since(m.Away)
		switch {
		case m.Listed == 0:
			// After a recovery nobody saw what it holds: its absence alone says
			// nothing, however long and however few shards are left elsewhere (B22).
			return unseen
		case d >= s.c.After:
			return expired
		case d >= s.c.Suspect:
			return suspect
		case d >= s.c.Settle:
			return settled
		}
		return away
	}
	if m.Ill != 0 {
		if now.since(m.Ill) >= s.c.Suspect {
			return condemned
		}
		return quarantined
	}
	return here
}

// of is the view of one node; one that is not in the fleet is given up.
func (v *view) of(id cairn.NodeID) nodeView {
	if n, ok := v.nodes[id]; ok {
		return n
	}
	return nodeView{NodeStatus: fleet.NodeStatus{ID: id, Name: id.String()[:8], State: "gone"}, is: gone}
}

// without is the view as if nodes had failed too.
func (v *view) without(ids []cairn.NodeID) *view {
	if len(ids) == 0 {
		return v
	}
	w := *v
	w.nodes = maps.Clone(v.nodes)
	for _, id := range ids {
		n := v.of(id)
		if n.is != gone {
			n.is = away
		}
		w.nodes[id] = n
	}
	return &w
}

// withoutFor is the view as if a person gave a node up.
func (v *view) withoutFor(id cairn.NodeID) *view {
	w := *v
	w.nodes = maps.Clone(v.nodes)
	n := v.of(id)
	n.is, n.returns = gone, false
	w.nodes[id] = n
	return &w
}

// noun is what domain tells apart.
func (v *view) noun() string {
	if v.operators < 3 {
		return "node"
	}
	return "operator"
}

// domain is what a node fails together with: its operator, or while there are
// fewer than three of those, nothing but itself.
func (v *view) domain(n nodeView) string {
	if v.operators < 3 {
		return n.ID.String()
	}
	return n.Operator
}
