package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/gateway/sigv4"
	"github.com/cairn-storage/cairn/store"
)

const (
	maxSkew = 15 * time.Minute
	// maxGather is how large a body may be whose hash the client signed but
	// did not send (curl 7.88): it is read whole before it is believed.
	maxGather = 1 << 20
)

// identify finds out who asks and proves it, or leaves r anonymous. For a
// signed body it prepares what proves the bytes as they come.
func (g *Gateway) identify(r *request) error {
	if r.query.has("X-Amz-Algorithm") || r.query.has("X-Amz-Signature") || r.query.has("AWSAccessKeyId") {
		return notImplemented("presigned addresses")
	}
	header := r.Header.Get("Authorization")
	scheme, _, _ := strings.Cut(header, " ")
	switch {
	case header == "" && r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data"):
		return notImplemented("POST forms")
	case header == "":
		return nil
	case strings.EqualFold(scheme, "Basic"):
		return notImplemented("HTTP Basic authentication")
	case !sigv4.Claims(header):
		return fail(codeInvalidRequest, "the authorization scheme %q is not supported, use AWS4-HMAC-SHA256", scheme)
	case len(r.Header["Authorization"]) > 1:
		return fail(codeInvalidArgument, "there is more than one Authorization header")
	}
	auth, err := sigv4.ParseAuthorization(header)
	if err != nil {
		return &failure{code: codeAuthorizationMalformed, message: err.Error(), cause: err}
	}
	at, err := g.signedAt(r, auth)
	if err != nil {
		return err
	}
	access, err := g.c.Store.Access(r.Context(), auth.AccessKey)
	if errors.Is(err, cairn.ErrNotExist) || err == nil && access.Secret == "" {
		return fail(codeInvalidAccessKey, "the access key %s does not exist here", auth.AccessKey)
	}
	if err != nil {
		return err
	}
	if err := g.readPayload(r); err != nil {
		return err
	}
	signed := sigv4.Request{Method: r.Method, Path: r.path, Query: rawQuery(r.RequestURI), Host: r.Host, Header: r.Header, Length: r.ContentLength}
	chain, err := auth.Verify(signed, access.Secret, r.payload.Value, at)
	switch {
	case errors.Is(err, sigv4.ErrUnsigned):
		return &failure{code: codeAccessDenied, message: "there were headers present in the request which were not signed: " + err.Error(), cause: err}
	case err != nil:
		return &failure{code: codeSignatureMismatch, cause: err, message: "the signature does not fit: check the secret of " + auth.AccessKey +
			", and that no proxy changes method, path or headers; the gateway saw Host " + r.Host}
	}
	r.anonymous, r.access, r.region, r.chain = false, access, auth.Scope.Region, chain
	return nil
}

// signedAt is the time that r was signed for, when it is near enough to now
// and auth's scope fits.
func (g *Gateway) signedAt(r *request, auth sigv4.Authorization) (time.Time, error) {
	if want := g.c.Region; want != "" && auth.Scope.Region != want {
		f := fail(codeAuthorizationMalformed, "the region %q is wrong; expecting %q", auth.Scope.Region, want)
		f.region = want
		return time.Time{}, f
	}
	var at time.Time
	var err error
	if v := r.Header.Get("X-Amz-Date"); v != "" {
		at, err = time.Parse(sigv4.TimeFormat, v)
	} else {
		at, err = http.ParseTime(r.Header.Get("Date"))
	}
	if err != nil {
		return at, fail(codeAccessDenied, "a signed request needs a valid x-amz-date (yyyymmddThhmmssZ) or Date header")
	}
	if at.UTC().Format("20060102") != auth.Scope.Date {
		return at, fail(codeAuthorizationMalformed, "the date of the credential, %s, is not that of the request, %s", auth.Scope.Date, at.UTC().Format("20060102"))
	}
	now := time.Now()
	if d := now.Sub(at); d > maxSkew || d < -maxSkew {
		return at, fail(codeSkewed, "the request is from %s, the server's time is %s: set the clock, at most 15 minutes apart are allowed",
			at.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return at, nil
}

// readPayload reads how the body is protected. Where only the signature says
// so, a small body is gathered to compute the hash that was signed.
func (g *Gateway) readPayload(r *request) error {
	if v := r.Header.Get("X-Amz-Content-Sha256"); v != "" {
		p, err := sigv4.ParsePayload(v)
		switch {
		case err != nil && strings.Contains(v, "ECDSA"):
			return notImplemented(v)
		case err != nil:
			return fail(codeInvalidArgument, "%v", err)
		}
		r.payload = p
		return nil
	}
	switch n := r.ContentLength; {
	case n == 0:
		r.payload.Value = emptySHA256
	case n < 0:
		return fail(codeMissingLength, "a body needs a Content-Length")
	case n > maxGather:
		return fail(codeInvalidRequest, "a body of over %d bytes needs the header x-amz-content-sha256", maxGather)
	default:
		if err := g.reserve(r, n); err != nil {
			return err
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(r.wire, body); err != nil {
			return fmt.Errorf("read the body: %w", err)
		}
		sum := sha256.Sum256(body)
		r.payload.Value = hex.EncodeToString(sum[:])
		r.gathered = body
	}
	return nil
}

// permit refuses what the caller's key, or the public, may not do.
func (g *Gateway) permit(r *request) error {
	if r.anonymous {
		if r.op.public {
			b, err := g.c.Store.Bucket(r.Context(), r.key.Bucket)
			switch {
			case err == nil && b.Public:
				return nil
			case err != nil && !errors.Is(err, cairn.ErrNotExist) && !errors.Is(err, cairn.ErrInvalid):
				return err
			}
		}
		return fail(codeAccessDenied, "access denied; sign the request with an access key")
	}
	if r.op.level == store.None {
		return nil
	}
	if have := r.access.Allows(r.key.Bucket); have < r.op.level {
		return fail(codeAccessDenied, "the access key %s has %s in bucket %s; %s needs %s", r.access.ID, have, r.key.Bucket, r.op.name, r.op.level)
	}
	return nil
}

func rawQuery(uri string) string {
	_, q, _ := strings.Cut(uri, "?")
	return q
}
