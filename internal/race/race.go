// Package race tells a test whether the race detector watches, and how much it
// then does. The detector makes everything five to ten times as slow, and finds
// a race by what happens before what: of many cases that take the same ways
// through the code, some show it as much as all. What such a test leaves out
// under the detector, ./test runs without it: every package that imports this.
//
// Reading order: race.go, then on.go and off.go, which the build chooses from.
package race

// Few tells whether case i of n is run: without the race detector each is, and
// with it at most most of them, evenly spread, the first and the last included.
func Few(i, n, most int) bool { return !On || few(i, n, most) }

// Some is how much of a number that says how long a test goes on is left with
// the race detector: one part in share, but at least one.
func Some(n, share int) int {
	if !On {
		return n
	}
	return max(n/share, min(n, 1))
}

// few is Few under the detector.
func few(i, n, most int) bool {
	switch {
	case n <= most:
		return true
	case most < 2:
		return i == 0 && most > 0
	case i == 0:
		return true
	}
	return i*(most-1)/(n-1) != (i-1)*(most-1)/(n-1)
}
