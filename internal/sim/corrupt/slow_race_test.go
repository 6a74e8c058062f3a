//go:build race

package corrupt

// slowness divides the number of cases: signatures take ten times as long
// under the race detector, and more cases show it nothing new.
const slowness = 5
