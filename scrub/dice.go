package scrub

import (
	"math/rand/v2"

	"github.com/cairn-storage/cairn/pack"
)

// dice is chance that nobody can foretell, for challenges. Its generators are
// those of the runtime, which are safe for concurrent use.
type dice struct{}

func (dice) ExpFloat64() float64     { return rand.ExpFloat64() }
func (dice) IntN(n int) int          { return rand.IntN(n) }
func (dice) Uint64N(n uint64) uint64 { return rand.Uint64N(n) }
func (dice) Float64() float64        { return rand.Float64() }

// anyBlock draws one block of a shard of length bytes.
func (s *Scrub) anyBlock(length uint64) (off, n uint64) {
	i := s.dice.IntN(pack.Blocks(length))
	off = uint64(i) * pack.BlockSize
	return off, uint64(pack.BlockLength(length, i))
}
