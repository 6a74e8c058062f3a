package gateway

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cairn-storage/cairn/gateway/sigv4"
)

// hoist makes headers of the x-amz- parameters of a presigned address: S3 takes
// them in either place, and an address that asks for, say, encryption must not
// be carried out as if it did not. Checksums stay behind, as with S3: the SDKs
// that put one there computed it before there was a body.
func (r *request) hoist() {
	merged := r.sent.Clone()
	for _, p := range r.query {
		lower := strings.ToLower(p.name)
		if !strings.HasPrefix(lower, "x-amz-") || stays(lower) {
			continue
		}
		name := http.CanonicalHeaderKey(lower)
		if !strings.HasPrefix(name, "X-Amz-") {
			continue // it is as it was: no name that a header can have
		}
		if len(merged[name]) == 0 {
			merged[name] = []string{p.value}
		}
	}
	r.Request = r.WithContext(r.Context()) // a copy: the server's own keeps what came
	r.Header = merged
}

// stays reports whether a parameter, in lower case, means nothing as a header.
func stays(name string) bool {
	switch name {
	case "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders", "x-amz-signature", "x-amz-content-sha256":
		return true
	case "x-amz-checksum-mode", "x-amz-checksum-algorithm", "x-amz-checksum-type":
		return false
	}
	return strings.HasPrefix(name, checksumPrefix) || strings.HasPrefix(name, "x-amz-sdk-")
}

// identifyPresigned verifies a signature in the query.
func (g *Gateway) identifyPresigned(r *request) error {
	signed, err := sigv4.ParsePresigned(rawQuery(r.RequestURI))
	if err != nil {
		return &failure{code: codeQueryParameters, message: err.Error(), cause: err}
	}
	if err := g.checkRegion(signed.Authorization); err != nil {
		return err
	}
	now := time.Now().UTC()
	switch expires := signed.At.Add(signed.Expires); {
	case now.After(expires):
		return fail(codeAccessDenied, "Request has expired").with("X-Amz-Expires", int64(signed.Expires/time.Second)).
			with("Expires", expires.Format(time.RFC3339)).with("ServerTime", now.Format(time.RFC3339))
	case signed.At.Sub(now) > maxSkew:
		return fail(codeAccessDenied, "Request is not valid yet").with("X-Amz-Date", signed.At.Format(time.RFC3339)).
			with("ServerTime", now.Format(time.RFC3339))
	}
	access, err := g.secretOf(r, signed.AccessKey)
	if err != nil {
		return err
	}
	payloads, err := r.presignedPayload()
	if err != nil {
		return err
	}
	if _, _, err := g.prove(r, signed.Authorization, access.Secret, signed.At, payloads...); err != nil {
		return err
	}
	r.anonymous, r.access, r.region, r.proof = false, access, signed.Scope.Region, "presigned"
	return nil
}

// presignedPayload reads how the body is protected, and what the signature may
// stand over for it: nothing, most often. A hash or mode that comes in the query
// is signed with it; one in a header alone can only narrow what was allowed.
func (r *request) presignedPayload() (signed []string, err error) {
	r.payload = sigv4.Payload{Value: sigv4.Unsigned}
	inQuery, inHeader := r.query.get("X-Amz-Content-Sha256"), r.sent.Get("X-Amz-Content-Sha256")
	for _, v := range []string{inHeader, inQuery} {
		if v == "" || v == sigv4.Unsigned {
			continue
		}
		p, err := parsePayload(v)
		switch {
		case err != nil:
			return nil, err
		case p.Chained:
			return nil, fail(codeInvalidRequest, "the body of a presigned request cannot be signed: x-amz-content-sha256 may be %s, %s or the hash of the body", sigv4.Unsigned, sigv4.UnsignedTrailer)
		case r.payload.Value != sigv4.Unsigned && r.payload.Value != p.Value:
			return nil, fail(codeInvalidArgument, "x-amz-content-sha256 is one thing in the query and another in the header")
		}
		r.payload = p
	}
	for _, v := range []string{inQuery, sigv4.Unsigned, inHeader} {
		if v != "" && !slices.Contains(signed, v) {
			signed = append(signed, v)
		}
	}
	return signed, nil
}
