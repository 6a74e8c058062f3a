package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/layout"
)

// Durability is what the packs on nodes can still bear.
type Durability struct {
	Sum
	// Missing counts packs by how many of their shards are not on a node that is
	// well now: element i is those that lack i.
	Missing []Sum `json:"missing"`
	// Unreadable are packs of which fewer than k shards can be reached now, and
	// Lost those of which fewer than k are left even when every node comes back.
	Unreadable Sum `json:"unreadable"`
	Lost       Sum `json:"lost"`
	// MayFail is how many operators may fail now, whichever, and every object
	// stays readable; MayFailWhole is the same with every node well. -1 when some
	// pack cannot be read as it is.
	MayFail      int    `json:"may_fail"`
	MayFailWhole int    `json:"may_fail_whole"`
	Domain       string `json:"domain"` // what may fail: operator; node, where there are fewer than three operators
	// Older are packs coded for fewer failures than new ones are, from when there
	// were fewer nodes.
	Older Sum `json:"older"`
}

// nodeSets are the nodes by what their state means for packs.
type nodeSets struct {
	state  map[cairn.NodeID]string
	domain map[cairn.NodeID]string
	noun   string
}

// setsOf sorts nodes by state.
func setsOf(nodes []NodeState) nodeSets {
	s := nodeSets{state: make(map[cairn.NodeID]string), domain: make(map[cairn.NodeID]string), noun: "operator"}
	operators := make(map[string]bool)
	for _, n := range nodes {
		operators[n.Operator] = true
	}
	if len(operators) < 3 {
		s.noun = "node"
	}
	for _, n := range nodes {
		s.state[n.ID], s.domain[n.ID] = n.State, n.Operator
		if s.noun == "node" {
			s.domain[n.ID] = n.Name
		}
	}
	return s
}

// well reports that what stands there counts in full.
func (s nodeSets) well(id cairn.NodeID) bool { return wellState(s.state[id]) }

func wellState(state string) bool {
	switch state {
	case "new", "ok", "full", "held", "suspect", "paused", "draining":
		return true
	}
	return false
}

// answers reports that it can be read from: any block that verifies counts,
// whoever sent it.
func (s nodeSets) answers(id cairn.NodeID) bool { return s.well(id) || s.state[id] == "quarantined" }

// ours reports that it belongs to the store and was not given up.
func (s nodeSets) ours(id cairn.NodeID) bool { return s.state[id] != "" && s.state[id] != "gone" }

// durability of the packs with the nodes as they are; new packs are coded as
// coding says.
func durability(h *holdings, nodes []NodeState, coding string) Durability {
	s := setsOf(nodes)
	domain := func(id cairn.NodeID) string { return s.domain[id] }
	d := Durability{Sum: h.sum, Missing: h.missing(s.well), Unreadable: h.below(s.answers), Lost: h.below(s.ours),
		MayFail: h.mayFail(s.well, domain), MayFailWhole: h.mayFail(s.ours, domain), Domain: s.noun}
	if c, err := cairn.ParseCoding(coding); err == nil {
		for _, r := range h.rows {
			if r.coding.M < c.M {
				d.Older.add(r.Sum)
			}
		}
	}
	return d
}

// Without is what would be left without some nodes.
type Without struct {
	Nodes      []string `json:"nodes"` // that would be gone
	Left       []string `json:"left"`  // that are well and would stay
	Readable   Sum      `json:"readable"`
	Unreadable Sum      `json:"unreadable"`
	MayFail    int      `json:"may_fail"` // of what is left
	Domain     string   `json:"domain"`
	Writable   bool     `json:"writable"`
	Coding     string   `json:"coding,omitempty"` // of new packs
}

// without tells what would stay readable and writable if the nodes of these
// names or operators were gone. ErrNotExist for a name that is neither.
func without(h *holdings, nodes []NodeState, coding string, names []string) (Without, error) {
	out := Without{Nodes: []string{}, Left: []string{}}
	gone := make(map[cairn.NodeID]bool)
	for _, name := range names {
		found := false
		for _, n := range nodes {
			if n.Name == name || n.Operator == name {
				gone[n.ID], found = true, true
			}
		}
		if !found {
			return out, fmt.Errorf("%q is neither a node nor an operator: there are %s: %w", name, strings.Join(namesOf(nodes), ", "), cairn.ErrNotExist)
		}
	}
	s := setsOf(nodes)
	reads := func(id cairn.NodeID) bool { return s.answers(id) && !gone[id] }
	var take []layout.Candidate
	for _, n := range nodes {
		switch {
		case gone[n.ID]:
			out.Nodes = append(out.Nodes, n.Name)
		case s.well(n.ID):
			out.Left = append(out.Left, n.Name)
			if n.State != "draining" && n.State != "paused" {
				take = append(take, layout.Candidate{Node: n.ID, Operator: n.Operator, Weight: float64(max(n.Free, 1))})
			}
		}
	}
	if c, ok := codingFor(coding, take, len(nodes)); ok {
		out.Writable, out.Coding = true, c.String()
	}
	out.Unreadable, out.Domain = h.below(reads), s.noun
	out.Readable = Sum{h.sum.Packs - out.Unreadable.Packs, h.sum.Bytes - out.Unreadable.Bytes}
	out.MayFail = h.mayFail(reads, func(id cairn.NodeID) string { return s.domain[id] })
	return out, nil
}

// codingFor is the coding of new packs on nodes that take them, of so many in
// all, as the fleet would choose it; false where packs stay on this machine.
func codingFor(want string, take []layout.Candidate, all int) (cairn.Coding, bool) {
	if len(take) == 0 || len(take) == 1 && all > 1 {
		return cairn.Coding{}, false
	}
	if c, err := cairn.ParseCoding(want); err == nil && len(take) >= c.N() {
		return c, true
	}
	return layout.Auto(take), true
}

func namesOf(nodes []NodeState) []string {
	var out []string
	for _, n := range nodes {
		for _, name := range []string{n.Name, n.Operator} {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}
