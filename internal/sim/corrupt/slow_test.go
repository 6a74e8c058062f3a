//go:build !race

package corrupt

const slowness = 1
