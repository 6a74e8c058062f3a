// Package erasure is k+m Reed-Solomon over ranges of shards: byte j of every
// parity shard depends on byte j of the k data shards and on nothing else, so
// the same range of any k shards gives that range of all others.
//
// Reading order: erasure.go (the code that is part of the format, and New),
// encode.go, reconstruct.go.
//
// The package is pure: it does no I/O, starts no goroutines and has no log. It
// refuses to know whether the bytes it is given are right: a wrong shard in
// gives wrong shards out, so callers verify first and verify what they get.
//
// # The code
//
// It is part of the format and never changes for a given k and m. Bytes are
// elements of GF(2^8) with the polynomial x^8+x^4+x^3+x^2+1 (0x11d) and the
// generator 2; addition is XOR. Shards are the product of an n x k matrix with
// the column of the k data bytes. To make that matrix, take the Vandermonde
// matrix V of n rows and k columns, V[r][c] = r^c in the field, where r is the
// element whose byte is the row number and 0^0 = 1; its top k rows are
// invertible; the matrix is V times the inverse of those rows. So its top is
// the identity (data shards are the data), any k of its rows are invertible,
// and a parity row depends on k and its number but not on m: 4+3 is 4+4
// without the last shard. With k = 1 every shard is a copy.
//
// That is what klauspost/reedsolomon builds by default, and what
// testdata/vectors/erasure pins.
package erasure

import (
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/klauspost/reedsolomon"
)

// sliceSize is how many bytes of each shard are worked on at a time: the n
// slices of the usual codings stay within the cache of a core while parity is
// computed from all k of them.
const sliceSize = 128 << 10

// maxCachedShards bounds the codes that keep inverted matrices, at most one
// for each set of k shards: 924 for 6+6, but more than 10^8 for 16+16, whose
// matrices are inverted anew each time.
const maxCachedShards = 12

// Code encodes and reconstructs with one coding. It is safe for concurrent
// use; making one takes some microseconds to a millisecond, so keep it.
type Code struct {
	c   cairn.Coding
	enc reedsolomon.Encoder
}

// New returns the code for c; ErrInvalid when c is no coding.
func New(c cairn.Coding) (*Code, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	enc, err := reedsolomon.New(c.K, c.M,
		reedsolomon.WithMaxGoroutines(1), // parallelism comes from many requests
		reedsolomon.WithInversionCache(c.N() <= maxCachedShards))
	if err != nil {
		return nil, fmt.Errorf("erasure: coding %v: %v: %w", c, err, cairn.ErrInvalid)
	}
	return &Code{c: c, enc: enc}, nil
}

// Coding is the coding that New was given.
func (c *Code) Coding() cairn.Coding { return c.c }

// part sets view to bytes off to off+n of each shard that is there.
func part(view, shards [][]byte, off, n int) {
	for i, s := range shards {
		view[i] = nil
		if len(s) > 0 {
			view[i] = s[off : off+n : off+n]
		}
	}
}
