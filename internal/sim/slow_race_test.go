//go:build race

package sim

const slowness = 10
