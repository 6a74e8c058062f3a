//go:build !race

package sim

// slowness is how much longer a run takes than without the race detector.
const slowness = 1
