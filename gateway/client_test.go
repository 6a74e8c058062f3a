package gateway

import (
	"bytes"
	"encoding/xml"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// Payload modes of a call; other values are sent as they are.
const (
	modeSigned          = "signed" // the body's SHA-256
	modeAbsent          = "absent" // the hash is signed but not sent
	modeUnsigned        = "UNSIGNED-PAYLOAD"
	modeChained         = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	modeChainedTrailer  = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	modeUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// rig is a gateway over a memStore behind a real listener.
type rig struct {
	t     testing.TB
	g     *Gateway
	store *memStore
	srv   *httptest.Server
	log   *lockedBuffer
	reg   *prometheus.Registry
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newRig has the buckets private and public, and keys that may do what their
// names say.
func newRig(t testing.TB, edit ...func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, store: newMemStore(), log: &lockedBuffer{}, reg: prometheus.NewRegistry()}
	r.store.buckets["private"] = store.Bucket{Name: "private", Created: time.Unix(1e9, 0)}
	r.store.buckets["public"] = store.Bucket{Name: "public", Created: time.Unix(1e9, 0), Public: true}
	for name, grants := range map[string][]store.Grant{
		"admin":   {{Bucket: "*", Level: store.Admin}},
		"writer":  {{Bucket: "private", Level: store.Write}, {Bucket: "public", Level: store.Write}},
		"reader":  {{Bucket: "private", Level: store.Read}},
		"nothing": nil,
	} {
		r.store.access[name] = store.Access{ID: name, Secret: "secret of " + name, Grants: grants}
	}
	c := Config{Store: r.store, Log: slog.New(slog.NewTextHandler(r.log, nil)), Registry: r.reg, AccessLog: logAll}
	for _, e := range edit {
		e(&c)
	}
	var err error
	if r.g, err = New(c); err != nil {
		t.Fatal(err)
	}
	r.srv = httptest.NewServer(r.g)
	r.srv.Client().Transport.(*http.Transport).DisableCompression = true // else it undoes Content-Encoding
	r.srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(r.srv.Close)
	return r
}

// put stores an object without the gateway's help.
func (r *rig) put(bucket, object, content string) cairn.Object {
	r.t.Helper()
	o, err := r.store.Put(r.t.Context(), store.Put{
		Key: cairn.Key{Bucket: bucket, Object: object}, Body: strings.NewReader(content), Size: int64(len(content)),
		Digest: func() (store.Digest, error) { return store.Digest{ETag: md5Hex(content)}, nil },
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return o
}

// call is one request; zero values sign an ordinary one as writer.
type call struct {
	method, path string // path with its query, escaped
	header       []string
	body         string
	mode         string
	chunk        int
	trailer      []string
	as           string // key; "-" for anonymous
	region       string
	skew         time.Duration
	before       func(*http.Request)                 // before it is signed
	after        func(r *http.Request, wire *[]byte) // once it is
}

// answered is an answer with its body.
type answered struct {
	*http.Response
	body string
}

// code is the S3 error code of the answer.
func (a answered) code() string {
	var e struct{ Code string }
	if xml.Unmarshal([]byte(a.body), &e) != nil {
		return ""
	}
	return e.Code
}

func (r *rig) request(c call) *http.Request {
	r.t.Helper()
	u, err := url.Parse(r.srv.URL + c.path)
	if err != nil {
		r.t.Fatal(err)
	}
	req := &http.Request{Method: c.method, URL: u, Host: u.Host, Header: http.Header{}}
	for i := 0; i < len(c.header); i += 2 {
		req.Header.Add(c.header[i], c.header[i+1])
	}
	wire := []byte(c.body)
	streaming := strings.HasPrefix(c.mode, "STREAMING-")
	if streaming {
		req.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(len(c.body)))
		if req.Header.Get("Content-Encoding") == "" {
			req.Header.Set("Content-Encoding", "aws-chunked")
		}
	}
	if c.before != nil {
		c.before(req)
	}
	if c.as != "-" {
		if c.as == "" {
			c.as = "writer"
		}
		s := signer{c.as, "secret of " + c.as, "us-east-1", time.Now().Add(c.skew)}
		if c.region != "" {
			s.region = c.region
		}
		req.Header.Set("X-Amz-Date", s.stamp())
		payload := c.mode
		switch c.mode {
		case "", modeSigned:
			payload = hexSum(wire)
			req.Header.Set("X-Amz-Content-Sha256", payload)
		case modeAbsent:
			payload = hexSum(wire)
		default:
			req.Header.Set("X-Amz-Content-Sha256", payload)
		}
		seed := s.sign(req, payload)
		if streaming {
			if c.mode == modeUnsignedTrailer {
				seed = ""
			}
			wire = s.chunks(wire, max(c.chunk, 8), seed, c.trailer...)
		}
	}
	if c.after != nil {
		c.after(req, &wire)
	}
	req.ContentLength = int64(len(wire))
	req.Body = http.NoBody
	if len(wire) > 0 {
		req.Body = io.NopCloser(bytes.NewReader(wire))
	}
	return req.WithContext(r.t.Context())
}

func (r *rig) do(c call) answered {
	r.t.Helper()
	resp, err := r.srv.Client().Do(r.request(c))
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answered{resp, string(body)}
}

// expect does c and compares status and, for errors, the S3 code.
func (r *rig) expect(c call, status int, code string) answered {
	r.t.Helper()
	a := r.do(c)
	if a.StatusCode != status || a.code() != code {
		r.t.Errorf("%s %s: %d %s, want %d %s\n%s", c.method, c.path, a.StatusCode, a.code(), status, code, a.body)
	}
	if a.Header.Get("X-Amz-Request-Id") == "" {
		r.t.Errorf("%s %s: no request id", c.method, c.path)
	}
	return a
}

// stored is what the store holds under private/object.
func (r *rig) stored(object string) (memObject, bool) {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	o, ok := r.store.objects[cairn.Key{Bucket: "private", Object: object}]
	return o, ok
}

// open is how many sources are held.
func (r *rig) open() int {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	return r.store.opened
}

// idle fails the test when something of the requests is still held.
func (r *rig) idle() {
	r.t.Helper()
	r.srv.Close()
	if n := r.open(); n != 0 {
		r.t.Errorf("%d sources were not closed", n)
	}
	if !r.g.budget.TryAcquire(r.g.c.MemoryBudget) {
		r.t.Error("some of the memory budget was not given back")
	}
}
