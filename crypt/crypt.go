// Package crypt holds the keys of a store and what is done with them.
//
// Reading order: crypt.go (pack keys, sealing and opening), root.go (hashes,
// signed roots of shards, signatures), rootkey.go (sealing the roots of a
// store), identity.go and encoding.go (the files of owners and gateways),
// successor.go (a gateway that takes over from another), delegation.go (who may
// sign for a store), epoch.go (wrapped epoch keys), recipient.go (whom they are
// wrapped for), secret.go (secrets at rest on the gateway), hidden.go (why no
// secret prints).
//
// The package is pure: no files, no clock, no log; chance comes from the caller,
// but for age, which draws its own. It knows neither packs' inner order nor
// nodes.
package crypt

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"

	"github.com/cairn-storage/cairn"
	"golang.org/x/crypto/chacha20"
	"golang.org/x/crypto/chacha20poly1305"
)

// Overhead is what sealing adds: the 16-byte Poly1305 tag. Nonces are derived
// from positions and stored nowhere.
const Overhead = chacha20poly1305.Overhead

// EpochKey is the secret that all packs of one epoch derive from. It prints as
// a placeholder.
type EpochKey [32]byte

// NoncePrefix is drawn at random for every pack by the life that opens it. With
// the random pack id below the key, two writers that are given the same
// sequence by mistake still share neither key nor nonce.
type NoncePrefix [16]byte

// Domain separates what is sealed under one pack key.
type Domain byte

// The domains, the first byte of the position in the nonce.
const (
	DomainFrame    Domain = 1 // position: offset of the sealed frame in the pack
	DomainHead     Domain = 2 // position: offset of the group's head
	DomainRecords  Domain = 3 // position: offset of the group's sealed records
	DomainContents Domain = 4 // position: 0
	DomainPadding  Domain = 5 // position: offset of the padding; keystream only
)

// ContentID is random and names the plaintext of one PUT or part; copies share
// it and compaction keeps it. It binds every frame to what it belongs to.
type ContentID [16]byte

// PackKey seals and opens everything of one pack. It is safe for concurrent
// use.
type PackKey struct {
	aead   cipher.AEAD
	raw    [32]byte
	prefix NoncePrefix
}

// Pack derives the key of pack id: HKDF-SHA256 of the epoch key with the whole
// id in the info.
func (k EpochKey) Pack(id cairn.PackID, prefix NoncePrefix) *PackKey {
	b, err := hkdf.Key(sha256.New, k[:], nil, "cairn/1 pack "+string(id[:]), 32)
	if err != nil {
		panic("crypt: " + err.Error()) // unreachable: 32 bytes is within HKDF's limit
	}
	p := &PackKey{prefix: prefix}
	copy(p.raw[:], b)
	p.aead, err = chacha20poly1305.NewX(b)
	if err != nil {
		panic("crypt: " + err.Error()) // unreachable: the key size is fixed
	}
	return p
}

func (k *PackKey) nonce(d Domain, pos uint64) (n [chacha20poly1305.NonceSizeX]byte) {
	copy(n[:16], k.prefix[:])
	putPosition(n[16:], d, pos)
	return n
}

func putPosition(b []byte, d Domain, pos uint64) {
	if pos >= 1<<56 {
		panic("crypt: position needs more than 56 bits") // unreachable: packs are bounded far below
	}
	for i := 7; i > 0; i-- {
		b[i] = byte(pos)
		pos >>= 8
	}
	b[0] = byte(d)
}

// Seal appends plain, sealed for domain and position and bound to aad, to dst.
// A position is sealed once in a pack's life; the caller's order of steps
// guarantees it.
func (k *PackKey) Seal(dst, plain []byte, d Domain, pos uint64, aad []byte) []byte {
	n := k.nonce(d, pos)
	return k.aead.Seal(dst, n[:], plain, aad)
}

// Open appends the plaintext of sealed to dst, or returns ErrCorrupt and
// nothing.
func (k *PackKey) Open(dst, sealed []byte, d Domain, pos uint64, aad []byte) ([]byte, error) {
	n := k.nonce(d, pos)
	out, err := k.aead.Open(dst, n[:], sealed, aad)
	if err != nil {
		return nil, cairn.ErrCorrupt
	}
	return out, nil
}

// frameAAD is content id, frame number (big-endian) and last flag.
func frameAAD(c ContentID, number uint64, last bool) (b [25]byte) {
	copy(b[:16], c[:])
	for i := range 8 {
		b[16+i] = byte(number >> (56 - 8*i))
	}
	if last {
		b[24] = 1
	}
	return b
}

// SealFrame appends frame number of content c, sealed at offset off of the
// pack, to dst.
func (k *PackKey) SealFrame(dst, plain []byte, off uint64, c ContentID, number uint64, last bool) []byte {
	aad := frameAAD(c, number, last)
	return k.Seal(dst, plain, DomainFrame, off, aad[:])
}

// OpenFrame is the inverse of SealFrame; bytes that are not exactly this frame
// of this content at this place are ErrCorrupt.
func (k *PackKey) OpenFrame(dst, sealed []byte, off uint64, c ContentID, number uint64, last bool) ([]byte, error) {
	aad := frameAAD(c, number, last)
	return k.Open(dst, sealed, DomainFrame, off, aad[:])
}

// Pad fills p with the padding that belongs at offset off of the pack. It looks
// like sealed bytes to whoever lacks the key, so that no node sees where a
// pack's content ends.
func (k *PackKey) Pad(p []byte, off uint64) {
	n := k.nonce(DomainPadding, off)
	c, err := chacha20.NewUnauthenticatedCipher(k.raw[:], n[:])
	if err != nil {
		panic("crypt: " + err.Error()) // unreachable: key and nonce sizes are fixed
	}
	clear(p)
	c.XORKeyStream(p, p)
}
