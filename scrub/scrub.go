// Package scrub finds what is wrong with the shards on the nodes and mends it:
// scrub, audit, repair, rebuild, drain, rebalance and sweep, in the background
// and when somebody asks.
//
// Reading order: scrub.go (what it is made of), need.go (what it needs), view.go
// (nodes and graces), assess.go (what a pack's shards come to), state.go and
// marks.go (what is kept over restarts). Finding: visit.go (the few files that
// every node must have), presence.go with compare.go and spool.go (listings
// against rows), look.go (one shard, looked at directly), settle.go (second
// looks, extra copies), adopt.go (unknown packs), walk.go (every byte in its
// turn), audit.go with dice.go (any byte at any time), sweep.go (temporaries).
// Mending: census.go with pattern.go (one pass over the index), queue.go (worst
// first), mend.go with spend.go and intents.go (one pack). Verbs: request.go,
// verb.go, meter.go, find.go, find_bytes.go, repair.go, rebuild.go, drain.go, rebalance.go. What
// it comes to: count.go, figures.go, health.go, nines.go, metrics.go.
//
// It holds no secret: whatever it believes was proven by a root that a trusted
// key signed. It knows neither objects nor keys, never imports store, and deletes
// three things only: the file of a shard whose replacement was verified and is
// recorded, an extra copy of a shard whose n were all just verified, and a
// temporary that was there two cycles ago.
package scrub

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/prometheus/client_golang/prometheus"
)

// Config is what a Scrub is made of; Nodes, Store, Clock, FS and Dir are
// needed.
type Config struct {
	Nodes Nodes
	Store Store
	Clock Clock
	FS    durable.FS
	Dir   string // its own, such as <dir>/scrub; made if missing

	// Adopt takes up a pack that stands at places and that the index does not
	// know, and says as what; nothing when it is left alone. Files of a retired
	// pack that no row names are given to it too. Without it unknown packs are
	// counted only.
	Adopt func(ctx context.Context, id cairn.PackID, at []cairn.Location) (string, error)
	// Staged reports whether the store itself still sees to a pack's shards: they
	// are looked at as others are, and nothing is made, moved or taken up of them.
	// Optional.
	Staged func(cairn.PackID) bool
	// Idle reports whether nothing that is stored now would be lost with a pack:
	// of one that has too few shards left, nothing then needs to be said. Optional.
	Idle func(index.PackRow) (bool, error)
	// Visit brings markers, roots and keys on the nodes up to date; it is called
	// with each round of listings, and by Scrub. Optional.
	Visit func(ctx context.Context) error
	// Clients reports whether clients of the gateway are served now, or were a
	// moment ago: reading whole nodes then takes rests. Optional.
	Clients func() bool

	Every    time.Duration // aim for reading every byte; default 30 days
	List     time.Duration // between two listings of a node; default 24 h
	Again    time.Duration // between the two looks that make a shard lost; default 1 h
	Settle   time.Duration // a node away for less is not acted upon, however few shards are left; default 10 min
	Suspect  time.Duration // a node away for longer is shown as suspect, and what a quarantined one holds is made again; default 4 h
	After    time.Duration // what a node holds that was away for longer is made again; default 24 h
	Audits   float64       // random challenges a day and node; default 100, negative for none
	Parallel int           // packs mended or moved at a time: one spends most of its time waiting for answers; default 8

	Log      *slog.Logger
	Registry prometheus.Registerer
}

func (c *Config) defaults() {
	or := func(d *time.Duration, by time.Duration) {
		if *d <= 0 {
			*d = by
		}
	}
	or(&c.Every, 30*day)
	or(&c.List, day)
	or(&c.Again, time.Hour)
	or(&c.Settle, 10*time.Minute)
	or(&c.Suspect, 4*time.Hour)
	or(&c.After, day)
	if c.Audits == 0 {
		c.Audits = 100
	}
	if c.Parallel <= 0 {
		c.Parallel = 8
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// Scrub looks after the shards of one store. It is safe for concurrent use.
type Scrub struct {
	c         Config // never changes
	m         *metrics
	dice      dice
	life      context.Context // lends Health its values; never ends by itself
	spoolRoom int             // files of a listing held in memory

	saving   chan struct{} // room for one: writes what is kept
	counting chan struct{} // room for one: takes a census for Health
	kicked   chan struct{} // room for one: there may be something to repair

	mu      sync.Mutex                        // held over no call of Nodes, Store or FS
	kept    kept                              // guarded by mu
	marks   marks                             // guarded by mu
	held    map[cairn.PackID]bool             // packs whose places somebody here changes; guarded by mu
	intents map[cairn.PackID][]cairn.Location // what is being put; guarded by mu
	stuck   map[cairn.PackID]*stuckPack       // guarded by mu
	stood   string                            // the nodes' states when stuck packs were last tried; guarded by mu
	asked   map[place]moment                  // when nodes were last asked about what is marked, to no end; guarded by mu
	tried   map[cairn.NodeID]moment           // when a listing may be tried again; guarded by mu
	listing map[cairn.NodeID]bool             // nodes listed in the background right now; guarded by mu
	spools  int                               // made so far; guarded by mu
	verbs   map[string]*running               // guarded by mu
	last    *census                           // guarded by mu
	waiting string                            // why repair does not go on; guarded by mu
}

// New makes a Scrub and reads what an earlier one kept in c.Dir; what cannot be
// read is forgotten, since it can all be found again. ctx lends its values only.
// ErrInvalid when c is incomplete; other errors are of the disk.
func New(ctx context.Context, c Config) (*Scrub, error) {
	if c.Nodes == nil || c.Store == nil || c.Clock == nil || c.FS == nil || c.Dir == "" {
		return nil, fmt.Errorf("scrub: incomplete configuration: %w", cairn.ErrInvalid)
	}
	c.defaults()
	s := &Scrub{c: c, life: context.WithoutCancel(ctx), spoolRoom: spoolRoom,
		saving: make(chan struct{}, 1), counting: make(chan struct{}, 1), kicked: make(chan struct{}, 1),
		marks: newMarks(), held: make(map[cairn.PackID]bool), intents: make(map[cairn.PackID][]cairn.Location),
		stuck: make(map[cairn.PackID]*stuckPack), asked: make(map[place]moment), tried: make(map[cairn.NodeID]moment), listing: make(map[cairn.NodeID]bool), verbs: make(map[string]*running)}
	if err := s.load(); err != nil {
		return nil, err
	}
	s.loadIntents()
	var err error
	s.m, err = newMetrics(c.Registry)
	return s, err
}

// Run looks after the shards until ctx ends and everything begun has ended.
func (s *Scrub) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, loop := range []func(context.Context){s.presenceLoop, s.walkLoop, s.auditLoop, s.repairLoop, s.drainLoop} {
		wg.Go(func() { loop(ctx) })
	}
	wg.Wait()
	s.save(s.life)
	return ctx.Err()
}
