package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

const (
	headerPatience = 15 * time.Second // for a request's line and headers
	idlePatience   = 3 * time.Minute  // for the next request of a connection
	maxHeaderBytes = 64 << 10
	drainPatience  = 30 * time.Second // for requests in flight when ctx ends

	// streams are requests at once on one HTTP/2 connection: as many as attic
	// sends parts.
	streams = 128
	// h2Buffer is what all bodies of one HTTP/2 connection may have sent ahead,
	// in bytes: a stream of 10 MB/s over 50 ms. It is outside of the budget, so
	// the number of connections bounds it.
	h2Buffer = 512 << 10
)

// Serve answers the connections of ln until ctx ends, then takes no more,
// gives those in flight 30 s to finish and returns nil once the last
// connection is closed. It closes ln.
func (g *Gateway) Serve(ctx context.Context, ln net.Listener) error { return g.ServeTLS(ctx, ln, nil) }

// ServeTLS is Serve over TLS, with HTTP/2 where the client can; without c it is
// Serve.
func (g *Gateway) ServeTLS(ctx context.Context, ln net.Listener, c *Certificate) error {
	// Requests outlive ctx by the drain, so they get a context of their own.
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var open sync.WaitGroup // connections; all are added by Serve's own goroutine
	defer open.Wait()
	srv := &http.Server{
		Handler:           g,
		ReadHeaderTimeout: headerPatience,
		IdleTimeout:       idlePatience,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(serverLog{g.log.Handler()}, slog.LevelWarn),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          streams,
			MaxReceiveBufferPerConnection: h2Buffer,
			MaxReceiveBufferPerStream:     h2Buffer,
			SendPingTimeout:               idlePatience, // a client that vanished in the middle
		},
		BaseContext: func(net.Listener) context.Context { return base },
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				open.Add(1)
			case http.StateClosed, http.StateHijacked:
				open.Done()
			}
		},
		// No ReadTimeout or WriteTimeout: bodies may be 5 GiB. wire.go and
		// response.go bound how long one may stand still instead.
	}
	if c != nil {
		srv.TLSConfig = c.config()
	}
	served := make(chan error, 1)
	ln = netutil.LimitListener(ln, g.c.Connections)
	go func() {
		if c == nil {
			served <- srv.Serve(ln)
			return
		}
		served <- srv.ServeTLS(ln, "", "")
	}()
	select {
	case err := <-served:
		cancel()
		srv.Close()
		return fmt.Errorf("gateway: serve %v: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	drain, stop := context.WithTimeout(base, drainPatience)
	defer stop()
	err := srv.Shutdown(drain)
	if err != nil { // they had their time
		cancel()
		srv.Close()
	}
	if serr := <-served; !errors.Is(serr, http.ErrServerClosed) {
		return fmt.Errorf("gateway: serve %v: %w", ln.Addr(), serr)
	}
	return nil
}
