package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cairn-storage/cairn/gateway/sigv4"
)

// maxGather is how large a body may be whose hash the client signed but did
// not send: it is read whole before it is believed. More would let anyone who
// knows an access key's id, which is no secret, fill the stage with bytes that
// are thrown away only at their end.
const maxGather = 1 << 20

// parsePayload reads a value of x-amz-content-sha256 that is not empty.
func parsePayload(v string) (sigv4.Payload, error) {
	p, err := sigv4.ParsePayload(v)
	switch {
	case err != nil && strings.Contains(v, "ECDSA"):
		return p, notImplemented(v)
	case err != nil:
		return p, fail(codeInvalidArgument, "%v", err)
	}
	return p, nil
}

// provePayload verifies a signature in the header and reads how the body is
// protected.
func (g *Gateway) provePayload(r *request, auth sigv4.Authorization, secret string, at time.Time) (*sigv4.Chain, error) {
	v := r.sent.Get("X-Amz-Content-Sha256")
	if v == "" && r.ContentLength == 0 {
		r.payload = sigv4.Payload{Value: emptySHA256}
		v = emptySHA256
	} else if v != "" {
		var err error
		if r.payload, err = parsePayload(v); err != nil {
			return nil, err
		}
	}
	if v != "" {
		chain, _, err := g.prove(r, auth, secret, at, v)
		return chain, err
	}
	return g.proveUndeclared(r, auth, secret, at)
}

// proveUndeclared is provePayload for a body of which only the signature says
// how it is protected. curl up to 7.86 sends such: what it has in memory it
// signs, but a file (-T) it signs as if it were empty.
func (g *Gateway) proveUndeclared(r *request, auth sigv4.Authorization, secret string, at time.Time) (*sigv4.Chain, error) {
	n := r.ContentLength
	if n < 0 {
		return nil, fail(codeMissingLength, "a body needs a Content-Length")
	}
	chain, as, err := g.prove(r, auth, secret, at, sigv4.Unsigned, emptySHA256)
	switch {
	case err == nil && as == emptySHA256 && !r.peer.private:
		return nil, fail(codeSignatureMismatch, "the signature is that of an empty body (curl -T signs so): use https, or add the header x-amz-content-sha256: %s", sigv4.Unsigned)
	case err == nil: // the body is as safe as the connection is
		r.payload = sigv4.Payload{Value: sigv4.Unsigned}
		return chain, nil
	case !errors.Is(err, sigv4.ErrMismatch):
		return nil, err
	case n > maxGather:
		return nil, fail(codeInvalidRequest, "a body of over %d bytes needs the header x-amz-content-sha256: its hash, or %s", maxGather, sigv4.Unsigned)
	}
	if err := g.reserve(r, n); err != nil {
		return nil, err
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r.wire, body); err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	sum := sha256.Sum256(body)
	r.payload = sigv4.Payload{Value: hex.EncodeToString(sum[:])}
	r.gathered = body
	chain, _, err = g.prove(r, auth, secret, at, r.payload.Value)
	return chain, err
}
