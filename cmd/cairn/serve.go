package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/admin"
	"github.com/cairn-storage/cairn/backends/rclone"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/cmd/cairn/events"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/gateway"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"
)

func serveVerb() verb {
	return verb{
		name: "serve", short: "run the gateway: the S3 endpoint and everything behind it",
		usage: `
Nodes and buckets that cairn.toml declares are applied first. SIGTERM or Ctrl-C takes no
more requests, finishes those in flight and seals what is open; nothing is lost by
killing it either.`,
		try: `cairn serve --config /etc/cairn/cairn.toml`,
		run: runServe,
	}
}

// served is a gateway with its listeners.
type served struct {
	e   *env
	f   *flags
	c   config.Config
	log *slog.Logger
	reg *prometheus.Registry

	events *events.Log

	s3, watch, socket net.Listener         // watch is nil where none is configured
	cert              *gateway.Certificate // of s3; nil for plain HTTP
	engine            *engine.Engine
}

func runServe(ctx context.Context, e *env, v verb, args []string) (err error) {
	f := newFlags(e, v)
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	s := &served{e: e, f: f}
	if s.c, err = f.settings(); err != nil {
		return err
	}
	if s.log, err = f.logger("info"); err != nil {
		return err
	}
	if e.process {
		rclone.RouteLog(s.log) // not among the events: what it tells of requests is its own
	}
	s.events = events.New(durable.OS(), eventsFile(s.c))
	s.log = slog.New(s.events.Handler(s.log.Handler()))
	// Whatever was opened is closed the other way round, and what goes wrong
	// then is told with the rest.
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.open(ctx); err != nil {
		return err
	}
	return s.serve(ctx)
}

// open takes the ports first, so that one in use is found out while nothing
// else has happened; then the store; and the socket last, when the lock of the
// store says that whoever listened there before is gone.
func (s *served) open(ctx context.Context) (err error) {
	if g, err := admin.Dial(ctx, s.c.Admin.Socket); g != nil && err == nil {
		return fmt.Errorf("a gateway serves %s already, at %s: %w", s.c.Dir, s.c.Admin.Socket, engine.ErrInUse)
	}
	id, err := engine.Identity(durable.OS(), s.c.Dir, s.c.Identity)
	if err != nil {
		return err
	}
	if t := s.c.S3.TLS; t.On() {
		if s.cert, err = gateway.LoadCertificate(t.Cert, t.Key, s.log); err != nil {
			return fmt.Errorf("s3.tls: %w", err)
		}
	}
	if s.s3, err = admin.Listen(ctx, s.c.S3.Listen); err != nil {
		return fmt.Errorf("%w; s3.listen in cairn.toml sets another", err)
	}
	if s.c.Admin.Listen != "" {
		if s.watch, err = admin.Listen(ctx, s.c.Admin.Listen); err != nil {
			return fmt.Errorf("%w; admin.listen in cairn.toml sets another", err)
		}
	}
	fs, counts := durable.Count(s.e.disk())
	fs, calls := durable.Attend(fs)
	for deadline := time.Now().Add(s.e.patience); ; {
		// A registry of its own for each try: an engine that did not open has
		// put its metrics there.
		s.reg = prometheus.NewRegistry()
		s.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
		s.engine, err = engine.Open(ctx, engine.Config{FS: fs, Counts: counts, Calls: calls, File: s.c, Identity: id, Log: s.log, Registry: s.reg})
		if !errors.Is(err, engine.ErrInUse) || time.Now().After(deadline) {
			break
		}
		if err := pause(ctx); err != nil { // a verb has it for a moment
			return err
		}
	}
	if err != nil {
		return err
	}
	s.events.Start()
	s.log.Info("gateway begins", "version", version().Version)
	if s.socket, err = admin.ListenSocket(ctx, s.c.Admin.Socket); err != nil {
		return fmt.Errorf("%w; admin.socket in cairn.toml sets another", err)
	}
	if s.e.process && s.e.getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(s.engine.MemoryLimit())
	}
	return nil
}

// serve answers until ctx ends or a listener fails, and returns when all
// requests are answered.
func (s *served) serve(ctx context.Context) error {
	if err := s.engine.DeclareBuckets(ctx); err != nil {
		return err
	}
	a, err := admin.New(admin.Config{Verbs: adminVerbs(s.engine), Gatherer: s.reg, Log: s.log,
		Status:  func(ctx context.Context) (any, error) { return s.engine.Status(ctx) },
		Healthy: s.engine.Healthy,
		Page:    s.page,
	})
	if err != nil {
		return err
	}
	if err := s.announce(ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	// Each of these closes its listener.
	g.Go(func() error { return s.engine.Gateway.ServeTLS(ctx, s.s3, s.cert) })
	if s.watch != nil {
		g.Go(func() error { return a.ServeWatch(ctx, s.watch) })
	}
	g.Go(func() error { return a.ServeSocket(ctx, s.socket) })
	g.Go(func() error {
		// Nodes may be slow or away: nobody waits for them.
		err := s.engine.DeclareNodes(ctx, func(text string) { s.log.Debug("declared node", "step", text) })
		if err != nil && ctx.Err() == nil {
			s.log.Warn("not all declared nodes could be applied; the next start tries again", "err", err)
		}
		return nil
	})
	g.Go(func() error { s.engine.Keep(ctx); return nil })
	g.Go(func() error { s.engine.Care(ctx); return nil })
	err = g.Wait()
	if fork := s.engine.Forked(); fork != nil {
		return fork // that, and not that it was stopped, is how it ends
	}
	return err
}

// close ends what open opened. Listeners that were served are closed already;
// closing them again does nothing.
func (s *served) close(ctx context.Context) (err error) {
	for _, ln := range []net.Listener{s.s3, s.watch, s.socket} {
		if ln != nil {
			_ = ln.Close()
		}
	}
	if s.engine != nil {
		err = closeEngine(ctx, s.engine)
		s.log.Info("gateway ends", "class", cairn.ClassName(err))
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), eventsPatience)
	defer cancel()
	return errors.Join(err, s.events.Close(last))
}

// eventsPatience bounds the wait for a disk that hangs at the end.
const eventsPatience = 2 * time.Second

// announce says what is served and where.
func (s *served) announce(ctx context.Context) error {
	st, err := s.engine.Status(ctx)
	if err != nil {
		return err
	}
	out := struct {
		Store    string `json:"store"`
		Endpoint string `json:"endpoint"`
		Admin    string `json:"admin,omitempty"`
		Socket   string `json:"socket"`
		Dir      string `json:"dir"`
		Objects  int64  `json:"objects"`
		Nodes    int    `json:"nodes"`
	}{st.StoreID, urlOf(s.s3, s.cert != nil), "", s.c.Admin.Socket, s.c.Dir, st.Objects, len(st.Nodes)}
	if s.watch != nil {
		out.Admin = urlOf(s.watch, false)
	}
	if s.f.json {
		return s.e.json(out)
	}
	s.e.printf("cairn %s serves store %s from %s\n", version().Version, out.Store, out.Dir)
	rows := [][]string{{"  S3", out.Endpoint, "region " + s.c.S3.Region}}
	if out.Admin != "" {
		rows = append(rows, []string{"  admin", out.Admin, "/healthz /metrics /api/status"})
	}
	s.e.printf("%s", columns(append(rows, []string{"  socket", out.Socket})))
	s.e.printf("%s, %s, on %s.  %s\n", count(st.Objects, "object"), bytesText(st.Bytes), count(int64(out.Nodes), "node"), st.Summary)
	return nil
}

func (s *served) page(ctx context.Context, w io.Writer) error {
	st, err := s.engine.Status(ctx)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, statusText(st, true))
	return err
}

// urlOf is where a listener is reached.
func urlOf(ln net.Listener, tls bool) string {
	switch a := ln.Addr(); {
	case a.Network() == "unix":
		return "unix:" + a.String()
	case tls:
		return "https://" + a.String()
	default:
		return "http://" + a.String()
	}
}

// endpointOf is what clients are given for a configuration.
func endpointOf(c config.Config) string {
	switch {
	case c.S3.PublicURL != "":
		return c.S3.PublicURL
	case len(c.S3.Listen) > 5 && c.S3.Listen[:5] == "unix:":
		return "https://YOUR-PROXY" // nobody reaches a socket by itself
	case c.S3.TLS.On():
		return "https://" + c.S3.Listen
	}
	return "http://" + c.S3.Listen
}
