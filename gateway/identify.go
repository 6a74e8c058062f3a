package gateway

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/gateway/sigv4"
	"github.com/cairn-storage/cairn/store"
)

// maxSkew is how far the clocks of client and gateway may be apart.
const maxSkew = 15 * time.Minute

// identify finds out who asks and proves it, or leaves r anonymous. For a
// signed body it prepares what proves the bytes as they come.
func (g *Gateway) identify(r *request) error {
	header := r.sent.Get("Authorization")
	scheme, _, _ := strings.Cut(header, " ")
	basic := strings.EqualFold(scheme, "Basic")
	switch {
	case len(r.sent["Authorization"]) > 1:
		return fail(codeInvalidArgument, "there is more than one Authorization header")
	case r.presigned() && header != "" && !basic:
		return fail(codeInvalidArgument, "only one of the query and the Authorization header may carry a signature")
	case r.presigned():
		// Whatever Basic says: clients add a netrc file's name and password to
		// an address that they were merely redirected to.
		return g.identifyPresigned(r)
	case r.query.has("AWSAccessKeyId"), scheme == "AWS":
		return fail(codeInvalidRequest, "signature version 2 is not supported, please use AWS4-HMAC-SHA256 (version 4), also to presign")
	case header == "" && r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data"):
		return notImplemented("POST forms")
	case header == "":
		return nil
	case basic:
		return g.identifyBasic(r)
	case !sigv4.Claims(header):
		return fail(codeInvalidRequest, "the authorization scheme %q is not supported, use AWS4-HMAC-SHA256", scheme)
	}
	return g.identifySigned(r, header)
}

// identifySigned verifies a signature in the Authorization header.
func (g *Gateway) identifySigned(r *request, header string) error {
	auth, err := sigv4.ParseAuthorization(header)
	if err != nil {
		return &failure{code: codeAuthorizationMalformed, message: err.Error(), cause: err}
	}
	at, err := g.signedAt(r, auth)
	if err != nil {
		return err
	}
	access, err := g.secretOf(r, auth.AccessKey)
	if err != nil {
		return err
	}
	chain, err := g.provePayload(r, auth, access.Secret, at)
	if err != nil {
		return err
	}
	r.anonymous, r.access, r.region, r.chain, r.proof = false, access, auth.Scope.Region, chain, "signed"
	return nil
}

// secretOf finds the access key that a signature names.
func (g *Gateway) secretOf(r *request, id string) (store.Access, error) {
	access, err := g.c.Store.Access(r.Context(), id)
	if errors.Is(err, cairn.ErrNotExist) || err == nil && access.Secret == "" {
		return access, fail(codeInvalidAccessKey, "the access key %s does not exist here", id).with("AWSAccessKeyId", id)
	}
	return access, err
}

// signedAt is the time that r was signed for, when it is near enough to now
// and auth's scope fits.
func (g *Gateway) signedAt(r *request, auth sigv4.Authorization) (time.Time, error) {
	if err := g.checkRegion(auth); err != nil {
		return time.Time{}, err
	}
	var at time.Time
	var err error
	if v := r.sent.Get("X-Amz-Date"); v != "" {
		at, err = time.Parse(sigv4.TimeFormat, v)
	} else {
		at, err = http.ParseTime(r.sent.Get("Date"))
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
			at.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339)).
			with("RequestTime", at.UTC().Format(time.RFC3339)).with("ServerTime", now.UTC().Format(time.RFC3339)).
			with("MaxAllowedSkewMilliseconds", maxSkew.Milliseconds())
	}
	return at, nil
}

// checkRegion refuses a signature for another region than the configured one.
func (g *Gateway) checkRegion(auth sigv4.Authorization) error {
	want := g.c.Region
	if want == "" || auth.Scope.Region == want {
		return nil
	}
	f := fail(codeAuthorizationMalformed, "the region %q is wrong; expecting %q", auth.Scope.Region, want)
	f.region = want
	return f
}

// prove verifies auth's signature over r as any of the hosts and with any of
// the payloads that the client may have meant, and says which payload it was.
func (g *Gateway) prove(r *request, auth sigv4.Authorization, secret string, at time.Time, payloads ...string) (*sigv4.Chain, string, error) {
	signed := sigv4.Request{Method: r.Method, Path: r.path, Query: rawQuery(r.RequestURI), Header: r.sent, Length: r.ContentLength}
	for _, signed.Host = range r.hosts {
		for _, payload := range payloads {
			chain, err := auth.Verify(signed, secret, payload, at)
			switch {
			case err == nil:
				return chain, payload, nil
			case errors.Is(err, sigv4.ErrUnsigned):
				return nil, "", &failure{code: codeAccessDenied, message: "there were headers present in the request which were not signed: " + err.Error(), cause: err}
			case !errors.Is(err, sigv4.ErrMismatch):
				return nil, "", err
			}
		}
	}
	return nil, "", &failure{code: codeSignatureMismatch, cause: sigv4.ErrMismatch, message: "the signature does not fit: check the secret of " + auth.AccessKey +
		", and that no proxy changes method, path or headers; the gateway saw Host " + r.Host + " and tried " + strings.Join(r.hosts, ", ")}
}

func rawQuery(uri string) string {
	_, q, _ := strings.Cut(uri, "?")
	return q
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
