package crypt

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"

	"github.com/cairn-storage/cairn"
	"golang.org/x/crypto/chacha20poly1305"
)

// RootNonce is drawn at random for every root: an epoch seals a few roots a
// day, far from where 24 random bytes could meet again.
type RootNonce [chacha20poly1305.NonceSizeX]byte

// RootKey seals and opens the bodies of a store's roots in one epoch. It is
// safe for concurrent use and prints as a placeholder.
type RootKey struct{ aead cipher.AEAD }

// Root derives the key of store's roots: HKDF-SHA256 of the epoch key with the
// store in the info.
func (k EpochKey) Root(store cairn.StoreID) *RootKey {
	b, err := hkdf.Key(sha256.New, k[:], nil, "cairn/1 root "+string(store[:]), chacha20poly1305.KeySize)
	if err != nil {
		panic("crypt: " + err.Error()) // unreachable: 32 bytes is within HKDF's limit
	}
	defer clear(b)
	aead, err := chacha20poly1305.NewX(b)
	if err != nil {
		panic("crypt: " + err.Error()) // unreachable: the key size is fixed
	}
	return &RootKey{aead}
}

// Seal appends plain, sealed and bound to aad, to dst. A nonce is used once.
func (k *RootKey) Seal(dst []byte, nonce RootNonce, plain, aad []byte) []byte {
	return k.aead.Seal(dst, nonce[:], plain, aad)
}

// Open appends the plaintext of sealed to dst, or returns ErrCorrupt and
// nothing.
func (k *RootKey) Open(dst []byte, nonce RootNonce, sealed, aad []byte) ([]byte, error) {
	out, err := k.aead.Open(dst, nonce[:], sealed, aad)
	if err != nil {
		return nil, cairn.ErrCorrupt
	}
	return out, nil
}
