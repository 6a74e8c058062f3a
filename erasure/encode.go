package erasure

import (
	"fmt"

	"github.com/cairn-storage/cairn"
)

// Encode fills the last m of the n shards from the first k. All n have one
// length, at least 1 byte. ErrInvalid, with nothing written, when they do not.
func (c *Code) Encode(shards [][]byte) error {
	if len(shards) != c.c.N() {
		return fmt.Errorf("erasure: %d shards for coding %v: %w", len(shards), c.c, cairn.ErrInvalid)
	}
	length := len(shards[0])
	for i, s := range shards {
		if len(s) != length || length == 0 {
			return fmt.Errorf("erasure: shard %d has %d bytes and shard 0 has %d: %w", i, len(s), length, cairn.ErrInvalid)
		}
	}
	if c.c.M == 0 {
		return nil
	}
	view := make([][]byte, len(shards))
	for off := 0; off < length; off += sliceSize {
		part(view, shards, off, min(sliceSize, length-off))
		if err := c.enc.Encode(view); err != nil {
			return fmt.Errorf("erasure: encode %v: %w", c.c, err)
		}
	}
	return nil
}
