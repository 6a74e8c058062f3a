// Package gateway is the S3 endpoint: it turns requests of S3 clients into
// calls of a store and the store's answers into theirs. It knows buckets, keys
// and bytes, no packs, nodes or disks, and it keeps nothing between requests.
//
// Reading order: gateway.go (configuration, the way of a request), serve.go and
// tls.go (listener), request.go and response.go (one request's two ends),
// peer.go and host.go (where it comes from, and by which name), limits.go,
// panic.go, route.go (which operation it is), refuse.go (what is answered with
// 501), identify.go, presign.go, payload.go and basic.go (who asks, and may
// they), body.go, checksum.go and wire.go (a body until it is proven), then the
// verbs: put.go, get.go, delete.go, list.go, bucket.go and those named after
// them; conditions.go, ranges.go, header.go, xml.go (the small grammars),
// errors.go (class to S3 error), log.go, metrics.go. Package sigv4 below has
// signatures.
//
// A request that asks for something cairn does not do is refused, never
// answered as if it were done.
package gateway

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// Store is what the gateway needs of the object engine.
type Store interface {
	Put(ctx context.Context, p store.Put) (cairn.Object, error)
	// Open gives one version to read, whatever is written meanwhile.
	Open(ctx context.Context, k cairn.Key) (cairn.Object, store.Source, error)
	Stat(ctx context.Context, k cairn.Key) (cairn.Object, error)
	// Delete removes an object; a missing one is fine unless c demands one.
	Delete(ctx context.Context, k cairn.Key, c store.Condition) error
	List(ctx context.Context, r store.ListRequest) (store.Listing, error)
	Copy(ctx context.Context, c store.Copy) (cairn.Object, error)
	// SetTags replaces the tags of an object, and nothing else of it; "" for none.
	SetTags(ctx context.Context, k cairn.Key, tags string) error

	CreateUpload(ctx context.Context, u store.Upload) (store.Upload, error)
	Upload(ctx context.Context, k cairn.Key, id string) (store.Upload, error)
	PutPart(ctx context.Context, p store.PutPart) (store.Part, error)
	Parts(ctx context.Context, k cairn.Key, id string, after, limit int) (store.PartList, error)
	Uploads(ctx context.Context, r store.UploadsRequest) (store.UploadList, error)
	CompleteUpload(ctx context.Context, c store.CompleteUpload) (cairn.Object, error)
	// AbortUpload ends an upload; one that was aborted before is ErrNoUpload.
	AbortUpload(ctx context.Context, k cairn.Key, id string) error

	CreateBucket(ctx context.Context, name string) error
	DeleteBucket(ctx context.Context, name string) error
	Bucket(ctx context.Context, name string) (store.Bucket, error)
	Buckets(ctx context.Context) ([]store.Bucket, error)
	// SetBucketCORS keeps a bucket's cross-origin rules, at most 8 KiB; "" for none.
	SetBucketCORS(ctx context.Context, name, rules string) error
	Access(ctx context.Context, id string) (store.Access, error)
}

// Config is what a Gateway is made of.
type Config struct {
	Store Store
	// Region that clients must sign for; "" or "any" accepts the one they do.
	Region string
	// Domains are names, in lower case and without port, below which a host
	// names its bucket: with s3.example.org, photos.s3.example.org is photos.
	Domains []string
	// PublicURL is what clients are given where a proxy stands in front. A
	// signature over its host is good whatever host the proxy passes on.
	PublicURL string
	// TrustProxy lists addresses and networks, and "unix" for whoever comes
	// over a unix socket, whose X-Forwarded-For, -Proto and -Host are believed.
	TrustProxy []string
	// InsecureBasic takes HTTP Basic also where others may read it on the way.
	// Else it must come over TLS or not leave the machine.
	InsecureBasic bool
	// AccessLog is which requests are logged at Info: "errors" (or "") for those
	// refused or failed, "all", or "off". The rest is logged at Debug, and what
	// is wrong with the gateway itself always at Warn and Error.
	AccessLog string
	Log       *slog.Logger // nil for none
	// Registry takes the metrics; nil for none.
	Registry prometheus.Registerer
	// MemoryBudget is how many bytes the buffers of all requests may take
	// together, 64 MiB when zero and at least 2 MiB. A request that finds none
	// waits, at last for 503 SlowDown.
	MemoryBudget int64
	// Connections that may be open at once in Serve; 1,024 when zero.
	Connections int
}

const (
	defaultBudget      = 64 << 20
	smallestBudget     = 2 << 20 // one gathered body beside some copy buffers
	defaultConnections = 1024    // about 40 KiB each in buffers and stacks, HTTP/2 see serve.go
	bufferSize         = 64 << 10
)

// Gateway is an http.Handler that speaks S3. It is safe for concurrent use.
type Gateway struct {
	c       Config
	log     *slog.Logger
	host    string // random; tells answers of this life of this process from others'
	hosting hosting
	proxies proxies
	budget  *semaphore.Weighted
	buffers sync.Pool // of *[]byte, bufferSize long
	readers sync.Pool // of *bufio.Reader, decodeBuffer large
	metrics *metrics
}

// New returns a Gateway, or ErrInvalid for a Config that cannot work.
func New(c Config) (*Gateway, error) {
	if c.Store == nil {
		return nil, fmt.Errorf("gateway: no store: %w", cairn.ErrInvalid)
	}
	if c.Region == "any" {
		c.Region = ""
	}
	if c.MemoryBudget == 0 {
		c.MemoryBudget = defaultBudget
	}
	if c.MemoryBudget < smallestBudget {
		return nil, fmt.Errorf("gateway: memory budget of %d bytes: needs %d at least: %w", c.MemoryBudget, smallestBudget, cairn.ErrInvalid)
	}
	if c.Connections == 0 {
		c.Connections = defaultConnections
	}
	if c.Connections < 0 {
		return nil, fmt.Errorf("gateway: %d connections: %w", c.Connections, cairn.ErrInvalid)
	}
	switch c.AccessLog {
	case "":
		c.AccessLog = logErrors
	case logErrors, logAll, logOff:
	default:
		return nil, fmt.Errorf("gateway: access log %q: it can be %s, %s or %s: %w", c.AccessLog, logErrors, logAll, logOff, cairn.ErrInvalid)
	}
	names, err := newHosting(c.Domains, c.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	trusted, err := newProxies(c.TrustProxy)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	m, err := newMetrics(c.Registry)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	g := &Gateway{c: c, log: c.Log, host: rand.Text(), hosting: names, proxies: trusted,
		budget: semaphore.NewWeighted(c.MemoryBudget), metrics: m}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	g.buffers.New = func() any { b := make([]byte, bufferSize); return &b }
	g.readers.New = newDecodeReader
	return g, nil
}

// ServeHTTP answers one request. Once an answer has begun with 200 and cannot
// be finished, the connection is aborted.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	if hr.ContentLength == 0 && hr.Header.Get("Expect") == "100-continue" {
		// net/http sends the 100 when a body is read, and never for an empty one;
		// botocore then takes the next answer on the connection for this one's.
		w.WriteHeader(http.StatusContinue)
	}
	r := g.newRequest(w, hr)
	g.metrics.inFlight.Inc()
	err := g.attempt(r)
	torn := err != nil && r.w.status != 0
	if err != nil && !torn {
		g.answerError(r, err)
	}
	r.wire.abandon()
	g.budget.Release(r.reserved)
	g.metrics.inFlight.Dec()
	g.account(r, err, !torn)
	if torn {
		panic(http.ErrAbortHandler)
	}
}

// serve carries r out. An error means that nothing was answered yet, unless
// r.w has a status: then the answer is torn.
func (g *Gateway) serve(r *request) error {
	if err := r.parse(g.hosting); err != nil {
		return err
	}
	if err := checkLimits(r.Request); err != nil {
		return err
	}
	g.setCORS(r)
	if r.Method == http.MethodOptions && r.key.Bucket != "" {
		return g.preflight(r)
	}
	if r.presigned() {
		r.hoist()
	}
	op, refusal := route(r)
	r.op = op
	if err := g.identify(r); err != nil {
		return err
	}
	// Refusals come after identify: who may not even ask learns nothing.
	if err := g.permit(r); err != nil {
		return err
	}
	if refusal != nil {
		return refusal
	}
	if err := refuseHeaders(r.Header, op); err != nil {
		return err
	}
	if err := r.checkNames(); err != nil {
		return err
	}
	if r.payload.SHA256 != "" && r.ContentLength == 0 && r.payload.SHA256 != emptySHA256 {
		return fail(codeSHA256Mismatch, "x-amz-content-sha256 is not the hash of an empty body, but no body was sent")
	}
	return op.run(g, r)
}

// reserve takes n bytes of the budget for the rest of the request.
func (g *Gateway) reserve(r *request, n int64) error {
	if !g.budget.TryAcquire(n) {
		ctx, cancel := context.WithTimeout(r.Context(), budgetPatience)
		defer cancel()
		if err := g.budget.Acquire(ctx, n); err != nil {
			if r.Context().Err() != nil {
				return r.Context().Err()
			}
			return fail(codeSlowDown, "the gateway's memory for requests in flight has been in use for %v; try again", budgetPatience)
		}
	}
	r.reserved += n
	return nil
}

// budgetPatience is long because clients retry worse than they wait.
const budgetPatience = 30 * time.Second
