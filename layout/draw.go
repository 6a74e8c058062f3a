package layout

import (
	"math"
	"math/rand/v2"
)

// draw returns need different indices of weights, index i being among them
// with probability need x weight / sum, or surely where that passes one. All
// weights are above 0 and there are at least need.
//
// Drawing one after the other would favour small weights: the small nodes of a
// fleet would be full while the large ones still had room that they cannot use
// alone. This is systematic sampling: the weights laid end to end on a line in
// random order, and one comb of need teeth put down at a random offset.
func draw(weights []float64, need int, rnd *rand.Rand) []int {
	left := rnd.Perm(len(weights))
	if need >= len(left) {
		return left
	}
	// An infinite weight is a very large one: sums must stay finite.
	weight := func(i int) float64 { return min(weights[i], math.MaxFloat64/float64(len(weights))) }
	sumOf := func(of []int) (sum float64) {
		for _, i := range of {
			sum += weight(i)
		}
		return sum
	}

	// Whoever is as wide as the gap between two teeth is hit in any case.
	// Without it the gap shrinks for the others, so look until nobody is.
	var chosen []int
	gap := sumOf(left) / float64(need)
	for wide := true; wide && need > 0; {
		var rest []int
		for _, i := range left {
			if weight(i) >= gap {
				chosen = append(chosen, i)
				continue
			}
			rest = append(rest, i)
		}
		wide = len(rest) < len(left)
		need -= len(left) - len(rest)
		left, gap = rest, sumOf(rest)/float64(need)
	}

	tooth, end := gap*rnd.Float64(), 0.0
	for k, i := range left {
		end += weight(i)
		// Rounding must not end the line before the last tooth.
		if need > 0 && (end > tooth || len(left)-k == need) {
			chosen = append(chosen, i)
			tooth += gap
			need--
		}
	}
	return chosen
}
