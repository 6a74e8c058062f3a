package layout

import (
	"math"
	"time"

	"github.com/cairn-storage/cairn"
)

// Nines is how safe one pack is for a year: -log10 of the probability that it
// is lost, so 4 means one pack in 10,000. mttf is the mean time until a node
// is gone for good, repair the mean time until its shards stand elsewhere
// (notice, grace and transfer). It counts nodes as independent; people who
// share a house, a provider or an operating system are not, so it serves to
// compare codings and promises nothing. It is +Inf when repair takes no time
// and NaN when mttf is not positive, repair is negative or c is invalid.
func Nines(c cairn.Coding, mttf, repair time.Duration) float64 {
	if c.Check() != nil || mttf <= 0 || repair < 0 {
		return math.NaN()
	}
	const year = 365 * 24 * float64(time.Hour)
	// A pack is lost when m shards are away and one of the k others goes too.
	away := float64(repair) / (float64(mttf) + float64(repair))
	ways := 1.0 // n over m
	for i := 1; i <= c.M; i++ {
		ways = ways * float64(c.K+i) / float64(i)
	}
	critical := ways * math.Pow(away, float64(c.M)) * math.Pow(1-away, float64(c.K))
	lossesPerYear := critical * float64(c.K) * year / float64(mttf)
	return -math.Log10(-math.Expm1(-lossesPerYear))
}
