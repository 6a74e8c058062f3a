// Package rclone makes a backends.Remote of what rclone can reach. Only its
// local backend is built in so far; another one is one more import below, and
// its traps are tests to be written first.
//
// rclone is a program before it is a library: it reads the user's files and
// environment, retries below us, hides errors from listings, writes in place,
// never syncs, and keeps its state in globals. This package is where that
// ends. It knows no packs and no other nodes, does not retry, and sets no
// deadlines: backends.Deadline does, for rclone may ignore a context.
//
// Reading order: rclone.go (Open), spec.go (what the user wrote), remote.go
// (the five methods), publish.go (Put), disk.go (what is special about a local
// disk), errors.go, log.go.
package rclone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	_ "github.com/rclone/rclone/backend/local" // the backends built in
	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/config/configmap"
	"github.com/rclone/rclone/fs/config/configstruct"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// Config is one connection to one node.
type Config struct {
	Node string // the node's name, for errors and logs
	// Spec is backend:path, such as local:/srv/disk, with options after the
	// backend if need be (local,no_preallocate:/srv/disk); rclone's own
	// spelling with a colon in front means the same. The name never means a
	// section of the user's rclone.conf.
	Spec string
	// Options are rclone's own options of the backend, by their names there
	// (passwords obscured, as rclone has them). They may not repeat Spec's.
	Options map[string]string
	// Create makes the root directory when it is missing: for adding a node,
	// never for opening one, whose disk may just not be mounted.
	Create bool
	Log    *slog.Logger // nil logs nothing
}

// These bound one call inside rclone; the retries are backends.Retry's.
const (
	idleTimeout    = 30 * time.Second // without a byte on a connection
	connectTimeout = 10 * time.Second
	closing        = 10 * time.Second // for ending connections
)

// Open connects to the node. Its root directory must stand (ErrUnavailable
// otherwise: a disk that is not mounted is away, not empty), unless c.Create
// makes it. A spec or an option that cannot be meant is ErrInvalid.
//
// The Remote is a Closer and Describer; Capacity where the backend tells its
// space, and Replacer on a local disk.
func Open(ctx context.Context, c Config) (backends.Remote, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	r, err := open(ctx, c)
	if err != nil {
		return nil, &backends.Error{Op: backends.OpConnect, Node: c.Node, Err: err}
	}
	c.Log.Info("node opened", "node", c.Node, "backend", r.kind, "atomic", r.viaTemp)
	if r.disk != nil {
		return &onDisk{withSpace{r}}, nil
	}
	if r.fs.Features().About != nil {
		return &withSpace{r}, nil
	}
	return r, nil
}

func open(ctx context.Context, c Config) (*remote, error) {
	spec, err := parse(c.Spec, c.Options)
	if err != nil {
		return nil, err
	}
	// Without ctx's end: rclone backends keep this context for their lifetime.
	settings, err := isolated(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	f, err := spec.info.NewFs(settings, c.Node, spec.path, spec.options)
	if errors.Is(err, fs.ErrorIsFile) {
		shutdown(settings, f)
		return nil, fmt.Errorf("%s is a file, not a directory: %w", spec.path, cairn.ErrInvalid)
	}
	if err != nil {
		return nil, classed(ctx, err)
	}
	r := &remote{node: c.Node, kind: spec.info.Name, fs: f, settings: settings}
	// Object stores make a file visible when it is whole; everything else is
	// made to do so by a rename.
	r.viaTemp = f.Features().Move != nil && !f.Features().BucketBased
	if f.Features().IsLocal {
		r.disk = &disk{root: spec.path, sync: syncPath, durable: map[string]bool{}}
	}
	if c.Create {
		err = r.create(ctx)
	}
	if err == nil {
		err = r.begin(ctx)
	}
	if err != nil {
		shutdown(settings, f)
		return nil, err
	}
	return r, nil
}

// create makes the root directory.
func (r *remote) create(ctx context.Context) error {
	if err := r.fs.Mkdir(r.with(ctx), ""); err != nil {
		return fmt.Errorf("make the root directory: %w", classed(ctx, err))
	}
	if r.disk != nil {
		return classed(ctx, r.disk.syncDirectory(filepath.Dir(r.disk.root)))
	}
	return nil
}

// begin takes the root as it stands for the node's.
func (r *remote) begin(ctx context.Context) error {
	if r.disk != nil {
		return r.disk.begin()
	}
	return r.rootStands(ctx)
}

// isolated returns a context in which rclone's configuration is its defaults,
// whatever RCLONE_* variables set in the global one, but for our timeouts.
// (A value there that rclone cannot read ends the process before main runs.)
func isolated(ctx context.Context) (context.Context, error) {
	ctx, config := fs.AddConfig(ctx)
	if err := configstruct.Set(defaults(fs.ConfigOptionsInfo), config); err != nil {
		return nil, fmt.Errorf("rclone's defaults: %w", err)
	}
	config.LowLevelRetries = 1
	config.Retries = 1
	config.Timeout = fs.Duration(idleTimeout)
	config.ConnectTimeout = fs.Duration(connectTimeout)
	config.LogLevel = fs.LogLevelNotice
	return ctx, nil
}

// defaults spells every option's built-in default. The Value beside it may
// come from the environment.
func defaults(options fs.Options) configmap.Simple {
	m := configmap.Simple{}
	for _, o := range options {
		o.Value = nil
		m[o.Name] = o.String()
	}
	return m
}

// with returns ctx with the settings of this remote: rclone takes its
// configuration from the context of each call.
func (r *remote) with(ctx context.Context) context.Context { return fs.CopyConfig(ctx, r.settings) }

func shutdown(ctx context.Context, f fs.Fs) error {
	if f == nil || f.Features().Shutdown == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, closing)
	defer cancel()
	return f.Features().Shutdown(ctx)
}
