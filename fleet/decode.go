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

// sources lists the shards that have block n; own tells that all that are
// wanted are among them.
func (d *decoder) sources(n int) (from []uint8, own bool) {
	for i, blocks := range d.got {
		if blocks[n-d.lo] != nil {
			from = append(from, i)
		}
	}
	slices.Sort(from) // the same shards, the same inverted matrix
	return from, !slices.ContainsFunc(d.want, func(i uint8) bool { return !slices.Contains(from, i) })
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

// block decodes block n of the wanted shards from those listed, at least k, each
// into room, which has an empty slice with space for it for each.
func (d *decoder) block(n int, from []uint8, room [][]byte) error {
	shards := make([][]byte, d.Coding.N())
	for _, i := range from[:d.Coding.K] {
		shards[i] = d.got[i][n-d.lo]
	}
	want := make([]int, len(d.want))
	for j, i := range d.want {
		shards[i], want[j] = room[j], int(i)
	}
	if err := d.code.Reconstruct(shards, want); err != nil {
		return fmt.Errorf("fleet: decode pack %v: %w", d.ID, err)
	}
	for j, i := range d.want {
		room[j] = shards[i]
	}
	return nil
}

// decode makes what blocks of the one wanted shard can be made, into one buffer.
func (d *decoder) decode() ([][]byte, error) {
	index := d.want[0]
	known := d.f.tails.get(d.Params, index)
	out := make([][]byte, d.far-d.lo)
	room := make([]byte, len(out)*pack.BlockSize)
	for n := d.lo; n < d.far; n++ {
		from, own := d.sources(n)
		if own {
			out[n-d.lo] = d.got[index][n-d.lo]
			continue
		}
		if len(from) < d.Coding.K {
			continue
		}
		made := [][]byte{room[:0:pack.BlockSize]}
		room = room[pack.BlockSize:]
		if err := d.block(n, from, made); err != nil {
			return nil, err
		}
		if known != nil {
			if err := known.Check(n, made[0]); err != nil {
				return nil, fmt.Errorf("what good shards decode to is wrong; suspect this machine's memory: %w", err)
			}
		}
		out[n-d.lo] = made[0]
	}
	d.f.m.decoded.Inc()
	return out, nil
}
