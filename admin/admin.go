// Package admin is the way into a live gateway: a socket over which the verbs
// of the command line run inside it, and a read-only listener for people and
// monitoring. It knows no verb, no store and no format but its own stream: what
// a verb does and what a status is, its user hands in.
//
// Reading order: admin.go (Server), stream.go (what goes over the wire),
// verbs.go and watch.go (the handlers), listen.go (sockets and ports),
// client.go (Dial and Call).
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/prometheus/client_golang/prometheus"
)

// Verb is one thing that can be done to a live gateway.
type Verb struct {
	Name string
	// Run does it. progress may be called any number of times until Run
	// returns, with values that encode as JSON; so must the result. ctx ends
	// when the caller went away or the gateway stops.
	Run func(ctx context.Context, args json.RawMessage, progress func(any)) (any, error)
	// Looks says that it changes nothing: it is logged at Debug only.
	Looks bool
}

// Config is what a Server is made of; all of it is optional.
type Config struct {
	Verbs []Verb
	// Status answers /api/status.
	Status func(ctx context.Context) (any, error)
	// Healthy answers /healthz: nil while requests are served.
	Healthy func(ctx context.Context) error
	// Page writes the text at / for a person with a browser.
	Page     func(ctx context.Context, w io.Writer) error
	Gatherer prometheus.Gatherer // answers /metrics
	Log      *slog.Logger        // nil logs nothing
}

// Server answers on the socket and on the listener of one gateway. It is safe
// for concurrent use.
type Server struct {
	c     Config
	verbs map[string]Verb
}

// New returns a Server; two verbs of one name are ErrInvalid.
func New(c Config) (*Server, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{c: c, verbs: make(map[string]Verb, len(c.Verbs))}
	for _, v := range c.Verbs {
		if _, twice := s.verbs[v.Name]; twice || v.Name == "" || v.Run == nil {
			return nil, fmt.Errorf("admin: verb %q is there twice or empty: %w", v.Name, cairn.ErrInvalid)
		}
		s.verbs[v.Name] = v
	}
	return s, nil
}

const (
	headerPatience = 10 * time.Second // for a request's line and headers
	idlePatience   = 2 * time.Minute  // for the next request of a connection
	drainPatience  = 10 * time.Second // for answers in flight when the gateway stops
)

// ServeSocket runs verbs for whoever can open ln, until ctx ends; that ends the
// verbs in progress too. It closes ln.
func (s *Server) ServeSocket(ctx context.Context, ln net.Listener) error {
	return s.serve(ctx, ln, s.socketHandler())
}

// ServeWatch answers /healthz, /metrics, /api/status and / on ln until ctx
// ends. Nothing can be changed through it. It closes ln.
func (s *Server) ServeWatch(ctx context.Context, ln net.Listener) error {
	return s.serve(ctx, ln, s.watchHandler())
}

func (s *Server) serve(ctx context.Context, ln net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler:           s.survive(h),
		ReadHeaderTimeout: headerPatience,
		IdleTimeout:       idlePatience,
		ErrorLog:          slog.NewLogLogger(s.c.Log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("admin: serve %v: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	drain, stop := context.WithTimeout(context.WithoutCancel(ctx), drainPatience)
	defer stop()
	if err := srv.Shutdown(drain); err != nil { // they had their time
		_ = srv.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin: serve %v: %w", ln.Addr(), err)
	}
	return nil
}

// survive answers 500 where a handler panics, and says why in the log.
func (s *Server) survive(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				s.panicked(r.URL.Path, p)
				http.Error(w, "internal error, see the gateway's log", http.StatusInternalServerError)
			}
		}()
		h.ServeHTTP(w, r)
	})
}
