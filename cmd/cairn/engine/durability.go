package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/scrub"
)

// Durability is what the packs on nodes can still bear.
type Durability struct {
	scrub.Sum
	// Missing counts packs by how many of their shards are not on a node that is
	// well now: element i is those that lack i.
	Missing []scrub.Sum `json:"missing"`
	// Unreadable are packs of which fewer than k shards can be reached now, and
	// Lost those of which fewer than k are left even when every node comes back.
	Unreadable scrub.Sum `json:"unreadable"`
	Lost       scrub.Sum `json:"lost"`
	// MayFail is how many operators may fail now, whichever, and every object
	// stays readable; MayFailWhole is the same with every node well. -1 when some
	// pack cannot be read as it is.
	MayFail      int    `json:"may_fail"`
	MayFailWhole int    `json:"may_fail_whole"`
	Domain       string `json:"domain"` // what may fail: operator; node, where there are fewer than three operators
	// Older are packs coded for fewer failures than new ones are, from when there
	// were fewer nodes.
	Older scrub.Sum `json:"older"`
}

// durability is how the packs stand; new ones are coded as coding says.
func durability(b scrub.Bearing, coding string) Durability {
	d := Durability{Sum: b.Sum, Missing: b.Missing, Unreadable: b.Unreadable, Lost: b.Lost, MayFail: b.MayFail, MayFailWhole: b.MayFailBack, Domain: b.Domain}
	if c, err := cairn.ParseCoding(coding); err == nil {
		for of, sum := range b.Coded {
			if of.M < c.M {
				d.Older.Packs += sum.Packs
				d.Older.Bytes += sum.Bytes
			}
		}
	}
	return d
}

// wellState reports that what stands on a node in this state counts in full.
func wellState(state string) bool {
	switch state {
	case "new", "ok", "full", "held", "suspect", "paused", "draining":
		return true
	}
	return false
}

// Without is what would be left without some nodes.
type Without struct {
	Nodes      []string  `json:"nodes"` // that would be gone
	Left       []string  `json:"left"`  // that are well and would stay
	Readable   scrub.Sum `json:"readable"`
	Unreadable scrub.Sum `json:"unreadable"`
	MayFail    int       `json:"may_fail"` // of what is left
	Domain     string    `json:"domain"`
	Writable   bool      `json:"writable"`
	Coding     string    `json:"coding,omitempty"` // of new packs
}

// without tells what would stay readable and writable if the nodes of these
// names or operators were gone, as stand has it. ErrNotExist for a name that is
// neither.
func without(nodes []NodeState, coding string, names []string, stand func(...cairn.NodeID) scrub.Bearing) (Without, error) {
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
	var take []layout.Candidate
	for _, n := range nodes {
		switch {
		case gone[n.ID]:
			out.Nodes = append(out.Nodes, n.Name)
		case wellState(n.State):
			out.Left = append(out.Left, n.Name)
			if n.State != "draining" && n.State != "paused" {
				take = append(take, layout.Candidate{Node: n.ID, Operator: n.Operator, Weight: float64(max(n.Free, 1))})
			}
		}
	}
	if c, ok := codingFor(coding, take, len(nodes)); ok {
		out.Writable, out.Coding = true, c.String()
	}
	b := stand(slices.Collect(maps.Keys(gone))...)
	out.Unreadable, out.Domain, out.MayFail = b.Unreadable, b.Domain, b.MayFail
	out.Readable = scrub.Sum{Packs: b.Packs - b.Unreadable.Packs, Bytes: b.Bytes - b.Unreadable.Bytes}
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
