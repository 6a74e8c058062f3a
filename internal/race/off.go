//go:build !race

package race

// On says whether the race detector watches.
const On = false
