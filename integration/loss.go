package integration

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// Nodes is a set of nodes, bit i for the i-th.
type Nodes uint

// Losses are all ways to lose some of n nodes, from..to of them at once.
func Losses(n, from, to int) (all []Nodes) {
	for s := range Nodes(1) << n {
		if c := bits.OnesCount(uint(s)); c >= from && c <= to {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b Nodes) int { return bits.OnesCount(uint(a)) - bits.OnesCount(uint(b)) })
	return all
}

// Has reports whether node i is in the set.
func (s Nodes) Has(i int) bool { return s>>i&1 == 1 }

// String is the names of the nodes, n1 for the first.
func (s Nodes) String() string {
	var names []string
	for i := range bits.Len(uint(s)) {
		if s.Has(i) {
			names = append(names, fmt.Sprintf("n%d", i+1))
		}
	}
	return strings.Join(names, " ")
}

// Sighting is what became of an object while some nodes were lost.
type Sighting struct {
	Lost Nodes
	Read bool
}

// Explained returns nil when the sightings of one object are those of one whose
// bytes lie on some of the nodes in data, on at most most of them, and which is
// read exactly while none of those is lost. With more nodes lost than may be,
// no shard is decoded from others, so nothing else decides.
func Explained(seen []Sighting, data Nodes, most int) error {
	for on := range data + 1 {
		if on == 0 || on&^data != 0 || bits.OnesCount(uint(on)) > most {
			continue
		}
		if !slices.ContainsFunc(seen, func(s Sighting) bool { return s.Read != (s.Lost&on == 0) }) {
			return nil
		}
	}
	var text []string
	for _, s := range seen {
		text = append(text, fmt.Sprintf("without %v: read %t", s.Lost, s.Read))
	}
	return fmt.Errorf("bytes on at most %d of %v do not explain: %s", most, data, strings.Join(text, "; "))
}
