package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"time"
)

// Verify returns the chain that a signed body continues when a's signature
// over r and payload was made with secret at time at, else ErrUnsigned or
// ErrMismatch. Whether at is near enough to now, and whether it falls on the
// scope's date, is the caller's to judge.
func (a Authorization) Verify(r Request, secret, payload string, at time.Time) (*Chain, error) {
	if err := r.checkSigned(a); err != nil {
		return nil, err
	}
	c := newChain(secret, a.Scope, at)
	var room [1024]byte // a usual canonical request has 400 to 700 bytes
	for _, path := range r.paths() {
		for _, query := range r.queries(a) {
			canonical := r.appendCanonical(room[:0], path, query, a.Headers, payload)
			sum := sha256.Sum256(canonical)
			got := c.sign(algorithm, false, sum[:])
			if subtle.ConstantTimeCompare(got[:], []byte(a.Signature)) == 1 {
				c.previous = got
				return c, nil
			}
		}
	}
	return nil, ErrMismatch
}

// signingKey is the key that secret gives for one scope.
func signingKey(secret string, s Scope) []byte {
	mac := func(key []byte, data string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(data))
		return h.Sum(nil)
	}
	k := mac([]byte("AWS4"+secret), s.Date)
	k = mac(k, s.Region)
	k = mac(k, service)
	return mac(k, terminator)
}

// appendHex appends sum in lower-case hex.
func appendHex(b, sum []byte) []byte { return hex.AppendEncode(b, sum) }
