package backendtest

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
)

// Always gives every call the same fate.
func Always(fate Fate) Choose {
	return func(string, string, int) Fate { return fate }
}

// On gives the calls of the named operations a fate; all others work.
func On(fate Fate, ops ...string) Choose {
	return func(op, _ string, _ int) Fate {
		if slices.Contains(ops, op) {
			return fate
		}
		return Works
	}
}

// First gives the first n calls of each operation and name a fate; later ones
// work.
func First(n int, fate Fate) Choose {
	return func(_, _ string, attempt int) Fate {
		if attempt <= n {
			return fate
		}
		return Works
	}
}

// Rates are probabilities from 0 to 1 of each fate but Works, which has the
// rest.
type Rates map[Fate]float64

// Seeded draws each fate from a hash of (seed, node, op, name, attempt), never
// from a shared stream: the same call meets the same fate however goroutines
// are scheduled.
func Seeded(seed uint64, node string, rates Rates) Choose {
	return func(op, name string, attempt int) Fate {
		h := fnv.New64a()
		var b [8]byte
		number := func(n uint64) {
			binary.LittleEndian.PutUint64(b[:], n)
			h.Write(b[:])
		}
		number(seed)
		for _, s := range []string{node, op, name} {
			number(uint64(len(s)))
			h.Write([]byte(s))
		}
		number(uint64(attempt))
		drawn := float64(mix(h.Sum64())>>11) / (1 << 53)
		for fate := Fails; fate <= Drips; fate++ {
			if drawn -= rates[fate]; drawn < 0 {
				return fate
			}
		}
		return Works
	}
}

// mix spreads the bits: FNV's upper ones hardly depend on the last input.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
