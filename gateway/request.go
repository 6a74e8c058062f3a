package gateway

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/gateway/sigv4"
	"github.com/cairn-storage/cairn/store"
)

const emptySHA256 = sigv4.EmptySHA256

// request is one request on its way. It is used by one goroutine.
type request struct {
	*http.Request
	w     *response
	id    string
	began time.Time
	peer  peer
	sent  http.Header // as it came; a presigned request's Header has more

	hosts []string // that the client may have addressed, see hosting
	path  string   // as on the wire, without the query
	query params
	key   cairn.Key // Object is empty for a bucket, Bucket too for the root
	op    operation

	anonymous bool
	access    store.Access // of a request that is not anonymous
	region    string       // that the client signed for
	proof     string       // how it was proven: signed, presigned or basic
	payload   sigv4.Payload
	chain     *sigv4.Chain // continues the signature in a chained body
	gathered  []byte       // a body that was read whole to compute its hash

	wire     *wire // the body as it comes
	reserved int64 // bytes of the budget, given back at the end
}

func (g *Gateway) newRequest(w http.ResponseWriter, hr *http.Request) *request {
	r := &request{Request: hr, id: requestID(), began: time.Now(), op: opUnknown, anonymous: true, sent: hr.Header, peer: g.proxies.peerOf(hr)}
	r.w = newResponse(w, r.id)
	w.Header().Set("X-Amz-Id-2", g.host)
	r.wire = &wire{src: hr.Body, ctl: r.w.ctl, ended: hr.ContentLength == 0}
	return r
}

// requestID is 16 hex digits to find a request by; it is no secret.
func requestID() string {
	const digits = "0123456789ABCDEF"
	var b [16]byte
	v := rand.Uint64()
	for i := range b {
		b[i] = digits[v>>(4*i)&15]
	}
	return string(b[:])
}

// parse reads the target of the request: /bucket/key, or /key where the host
// names the bucket. Everything after the slash is the key, byte for byte once
// percent encoding is undone; nothing is cleaned or joined.
func (r *request) parse(h hosting) error {
	target := r.RequestURI
	if !strings.HasPrefix(target, "/") { // absolute form, as proxies send it
		_, rest, _ := strings.Cut(target, "://")
		if at := strings.IndexAny(rest, "/?"); at >= 0 {
			target = rest[at:]
		} else {
			target = "/"
		}
	}
	path, rawQuery, _ := strings.Cut(target, "?")
	r.path = path
	object := strings.TrimPrefix(path, "/")
	if r.hosts, r.key.Bucket = h.hosts(r.Request, r.peer.trusted); r.key.Bucket == "" {
		r.key.Bucket, object, _ = strings.Cut(object, "/")
	}
	var err error
	if r.key.Bucket, err = sigv4.Unescape(r.key.Bucket, false); err == nil {
		r.key.Object, err = sigv4.Unescape(object, false)
	}
	if err == nil {
		r.query, err = parseQuery(rawQuery)
	}
	if err != nil { // the query may hold a signature: it is not repeated
		return fail(codeInvalidURI, "the address %q or its query cannot be read: %v", path, err)
	}
	return nil
}

// presigned reports whether r's query claims to be signed.
func (r *request) presigned() bool {
	return slices.ContainsFunc(r.query, func(p param) bool { return sigv4.IsPresigned(p.name) })
}

// checkNames refuses names that no bucket or object can have.
func (r *request) checkNames() error {
	switch {
	case r.key.Bucket == "":
		return nil
	case len(r.key.Object) > cairn.MaxKeyLength:
		return fail(codeKeyTooLong, "the key has %d bytes, at most %d are allowed", len(r.key.Object), cairn.MaxKeyLength)
	}
	if err := cairn.CheckBucketName(r.key.Bucket); err != nil {
		return &failure{code: codeInvalidBucketName, message: err.Error(), cause: err}
	}
	if r.key.Object == "" {
		return nil
	}
	return r.key.Check()
}

// params is a query, in the order it came.
type params []param

type param struct{ name, value string }

func parseQuery(raw string) (params, error) {
	var p params
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		k, v, _ := strings.Cut(pair, "=")
		name, err := sigv4.Unescape(k, true)
		if err != nil {
			return nil, err
		}
		value, err := sigv4.Unescape(v, true)
		if err != nil {
			return nil, err
		}
		p = append(p, param{name, value})
	}
	return p, nil
}

// get is the first value of name, "" when there is none.
func (p params) get(name string) string {
	for _, q := range p {
		if q.name == name {
			return q.value
		}
	}
	return ""
}

func (p params) has(name string) bool {
	for _, q := range p {
		if q.name == name {
			return true
		}
	}
	return false
}
