package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"hash"
	"time"
)

// Chain checks the signatures inside a body: each covers the one before, the
// first the request's own. It is for one goroutine.
type Chain struct {
	mac      hash.Hash
	at       string
	scope    string
	previous [signatureLength]byte
}

func newChain(secret string, s Scope, at time.Time) *Chain {
	return &Chain{
		mac:   hmac.New(sha256.New, signingKey(secret, s)),
		at:    at.UTC().Format(TimeFormat),
		scope: s.String(),
	}
}

// sign returns the signature of one string to sign. Inside a body it names
// the previous signature; a chunk's also has the hash of its (never used)
// headers.
func (c *Chain) sign(alg string, inBody bool, sum []byte) (out [signatureLength]byte) {
	var room [512]byte
	b := append(append(room[:0], alg...), '\n')
	b = append(append(b, c.at...), '\n')
	b = append(append(b, c.scope...), '\n')
	if inBody {
		b = append(append(b, c.previous[:]...), '\n')
	}
	if alg == payloadAlgorithm {
		b = append(append(b, EmptySHA256...), '\n')
	}
	b = appendHex(b, sum)
	c.mac.Reset()
	c.mac.Write(b)
	var mac [sha256.Size]byte
	hex.Encode(out[:], c.mac.Sum(mac[:0]))
	return out
}

// check returns ErrMismatch unless signature is the next of the chain.
func (c *Chain) check(alg string, sum []byte, signature []byte) error {
	want := c.sign(alg, true, sum)
	if subtle.ConstantTimeCompare(want[:], signature) != 1 {
		return ErrMismatch
	}
	c.previous = want
	return nil
}
