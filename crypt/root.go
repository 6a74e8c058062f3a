package crypt

import (
	"crypto/ed25519"
	"encoding/binary"

	"github.com/cairn-storage/cairn"
	"github.com/zeebo/blake3"
)

// Hash is BLAKE3-256, unkeyed: everything that is hashed hangs below a
// signature.
type Hash [32]byte

// Sum hashes b.
func Sum(b []byte) Hash { return blake3.Sum256(b) }

// ShardRoot commits to all blocks of one shard of one pack: the hash of a
// domain string, pack id, index, shard length and the hashes of its blocks.
// A shard of another pack, place or length has another root.
func ShardRoot(id cairn.PackID, index uint8, length uint64, blocks []Hash) Hash {
	h := blake3.New()
	var b [8]byte
	_, _ = h.WriteString("cairn/1 shard") // hash.Hash never returns an error
	_, _ = h.Write(id[:])
	_, _ = h.Write([]byte{index})
	binary.BigEndian.PutUint64(b[:], length)
	_, _ = h.Write(b[:])
	for i := range blocks {
		_, _ = h.Write(blocks[i][:])
	}
	var out Hash
	h.Sum(out[:0])
	return out
}

// PublicKey verifies what a gateway or an owner signed.
type PublicKey [ed25519.PublicKeySize]byte

// Signature is an Ed25519 signature.
type Signature [ed25519.SignatureSize]byte

// Purpose keeps a signature over one kind of bytes from passing as another; it
// is prefixed to what is signed.
type Purpose string

// The purposes.
const (
	SignTrailer    Purpose = "cairn/1 trailer\x00"
	SignKeys       Purpose = "cairn/1 keys\x00"
	SignRoot       Purpose = "cairn/1 root\x00"
	SignDelegation Purpose = "cairn/1 delegation\x00"
)

// SigningKey signs; it prints as a placeholder.
type SigningKey struct{ key ed25519.PrivateKey }

// NewSigningKey makes the key of a 32-byte seed.
func NewSigningKey(seed [32]byte) SigningKey { return SigningKey{ed25519.NewKeyFromSeed(seed[:])} }

// Public is the half that nodes, helpers and operators hold.
func (k SigningKey) Public() (p PublicKey) {
	copy(p[:], k.key.Public().(ed25519.PublicKey))
	return p
}

// Sign signs purpose and b.
func (k SigningKey) Sign(p Purpose, b []byte) (s Signature) {
	copy(s[:], ed25519.Sign(k.key, append([]byte(p), b...)))
	return s
}

// Verify reports whether s is k's signature of purpose and b.
func (k PublicKey) Verify(p Purpose, b []byte, s Signature) bool {
	return ed25519.Verify(k[:], append([]byte(p), b...), s[:])
}
