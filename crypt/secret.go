package crypt

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/cairn-storage/cairn"
	"golang.org/x/crypto/chacha20poly1305"
)

const boxVersion = 1

// Box seals small secrets at rest on the gateway: S3 secrets and credentials of
// nodes. It is safe for concurrent use.
type Box struct{ aead cipher.AEAD }

// derive is HKDF-SHA256 of the text of id's age secret, with the store in the
// info.
func (id Identity) derive(info string) (key [32]byte) {
	b, err := hkdf.Key(sha256.New, []byte(id.age.String()), nil, info+string(id.store[:]), len(key))
	if err != nil {
		panic("crypt: " + err.Error()) // unreachable: 32 bytes is within HKDF's limit
	}
	copy(key[:], b)
	return key
}

// Secrets is the box of id; only the same identity opens it again.
func (id Identity) Secrets() *Box {
	key := id.derive("cairn/1 at rest ")
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic("crypt: " + err.Error()) // unreachable: the key size is fixed
	}
	return &Box{aead}
}

// CacheKey authenticates what the cache keeps on disk. It is a secret.
func (id Identity) CacheKey() [32]byte { return id.derive("cairn/1 cache ") }

// Seal seals plain for purpose, such as "access AKIA...": version byte, 24
// random bytes, ciphertext, tag. Without chance nothing may be sealed: it panics
// when random fails, as package crypto/rand does.
func (b *Box) Seal(random io.Reader, purpose string, plain []byte) []byte {
	out := make([]byte, 1+chacha20poly1305.NonceSizeX, 1+chacha20poly1305.NonceSizeX+len(plain)+chacha20poly1305.Overhead)
	out[0] = boxVersion
	if _, err := io.ReadFull(random, out[1:]); err != nil {
		panic("crypt: random: " + err.Error())
	}
	return b.aead.Seal(out, out[1:], plain, []byte(purpose))
}

// Open is the inverse of Seal. What another identity sealed, or for another
// purpose, or what was changed, is ErrCorrupt.
func (b *Box) Open(purpose string, sealed []byte) ([]byte, error) {
	bad := func(why string) ([]byte, error) {
		return nil, fmt.Errorf("crypt: secret for %q: %s: %w", purpose, why, cairn.ErrCorrupt)
	}
	const head = 1 + chacha20poly1305.NonceSizeX
	switch {
	case len(sealed) < head+chacha20poly1305.Overhead:
		return bad("too short")
	case sealed[0] != boxVersion:
		return bad("unknown version")
	}
	plain, err := b.aead.Open(nil, sealed[1:head], sealed[head:], []byte(purpose))
	if err != nil {
		return bad("it was not sealed by this identity for this purpose")
	}
	return plain, nil
}
