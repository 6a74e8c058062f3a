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
)

// Serve answers the connections of ln until ctx ends, then takes no more,
// gives those in flight 30 s to finish and returns nil once the last
// connection is closed. It closes ln.
func (g *Gateway) Serve(ctx context.Context, ln net.Listener) error {
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
		ErrorLog:          slog.NewLogLogger(g.log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return base },
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
	served := make(chan error, 1)
	go func() { served <- srv.Serve(netutil.LimitListener(ln, g.c.Connections)) }()
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
