// Package demo is `cairn demo`: a whole cairn on one machine, with nodes that a
// person may kill, slow down and make lie, and commands that show what comes of
// it. Gateway, nodes and keys are the real ones; only the misbehaviour is made.
//
// Reading order: demo.go (Config and Run), start.go (from a directory to a
// demo that serves), state.go (what it remembers), node.go and tap.go (a node
// and its mischief), do.go (kill, lie, slow, revive, status; package spoken reads
// what can be said), flush.go, load.go and verify.go (which prove
// something), talk.go and text.go (the conversation, for people and as JSON),
// objects.go, client.go and sign.go (S3 as attic speaks it), admin.go (health
// and metrics).
//
// It reads no flags and handles no signals. load and verify know the gateway
// as any client does, by its endpoint; what they say of packs and fsyncs is
// read from the engine.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/internal/durable"
)

const (
	defaultNodes = 7
	mostNodes    = cairn.MaxShards
	region       = "us-east-1" // any is accepted; clients want one
	bucket       = "demo"
	lockFile     = "lock"
	logFile      = "demo.log"
)

// Config says how a demo is run; In and Out are needed.
type Config struct {
	JSON      bool          // one line of JSON when ready, and one for each command
	Dir       string        // keeps everything; a temporary directory that is removed at the end when empty
	Nodes     int           // 7 when 0
	Coding    cairn.Coding  // 4+3 when zero
	SyncDelay time.Duration // added to each fsync of the gateway, as on a slow disk
	Terminal  bool          // In is a person: prompt
	Alone     bool          // nothing else runs in this process: its memory may be limited
	In        io.Reader     // commands
	Out       io.Writer     // answers
	Err       io.Writer     // warnings and worse, with JSON; nil for none
}

// demo is a running one. Commands come one after the other, from one goroutine.
type demo struct {
	c       Config
	dir     string // absolute
	fs      durable.FS
	log     *slog.Logger
	state   *state
	nodes   []*node
	coding  cairn.Coding
	counts  *durable.Counter // of what the gateway does to its disk
	metrics *prometheus.Registry
	engine  *engine.Engine
	keys    keys
	s3      net.Listener
	admin   net.Listener
	objects objects
	client  *client
	started time.Time
}

// Run runs a demo until ctx ends, quit is said, or In ends (but for JSON, where
// only ctx and quit count). It leaves nothing behind but c.Dir. Errors are
// those of the start and of the end, of class ErrInvalid, ErrPrecondition or
// ErrUnavailable where c or the machine is to blame.
func Run(ctx context.Context, c Config) (err error) {
	d := &demo{c: c, fs: durable.OS(), coding: c.Coding, metrics: prometheus.NewRegistry(), started: time.Now()}
	if d.coding == (cairn.Coding{}) {
		d.coding = cairn.Coding{K: 4, M: 3}
	}
	if err := d.check(); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if c.Dir == "" {
		if d.dir, err = os.MkdirTemp("", "cairn-demo-"); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	} else if d.dir, err = filepath.Abs(c.Dir); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := d.run(ctx); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

func (d *demo) check() error {
	if err := d.coding.Check(); err != nil {
		return err
	}
	if d.c.Nodes < 0 || d.c.Nodes > mostNodes {
		return fmt.Errorf("%d nodes: 1 to %d are possible: %w", d.c.Nodes, mostNodes, cairn.ErrInvalid)
	}
	if d.c.SyncDelay < 0 {
		return fmt.Errorf("a sync delay of %v: %w", d.c.SyncDelay, cairn.ErrInvalid)
	}
	return nil
}

// closeTime bounds the end: a node that hangs must not hold it up.
const closeTime = 30 * time.Second

// prepare takes the directory. What cannot work is refused before anything is
// made in it.
func (d *demo) prepare() (lock io.Closer, err error) {
	if d.state, err = readState(d.fs, d.dir, d.c.Nodes); err != nil {
		return nil, err
	}
	if n := len(d.state.Addresses); d.coding.N() > n {
		return nil, fmt.Errorf("coding %v needs %d nodes, there are %d: %w", d.coding, d.coding.N(), n, cairn.ErrInvalid)
	}
	if err := d.fs.MkdirAll(d.dir); err != nil {
		return nil, err
	}
	if lock, err = d.fs.Lock(filepath.Join(d.dir, lockFile)); err != nil {
		return nil, fmt.Errorf("%s is in use by another demo: %w", d.dir, err)
	}
	// Once more, now that nobody else writes it.
	if d.state, err = readState(d.fs, d.dir, len(d.state.Addresses)); err == nil {
		err = d.state.write(d.fs, d.dir)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	d.objects = objects{d.state.Seed}
	return lock, nil
}

// run starts everything, from the ground up, and ends it the other way round.
func (d *demo) run(ctx context.Context) (err error) {
	lock, err := d.prepare()
	if err != nil {
		return err
	}
	defer lock.Close()
	out, err := d.openLog()
	if err != nil {
		return err
	}
	defer out.Close()
	// The nodes outlive ctx: the gateway sends them what it has at its end.
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer func() { err = errors.Join(err, d.close(life)) }()
	if err := d.start(ctx, life); err != nil {
		return err
	}
	watch, err := d.watch()
	if err != nil {
		return err
	}
	if d.c.Alone {
		debug.SetMemoryLimit(d.engine.MemoryLimit())
	}
	d.client = newClient(d.endpoint(), bucket, d.keys)
	defer d.client.close()

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	serving, ctx := errgroup.WithContext(ctx)
	serving.Go(func() error { return d.engine.Gateway.Serve(ctx, d.s3) })
	serving.Go(func() error { return watch.ServeWatch(ctx, d.admin) })
	// As serve does: it lists and reads what the nodes hold, and makes again what
	// a lost one held.
	serving.Go(func() error { d.engine.Care(ctx); return nil })
	talked := d.talk(ctx, life)
	d.client.close() // idle connections would be waited for
	stop()
	return errors.Join(talked, serving.Wait())
}

// close ends what start started, whatever the demo is ended by.
func (d *demo) close(life context.Context) (err error) {
	if d.engine != nil {
		ctx, cancel := context.WithTimeout(life, closeTime)
		defer cancel()
		err = d.engine.Close(ctx)
	}
	for _, n := range d.nodes {
		err = errors.Join(err, n.stop())
	}
	return err
}

// openLog sends the log to demo.log and, where nobody watches, what matters of
// it to Err too. A terminal is for the conversation.
func (d *demo) openLog() (io.Closer, error) {
	f, err := os.OpenFile(filepath.Join(d.dir, logFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	handler := slog.Handler(slog.NewTextHandler(f, nil))
	if d.c.JSON && d.c.Err != nil {
		handler = slog.NewMultiHandler(handler, slog.NewTextHandler(d.c.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	d.log = slog.New(handler)
	return f, nil
}

func (d *demo) endpoint() string { return "http://" + d.s3.Addr().String() }
func (d *demo) adminURL() string { return "http://" + d.admin.Addr().String() }
