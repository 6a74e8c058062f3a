package scrub

import (
	"math"
	"time"

	"github.com/cairn-storage/cairn"
)

// Durability is how long packs of one coding last.
type Durability struct {
	Mean  time.Duration // until a pack is lost; the longest Duration when it is longer
	Years float64       // the same, in years
	Nines float64       // -log10 of the chance to be lost within a year
}

// yearHours is a year of 365.25 days.
const yearHours = 365.25 * 24

// Nines solves the absorbing Markov chain of a pack coded c: state i has i
// shards missing, each shard that is there is lost at the rate 1/mttf, and from
// state at (1 for eager repair) on, repair makes all missing ones again at the
// rate 1/repair. It counts operators as independent, which people who share a
// house, a provider or an operating system are not. NaN where c is invalid, at
// is below 1, or a time is not positive.
//
// The chain is solved exactly, without subtractions: let u(i) be the mean time
// spent to get from state i to i+1 for the first time, and d = (n-i)/mttf. Below
// at, u(i) = 1/d. From there on, repair throws it back to 0, from where it has
// to come up again: u(i) = (1 + (u(0)+...+u(i-1))/repair) / d. All terms are
// positive, so a float64 keeps 15 digits however rare the loss.
func Nines(c cairn.Coding, mttf, repair time.Duration, at int) Durability {
	if c.Check() != nil || at < 1 || mttf <= 0 || repair <= 0 {
		return Durability{Years: math.NaN(), Nines: math.NaN()}
	}
	up, back := float64(mttf)/float64(time.Hour), float64(repair)/float64(time.Hour)
	sum := 0.0 // hours from state 0 to the present one
	for i := range c.M + 1 {
		left := float64(c.N()-i) / up
		if i < at {
			sum += 1 / left
			continue
		}
		sum += (1 + sum/back) / left
	}
	years := sum / yearHours
	d := Durability{Years: years, Nines: -math.Log10(-math.Expm1(-1 / years)), Mean: math.MaxInt64}
	if sum < float64(math.MaxInt64)/float64(time.Hour) {
		d.Mean = time.Duration(sum * float64(time.Hour))
	}
	return d
}
