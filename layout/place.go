package layout

import (
	"fmt"
	"math/rand/v2"

	"github.com/cairn-storage/cairn"
)

// Candidate is one node as placement sees it.
type Candidate struct {
	Node     cairn.NodeID
	Operator string  // who owns it: the failure domain; nodes of no name share one operator
	Weight   float64 // believable free bytes x reputation; a node of 0 or less takes no shards
}

// takes reports whether the node takes shards; NaN does not.
func (c Candidate) takes() bool { return c.Weight > 0 }

// Place chooses the nodes of a new pack: element i gets shard i. See Replace
// for the rules.
func Place(c cairn.Coding, nodes []Candidate, rnd *rand.Rand) ([]cairn.NodeID, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	return Replace(c, make([]cairn.NodeID, c.N()), nodes, nil, rnd)
}

// Replace fills the zero elements of at, one element for each shard of a pack
// coded c, and keeps the others. It returns a new slice. nodes is the whole
// fleet, so that the operators of the kept shards are known; nodes in avoid
// are not chosen.
//
//   - No two shards of a pack come to one node.
//   - The shards are spread over the operators as evenly as can be: one each
//     while there are enough operators, and so never more than m (at least
//     one) on an operator where that can be met.
//   - With fewer than three operators, where not even that can be met, the
//     nodes are the domains and operators do not count.
//   - Among equals chance decides by weight: over many packs nodes fill in
//     proportion to their weights, and run out of space together.
//
// It does not stop at doubling up on an operator; PerOperator tells whether it
// did. ErrUnavailable says how many nodes and operators are missing.
func Replace(c cairn.Coding, at []cairn.NodeID, nodes []Candidate, avoid map[cairn.NodeID]bool, rnd *rand.Rand) ([]cairn.NodeID, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if len(at) != c.N() {
		return nil, fmt.Errorf("placement of coding %v names %d nodes: %w", c, len(at), cairn.ErrInvalid)
	}
	placed := append([]cairn.NodeID(nil), at...)
	var open []int // elements of placed that need a node
	used := make(map[cairn.NodeID]bool, len(at))
	for i, n := range placed {
		if n == (cairn.NodeID{}) {
			open = append(open, i)
			continue
		}
		used[n] = true
	}
	var free []Candidate
	for _, n := range nodes {
		if n.takes() && !used[n.Node] && !avoid[n.Node] && n.Node != (cairn.NodeID{}) {
			free = append(free, n)
			used[n.Node] = true // a node listed twice is one node
		}
	}
	held := PerOperator(at, nodes)
	if len(free) < len(open) {
		return nil, missing(c, len(open), free, held)
	}
	domains := byOperator(free, held, len(open), max(c.M, 1))
	chosen := choose(domains, len(open), rnd)
	// Which shard of the pack a node gets is chance too: data shards are read
	// far more often than parity.
	rnd.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	for i, n := range chosen {
		placed[open[i]] = n
	}
	return placed, nil
}

// PerOperator counts the shards of one pack at each operator; zero elements of
// at count for none. A node that nodes does not list is counted under its id.
func PerOperator(at []cairn.NodeID, nodes []Candidate) map[string]int {
	operator := make(map[cairn.NodeID]string, len(nodes))
	for _, n := range nodes {
		operator[n.Node] = n.Operator
	}
	held := make(map[string]int, len(at))
	for _, n := range at {
		if n == (cairn.NodeID{}) {
			continue
		}
		name, known := operator[n]
		if !known {
			name = n.String()
		}
		held[name]++
	}
	return held
}

// missing is the error for need shards and too few free nodes.
func missing(c cairn.Coding, need int, free []Candidate, held map[string]int) error {
	operators := make(map[string]bool)
	for name := range held {
		operators[name] = true
	}
	for _, n := range free {
		operators[n.Operator] = true
	}
	return fmt.Errorf("coding %v: %d more shards need a node and %d nodes can take one: %d nodes are missing, and %d operators for one shard each: %w",
		c, need, len(free), need-len(free), max(c.N()-len(operators), 0), cairn.ErrUnavailable)
}

// A domain is what should hold few shards of one pack: the free nodes of one
// operator, or one node where operators do not count.
type domain struct {
	held int // shards of the pack it has already
	free []Candidate
}

// byOperator groups free by operator, in order of first appearance (so that
// one generator state gives one answer); or makes each node a domain, when
// fewer than three operators are there and need shards cannot be placed with
// at most limit on each.
func byOperator(free []Candidate, held map[string]int, need, limit int) []*domain {
	var domains []*domain
	at := make(map[string]*domain)
	for _, n := range free {
		d := at[n.Operator]
		if d == nil {
			d = &domain{held: held[n.Operator]}
			at[n.Operator] = d
			domains = append(domains, d)
		}
		d.free = append(d.free, n)
	}
	operators, room := len(domains), 0
	for name := range held {
		if at[name] == nil {
			operators++
		}
	}
	for _, d := range domains {
		room += min(max(limit-d.held, 0), len(d.free))
	}
	if operators >= 3 || room >= need {
		return domains
	}
	domains = nil
	for _, n := range free {
		domains = append(domains, &domain{free: []Candidate{n}})
	}
	return domains
}

// choose takes need nodes out of domains: level by level, always from those
// that hold the fewest shards, so the spread is as even as the free nodes
// allow. Only in the last, partial level is there a choice of domains. There
// are at least need free nodes.
func choose(domains []*domain, need int, rnd *rand.Rand) []cairn.NodeID {
	var chosen []cairn.NodeID
	for need > 0 {
		level := lowest(domains)
		if len(level) > need {
			weights := make([]float64, len(level))
			for i, d := range level {
				for _, n := range d.free {
					weights[i] += n.Weight
				}
			}
			var some []*domain
			for _, i := range draw(weights, need, rnd) {
				some = append(some, level[i])
			}
			level = some
		}
		for _, d := range level {
			weights := make([]float64, len(d.free))
			for i, n := range d.free {
				weights[i] = n.Weight
			}
			i := draw(weights, 1, rnd)[0]
			chosen = append(chosen, d.free[i].Node)
			d.free = append(d.free[:i:i], d.free[i+1:]...)
			d.held++
			need--
		}
	}
	return chosen
}

// lowest are the domains with a free node that hold the fewest shards.
func lowest(domains []*domain) []*domain {
	var level []*domain
	for _, d := range domains {
		switch {
		case len(d.free) == 0 || len(level) > 0 && d.held > level[0].held:
		case len(level) > 0 && d.held == level[0].held:
			level = append(level, d)
		default:
			level = []*domain{d}
		}
	}
	return level
}
