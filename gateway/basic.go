package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/gateway/sigv4"
)

// challenge is what tells a client that a name and password would do.
const challenge = `Basic realm="cairn"`

// basicAllowed reports whether r may carry a secret as it is.
func (g *Gateway) basicAllowed(r *request) bool { return r.peer.private || g.c.InsecureBasic }

// identifyBasic takes an access key and its secret as name and password, which
// is all that Nix and curl with a netrc file can send.
func (g *Gateway) identifyBasic(r *request) error {
	if !g.basicAllowed(r) {
		return fail(codeAccessDenied, "HTTP Basic shows the secret to everyone on the way: use https; behind a proxy on https, let it set X-Forwarded-Proto and name it in s3.trust_proxy")
	}
	id, secret, ok := r.BasicAuth()
	if !ok {
		return fail(codeInvalidArgument, "the Authorization header is not the base64 of an access key, a colon and its secret")
	}
	access, err := g.c.Store.Access(r.Context(), id)
	if err != nil && !errors.Is(err, cairn.ErrNotExist) && !errors.Is(err, cairn.ErrInvalid) {
		return err
	}
	// Hashes are of one length, so that how long the comparison takes says
	// nothing; and an unknown key is answered as a wrong secret is.
	want, got := sha256.Sum256([]byte(access.Secret)), sha256.Sum256([]byte(secret))
	if same := subtle.ConstantTimeCompare(want[:], got[:]) == 1; !same || err != nil || access.Secret == "" {
		return fail(codeAccessDenied, "the access key or its secret is wrong")
	}
	if v := r.Header.Get("X-Amz-Content-Sha256"); v != "" {
		if r.payload, err = parsePayload(v); err != nil {
			return err
		}
		if r.payload.Chained {
			return fail(codeInvalidRequest, "x-amz-content-sha256: %s needs a signed request; with HTTP Basic use %s or %s", v, sigv4.Unsigned, sigv4.UnsignedTrailer)
		}
	}
	r.anonymous, r.access, r.proof = false, access, "basic"
	return nil
}
