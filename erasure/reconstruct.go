package erasure

import (
	"fmt"

	"github.com/cairn-storage/cairn"
)

// Reconstruct fills the shards that want names, data or parity, from any k
// others. shards has n elements, all of the same range; an element of length 0
// is missing, the others have one length. A missing shard that is not wanted
// stays missing; a wanted one that is there stays as it is. A wanted shard
// with enough capacity is filled in place, else it gets a new slice.
//
// ErrUnavailable when fewer than k are there, ErrInvalid when lengths differ
// or want names no shard; in both cases nothing has changed.
func (c *Code) Reconstruct(shards [][]byte, want []int) error {
	length, err := c.check(shards, want)
	if err != nil {
		return err
	}
	required := make([]bool, len(shards))
	missing := false
	for _, i := range want {
		if len(shards[i]) == 0 {
			required[i], missing = true, true
		}
	}
	if !missing {
		return nil
	}
	filled := make([][]byte, len(shards))
	for i, need := range required {
		switch {
		case need && cap(shards[i]) >= length:
			filled[i] = shards[i][:length]
		case need:
			filled[i] = make([]byte, length)
		}
	}
	view := make([][]byte, len(shards))
	for off := 0; off < length; off += sliceSize {
		n := min(sliceSize, length-off)
		part(view, shards, off, n)
		for i, f := range filled {
			if f != nil {
				view[i] = f[off : off : off+n] // missing, with room to be filled in place
			}
		}
		if err := c.enc.ReconstructSome(view, required); err != nil {
			return fmt.Errorf("erasure: reconstruct %v: %w", c.c, err)
		}
	}
	for i, f := range filled {
		if f != nil {
			shards[i] = f
		}
	}
	return nil
}

// check returns the one length of the shards that are there.
func (c *Code) check(shards [][]byte, want []int) (length int, err error) {
	if len(shards) != c.c.N() {
		return 0, fmt.Errorf("erasure: %d shards for coding %v: %w", len(shards), c.c, cairn.ErrInvalid)
	}
	for _, i := range want {
		if i < 0 || i >= len(shards) {
			return 0, fmt.Errorf("erasure: coding %v has no shard %d: %w", c.c, i, cairn.ErrInvalid)
		}
	}
	there := 0
	for i, s := range shards {
		if len(s) == 0 {
			continue
		}
		there++
		if length == 0 {
			length = len(s)
		}
		if len(s) != length {
			return 0, fmt.Errorf("erasure: shard %d has %d bytes and another %d: %w", i, len(s), length, cairn.ErrInvalid)
		}
	}
	if there < c.c.K {
		return 0, fmt.Errorf("erasure: %d shards of coding %v are there: %w", there, c.c, cairn.ErrUnavailable)
	}
	return length, nil
}
