package pack

import (
	"math/bits"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
)

// Sizes in bytes.
const (
	FrameSize  = 64 << 10                   // plaintext of every frame but an object's last
	SealedSize = FrameSize + crypt.Overhead // the same, sealed
	BlockSize  = 64 << 10                   // unit of verification of a shard
	MinPadded  = 4 << 10                    // the least that contents and shards are padded to
)

// Frames is the number of frames of n bytes of plaintext: none for none.
func Frames(n int64) int64 { return (n + FrameSize - 1) / FrameSize }

// SealedLength is the sealed size of n bytes of plaintext cut into frames.
func SealedLength(n int64) int64 { return n + Frames(n)*crypt.Overhead }

// Padded is the Padmé class of n (Nikitin et al., "Reducing Metadata Leakage
// from Encrypted Files and Communication with PURBs", 2019, algorithm 1): the
// least size of at least n whose low bits are zero such that log log n bits of
// a length are told, at most 12 % more; and at least MinPadded.
func Padded(n uint64) uint64 {
	if n <= MinPadded {
		return MinPadded
	}
	e := bits.Len64(n) - 1
	s := bits.Len64(uint64(e))
	mask := uint64(1)<<(e-s) - 1
	return (n + mask) &^ mask
}

// ShardLength is L for a pack of n bytes: the padded size of a k-th of it.
func ShardLength(n uint64, c cairn.Coding) uint64 {
	k := uint64(c.K)
	return Padded((n + k - 1) / k)
}

// Blocks is the number of blocks of a shard of length bytes.
func Blocks(length uint64) int { return int((length + BlockSize - 1) / BlockSize) }

// BlockLength is the size of block i of a shard of length bytes.
func BlockLength(length uint64, i int) int {
	return int(min(BlockSize, length-uint64(i)*BlockSize))
}

// FileSize is the size of a shard's file.
func (p Params) FileSize() int64 { return int64(p.Length) + int64(p.Contents) + p.TailSize() }

// TailSize is the size of the block hashes and the trailer, the end of the
// file, which a reader needs before it believes a block.
func (p Params) TailSize() int64 {
	return int64(Blocks(p.Length))*32 + int64(TrailerSize(p.Coding.N()))
}

// TailOffset is where the tail begins in the file.
func (p Params) TailOffset() int64 { return int64(p.Length) + int64(p.Contents) }
