package layout

import (
	"slices"

	"github.com/cairn-storage/cairn"
)

// The rule by which Auto looks at space. A domain below 1/smallShare of the
// median is not counted: a friend's 8 GB stick among terabytes would otherwise
// ask for one shard more and be the end of the store when it is full. The
// coding must then use at least 1/worthShare of what the best one could.
const (
	smallShare = 8
	worthShare = 2
)

// Auto is the coding for a fleet of which nobody chose one. Weights are bytes.
//
// The domains that take shards are counted: operators, or nodes where there
// are fewer than three operators. One domain gives 1+0, two 1+1, three 2+1,
// four and five 2+2, six 3+2, seven 3+3, eight 4+3, nine and more 4+4: from
// five up one domain is spare, so that packs can still be placed and repaired
// while one is away.
//
// Space counts in two steps. Domains with less than 1/8 of the (lower) median
// are left out of the count. Then the count is lowered until the coding for it
// can fill at least half as many raw bytes as the best of all codings with
// parity down to 1+1; never below two domains, because no amount of space is
// worth the loss of all redundancy. No domain at all gives 1+0.
func Auto(nodes []Candidate) cairn.Coding {
	capacities := domains(nodes)
	if len(capacities) < 2 {
		return codingFor(len(capacities))
	}
	slices.Sort(capacities)
	count := 0
	for _, c := range capacities {
		if c >= capacities[(len(capacities)-1)/2]/smallShare {
			count++
		}
	}
	count = max(count, 2)
	raw := func(count int) float64 {
		c := codingFor(count)
		return stripes(c, nodes) * float64(c.N())
	}
	best := 0.0
	for d := 2; d <= count; d++ {
		best = max(best, raw(d))
	}
	for count > 2 && raw(count) < best/worthShare {
		count--
	}
	return codingFor(count)
}

// codingFor is the coding for so many equal domains.
func codingFor(domains int) cairn.Coding {
	table := [...]cairn.Coding{{K: 1}, {K: 1}, {K: 1, M: 1}, {K: 2, M: 1}, {K: 2, M: 2}, {K: 2, M: 2}, {K: 3, M: 2}, {K: 3, M: 3}, {K: 4, M: 3}, {K: 4, M: 4}}
	return table[min(domains, len(table)-1)]
}

// domains is the space of each domain that takes shards.
func domains(nodes []Candidate) []float64 {
	f := fleetOf(nodes)
	var capacities []float64
	for _, sizes := range f.sizes {
		if len(f.names) < 3 {
			capacities = append(capacities, sizes...)
			continue
		}
		sum := 0.0
		for _, s := range sizes {
			sum += s
		}
		capacities = append(capacities, sum)
	}
	return capacities
}
