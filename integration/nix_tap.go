package integration

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
)

// Tap stands between a client and the gateway, writes down what passes and
// breaks what it is told to.
type Tap struct {
	Endpoint string // of the gateway
	URL      string // its own, from Start on
	// Cut says after how many bytes of the answer's body the connection is
	// closed; negative for never. Nil never closes one.
	Cut func(seen Exchange, length int64) int64
	// Midway is called when half of a request's body has passed; nil for none.
	Midway func(seen Exchange)

	server *httptest.Server
	mu     sync.Mutex
	seen   []Exchange // guarded by mu
}

// Exchange is a request and how it was answered.
type Exchange struct {
	Method, Path, Range string
	Status              int
	ContentRange        string
	Cut                 bool
}

var errCut = errors.New("closed on purpose")

// Start begins to serve; the fields stay as they are from then on.
func (t *Tap) Start() error {
	target, err := url.Parse(t.Endpoint)
	if err != nil {
		return err
	}
	t.server = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			if r.In.ContentLength > 0 {
				r.Out.Body = &upload{body: r.In.Body, left: r.In.ContentLength / 2, halfway: func() { t.midway(exchange(r.In)) }}
			}
		},
		ModifyResponse: t.answer,
		ErrorHandler:   gone,
		ErrorLog:       log.New(io.Discard, "", 0), // what is cut and killed on purpose
		FlushInterval:  -1,
	})
	t.URL = t.server.URL
	return nil
}

// gone is what a client sees of a gateway that is not there any more: no answer,
// and nobody who waits for the rest of a body, which Nix 2.8 does not send again.
func gone(w http.ResponseWriter, _ *http.Request, _ error) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		conn.Close()
	}
}

// Close ends it and its connections.
func (t *Tap) Close() {
	t.server.CloseClientConnections()
	t.server.Close()
}

// Seen is what passed so far, in the order of the answers.
func (t *Tap) Seen() []Exchange {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.seen)
}

func exchange(r *http.Request) Exchange {
	return Exchange{Method: r.Method, Path: r.URL.Path, Range: r.Header.Get("Range")}
}

func (t *Tap) answer(a *http.Response) error {
	e := exchange(a.Request)
	e.Status, e.ContentRange = a.StatusCode, a.Header.Get("Content-Range")
	if t.Cut != nil && a.Request.Method == http.MethodGet {
		if after := t.Cut(e, a.ContentLength); after >= 0 {
			e.Cut = true
			// An error of the body makes the proxy break its answer off.
			a.Body = &cutBody{ReadCloser: a.Body, left: after}
		}
	}
	t.mu.Lock()
	t.seen = append(t.seen, e)
	t.mu.Unlock()
	return nil
}

type cutBody struct {
	io.ReadCloser
	left int64
}

func (c *cutBody) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, errCut
	}
	got, err := c.ReadCloser.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(got)
	return got, err
}

func (t *Tap) midway(e Exchange) {
	if t.Midway != nil {
		t.Midway(e)
	}
}

type upload struct {
	body    io.Reader
	left    int64 // until half of it has passed
	halfway func()
}

func (u *upload) Read(p []byte) (int, error) {
	got, err := u.body.Read(p)
	before := u.left
	u.left -= int64(got)
	if before > 0 && u.left <= 0 {
		u.halfway()
	}
	return got, err
}

// Close leaves the client's body alone: closing that waits for the rest of it.
func (*upload) Close() error { return nil }
