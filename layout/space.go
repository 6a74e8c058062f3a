package layout

import "github.com/cairn-storage/cairn"

// Usable is how many bytes of packs fit on nodes under coding c, with weights
// as bytes, as long as the shards can be spread as well as on the empty fleet:
// one per node, and one per operator (or, with fewer operators than shards,
// as few as an even spread gives; see Replace). What fits after that only by
// doubling up on operators that still have room is not counted. It is 0 when
// the coding cannot be placed at all or is invalid.
func Usable(c cairn.Coding, nodes []Candidate) (bytes float64) {
	if c.Check() != nil {
		return 0
	}
	return stripes(c, nodes) * float64(c.K)
}

// stripes is the largest T for which T bytes of every one of the n shards have
// a place. A node holds one shard of a pack and so at most T bytes, an
// operator p shards and so at most pT: T fits while all of them together have
// room for nT, each filled no higher than its bound (the fullest cup of water
// that is level with the others).
func stripes(c cairn.Coding, nodes []Candidate) float64 {
	f := fleetOf(nodes)
	if f.nodes < c.N() {
		return 0
	}
	perOperator := f.mostOn(c)
	fits := func(t float64) bool {
		var room float64
		for _, sizes := range f.sizes {
			var here float64
			for _, s := range sizes {
				here += min(s, t)
			}
			room += min(here, float64(perOperator)*t)
		}
		return room >= t*float64(c.N())*(1-1e-12) // the sum of n equal parts may round below n times one
	}
	// room - nT is concave in T and 0 at 0: it fits up to the answer and never
	// above it, so halving finds it to the last bit of a float64.
	low, high := 0.0, f.total/float64(c.N())
	if fits(high) {
		return high
	}
	for range 200 {
		mid := low + (high-low)/2
		if mid == low || mid == high {
			break
		}
		if fits(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}

// Fatal names the operators whose loss alone can lose packs that are placed
// now under coding c: those that may hold more than m shards of one pack. It
// is in the order of nodes; nil when there is none, or when nothing can be
// placed. For packs that stand already, ask PerOperator.
func Fatal(c cairn.Coding, nodes []Candidate) []string {
	f := fleetOf(nodes)
	if c.Check() != nil || f.nodes < c.N() {
		return nil
	}
	var names []string
	for i, name := range f.names {
		if f.mostAt(c, i) > c.M {
			names = append(names, name)
		}
	}
	return names
}

// fleet is the candidates that take shards, by operator.
type fleet struct {
	names []string
	sizes [][]float64 // of the nodes of each operator
	nodes int
	total float64
}

func fleetOf(nodes []Candidate) fleet {
	var f fleet
	at := make(map[string]int)
	seen := make(map[cairn.NodeID]bool)
	for _, n := range nodes {
		if !n.takes() || seen[n.Node] {
			continue
		}
		seen[n.Node] = true
		i, known := at[n.Operator]
		if !known {
			i = len(f.names)
			at[n.Operator] = i
			f.names = append(f.names, n.Operator)
			f.sizes = append(f.sizes, nil)
		}
		f.sizes[i] = append(f.sizes[i], n.Weight)
		f.nodes++
		f.total += n.Weight
	}
	return f
}

// spreads reports whether operators are the domains, as byOperator decides it
// for a pack of which nothing is placed.
func (f fleet) spreads(c cairn.Coding) bool {
	room := 0
	for _, sizes := range f.sizes {
		room += min(len(sizes), max(c.M, 1))
	}
	return len(f.names) >= 3 || room >= c.N()
}

// mostOn is the most shards of a pack that any operator gets.
func (f fleet) mostOn(c cairn.Coding) int {
	most := 0
	for i := range f.names {
		most = max(most, f.mostAt(c, i))
	}
	return most
}

// mostAt is the most shards of a pack that operator i can get: chance decides
// for it in the last level.
func (f fleet) mostAt(c cairn.Coding, i int) int {
	if !f.spreads(c) {
		return min(len(f.sizes[i]), c.N())
	}
	for level, need := 1, c.N(); ; level++ {
		here := 0 // operators that have a node for one more
		for _, sizes := range f.sizes {
			if len(sizes) >= level {
				here++
			}
		}
		if len(f.sizes[i]) < level {
			return level - 1
		}
		if here >= need {
			return level
		}
		need -= here
	}
}
