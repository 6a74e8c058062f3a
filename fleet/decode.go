package fleet

import (
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn/pack"
)

// has reports whether all blocks of shard i that are needed are there.
func (d *decoder) has(i uint8) bool {
	got := d.got[i]
	return got != nil && !slices.ContainsFunc(got[:d.hi-d.lo], func(b []byte) bool { return b == nil })
}

// sources lists the shards that have block n; own tells that the wanted one has.
func (d *decoder) sources(n int) (from []uint8, own bool) {
	for i, blocks := range d.got {
		switch {
		case blocks[n-d.lo] == nil:
		case i == d.index:
			own = true
		default:
			from = append(from, i)
		}
	}
	return from, own
}

// enough reports whether every block that is needed can be decoded.
func (d *decoder) enough() bool {
	for n := d.lo; n < d.hi; n++ {
		if from, own := d.sources(n); !own && len(from) < d.Coding.K {
			return false
		}
	}
	return true
}

// decode makes what blocks can be made, into one buffer.
func (d *decoder) decode() ([][]byte, error) {
	known := d.f.tails.get(d.Params, d.index)
	out := make([][]byte, d.far-d.lo)
	room := make([]byte, len(out)*pack.BlockSize)
	for n := d.lo; n < d.far; n++ {
		from, own := d.sources(n)
		if own {
			out[n-d.lo] = d.got[d.index][n-d.lo]
			continue
		}
		if len(from) < d.Coding.K {
			continue
		}
		shards := make([][]byte, d.Coding.N())
		for _, i := range from[:d.Coding.K] {
			shards[i] = d.got[i][n-d.lo]
		}
		shards[d.index] = room[:0:pack.BlockSize]
		room = room[pack.BlockSize:]
		if err := d.code.Reconstruct(shards, []int{int(d.index)}); err != nil {
			return nil, fmt.Errorf("fleet: decode pack %v: %w", d.ID, err)
		}
		if known != nil {
			if err := known.Check(n, shards[d.index]); err != nil {
				return nil, fmt.Errorf("what good shards decode to is wrong; suspect this machine's memory: %w", err)
			}
		}
		out[n-d.lo] = shards[d.index]
	}
	d.f.m.decoded.Inc()
	return out, nil
}
