// Package engine wires one gateway from its keys up to its S3 handler: what
// stands in a state directory becomes an open store over its nodes. It is the
// only place that knows every floor, and it decides nothing that a floor below
// could decide.
//
// Reading order: engine.go (Open and Close), wire.go (what the store is opened
// with), secrets.go (what init leaves in
// the state directory), init.go and owner.go (how it comes to be), transport.go
// (how a node is reached), place.go (where a node is), add.go, prepare.go,
// measure.go, check.go, remark.go, set.go, option.go and remove.go (the nodes), declare.go
// (what cairn.toml declares), status.go, glance.go, unanswered.go, durability.go,
// judge.go with judge_nodes.go, judge_packs.go and words.go, growth.go, recoverable.go and metrics.go (all figures in one, and
// what they mean), care.go, work.go, compact.go, purge.go, conduct.go and pace.go
// (what looks after the shards, and what a person asks of it), progress.go,
// texts.go (files for a node's owner), disk.go (how fast a disk is); roots.go
// (what recovery needs on the nodes), owners.go, rotate.go and keychange.go (who
// opens the store, and under which keys), gateways.go, authorized.go and
// passphrase.go (the files of that), kit.go; recover.go (a burnt gateway brought
// back).
//
// It parses no arguments, prints nothing and listens to nothing.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/cmd/cairn/keep"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/gateway"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/observed"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/recovery"
	"github.com/cairn-storage/cairn/scrub"
	"github.com/cairn-storage/cairn/store"
	"github.com/prometheus/client_golang/prometheus"
)

// indexCache is what the index keeps of its tables in memory, bytes.
const indexCache = 64 << 20

// ErrInUse is what Open returns for a store that another process has open.
var ErrInUse = fmt.Errorf("in use by another cairn: %w", cairn.ErrUnavailable)

// Config is what an Engine is made of. FS, File and Identity are needed; the
// rest is as a gateway of people wants it when left zero.
type Config struct {
	FS       durable.FS
	File     config.Config // resolved, as config.Load returns it
	Identity crypt.Identity
	Log      *slog.Logger          // nil logs nothing
	Registry prometheus.Registerer // takes the metrics of this one engine; nil for none
	Counts   *durable.Counter      // of FS, for Status; nil where nobody counts
	Calls    *durable.Attendance   // of FS, for Status; nil where nobody looks

	// How patient the gateway is with nodes; zero for the defaults of each
	// package.
	AwayAfter time.Duration // see fleet.Config
	Watch     time.Duration // see fleet.Config
	Deadline  backends.DeadlineConfig
	Retry     backends.RetryConfig
	Connect   time.Duration // for TCP, SSH and SFTP together
	KeepAlive time.Duration // between probes of a silent connection
	Patience  time.Duration // how long a probe may go unanswered

	// ReadOnly reads the store for a look and writes nothing to nodes: no root
	// is kept, nothing is spread, and a write to a node is ErrDenied.
	ReadOnly bool

	// How the store packs; zero for its defaults.
	PackSize   uint32
	IndexCache int64         // bytes
	SlowWait   time.Duration // how long a PUT waits for a full stage
	// Settled is how long new packs must have had a better coding before old ones
	// are coded anew; default 10 minutes.
	Settled time.Duration
}

// Engine is one open gateway without its listeners. It is safe for concurrent
// use.
type Engine struct {
	ID      cairn.StoreID
	Store   *store.Store
	Fleet   *fleet.Fleet
	Cache   *cache.Cache
	Gateway *gateway.Gateway // an http.Handler that speaks S3

	c       Config                      // never changes
	opened  atomic.Pointer[store.Store] // Store, for those that run before there is one
	fork    atomic.Pointer[error]       // what the keeper said of another gateway
	keeper  *recovery.Keeper            // nil when read-only
	kit     *kitWriter
	kept    *keep.Runner
	metrics *backends.Metrics // nil without a registry
	started time.Time
	clock   *observed.Clock
	scrub   *scrub.Scrub         // nil when read-only
	turn    chan struct{}        // held by whoever changes keys
	look    glance               // at this machine, for Status
	figures prometheus.Collector // nil without a registry

	mu      sync.Mutex
	secrets secrets // guarded by mu
}

// Open opens the store of c.File.Dir with the identity of its gateway: keys,
// cache, fleet, store, gateway, in that order. ErrNotExist when there is no
// store, ErrDenied when the identity is of another, ErrInUse when another process
// has it open. What was opened is closed again on an error.
func Open(ctx context.Context, c Config) (*Engine, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := c.Identity.Need(crypt.Gateway); err != nil {
		return nil, err
	}
	if c.IndexCache == 0 {
		c.IndexCache = indexCache
	}
	s, err := readSecrets(c.FS, c.File.Dir, c.Identity)
	if err != nil {
		return nil, err
	}
	if s.closed, err = closedEpochs(c.FS, c.File.Dir, s); err != nil {
		return nil, err
	}
	e := &Engine{ID: s.store, c: c, secrets: s, started: time.Now(), turn: newTurn()}
	e.kit = newKitWriter(c, func() (recovery.Kit, error) { return e.keeper.Kit() })
	if c.Registry != nil {
		if e.metrics, err = backends.NewMetrics(c.Registry); err != nil {
			return nil, err
		}
	}
	if err := e.open(ctx); err != nil {
		return nil, errors.Join(err, e.Close(ctx))
	}
	return e, nil
}

func (e *Engine) open(ctx context.Context) (err error) {
	c, f := e.c, e.c.File
	if err := e.openClock(ctx); err != nil {
		return err
	}
	if err := e.openFleet(ctx, !c.ReadOnly); err != nil {
		return err
	}
	var keeper store.Roots // a nil one where there is none
	if !c.ReadOnly {
		if err := e.openKeeper(ctx); err != nil {
			return err
		}
		keeper = roots{e}
	}
	e.Store, err = store.Open(ctx, e.storeConfig(keeper))
	if errors.Is(err, cairn.ErrUnavailable) && e.locked() {
		return fmt.Errorf("%s is %w", f.Dir, ErrInUse)
	}
	if err != nil {
		return err
	}
	e.opened.Store(e.Store)
	if err := e.fork.Load(); err != nil {
		e.Store.Halt(*err)
	}
	if e.keeper != nil {
		e.keeper.Start()
		if err := e.openCare(ctx); err != nil {
			return err
		}
	}
	if err := e.registerFigures(ctx); err != nil {
		return err
	}
	e.kept = keep.New(keep.Config{Store: e.Store, Items: f.Keep, Log: c.Log})
	e.Gateway, err = gateway.New(gateway.Config{Store: e.Store, Region: f.S3.Region, Domains: f.S3.Domains, PublicURL: f.S3.PublicURL,
		TrustProxy: f.S3.TrustProxy, InsecureBasic: f.S3.InsecureBasic, AccessLog: f.S3.AccessLog,
		Log: c.Log, Registry: c.Registry, MemoryBudget: int64(f.Memory) / 2})
	return err
}

// openFleet opens the cache, and the fleet that reads through it. hold keeps
// nodes from taking shards until the keeper admits them.
func (e *Engine) openFleet(ctx context.Context, hold bool) (err error) {
	c, f := e.c, e.c.File
	e.Cache, err = cache.New(cache.Config{MemoryBytes: int64(f.Cache.Memory), DiskBytes: int64(f.Cache.Limit), FS: c.FS, Dir: f.Cache.Dir,
		Store: e.ID, MAC: c.Identity.CacheKey(), Log: c.Log})
	if err != nil {
		return err
	}
	e.Fleet, err = fleet.New(ctx, fleet.Config{Open: e.openNode, Trust: pack.Trust(crypt.TrustKeys(e.ID, keysOf(e.secretsNow().gateways)...)), Store: e.ID,
		Cache: e.Cache, Where: e.where, Used: e.used, AwayAfter: c.AwayAfter, Watch: c.Watch, Hold: hold,
		Observed: e.observed, FS: c.FS, Dir: filepath.Join(f.Dir, nodesDir), Bwlimit: f.Scrub.Bwlimit.At, Notice: e.notice, Log: c.Log, Registry: c.Registry})
	return err
}

// locked reports whether another process holds the store's lock, which the
// store gave back when it could not be opened.
func (e *Engine) locked() bool {
	lock, err := e.c.FS.Lock(filepath.Join(e.c.File.Dir, "lock"))
	if err == nil {
		_ = lock.Close()
	}
	return errors.Is(err, cairn.ErrUnavailable)
}

// Keep keeps what [[keep]] in cairn.toml names, until ctx ends.
func (e *Engine) Keep(ctx context.Context) { e.kept.Run(ctx) }

// Close ends the engine; requests must have ended before. The store first: it
// seals what is open and may still be spreading. Then the keeper of its roots,
// then the fleet both wrote to, then the cache that reads filled. ctx bounds the wait for writes in progress.
func (e *Engine) Close(ctx context.Context) error {
	var errs []error
	if e.figures != nil {
		e.c.Registry.Unregister(e.figures)
	}
	e.settleGlance(ctx)
	if e.Store != nil {
		errs = append(errs, e.Store.Close(ctx))
	}
	if e.keeper != nil {
		errs = append(errs, e.keeper.Close(ctx))
	}
	if e.Fleet != nil {
		errs = append(errs, e.Fleet.Close())
	}
	if e.Cache != nil {
		errs = append(errs, e.Cache.Close())
	}
	if e.clock != nil {
		errs = append(errs, e.clock.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close store %s: %w", e.ID.Short(), err)
	}
	return nil
}

// MemoryLimit is what the process may hold in all, bytes: the budget of
// cairn.toml, the caches, and room for the program itself.
func (e *Engine) MemoryLimit() int64 { return e.c.MemoryLimit() }

// MemoryLimit is that of the engine that c makes, or that a recovery uses.
func (c Config) MemoryLimit() int64 {
	const program = 128 << 20 // code, connections, tables of rclone and the index
	index := c.IndexCache
	if index == 0 {
		index = indexCache
	}
	return int64(c.File.Memory) + int64(c.File.Cache.Memory) + index + program
}
