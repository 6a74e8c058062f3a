package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
	"github.com/prometheus/client_golang/prometheus"
)

// Config is what a Fleet is made of; Open, Trust, Store and Cache are needed.
type Config struct {
	// Open connects to a node, wrapped in deadline and limits. It may fail and
	// is then tried again when the node is next needed. A node that sent wrong
	// bytes is opened a second time, for one read on a connection of its own.
	Open  func(ctx context.Context, n pack.Node) (backends.Remote, error)
	Trust pack.Trust
	Store cairn.StoreID
	Cache *cache.Cache
	// Where tells where the shards of a pack stand by now. It is asked once by
	// a read that met "not found", since shards may have moved after the read
	// was told their places. Optional.
	Where func(cairn.PackID) ([]cairn.Location, error)
	// Used tells how many bytes of shards stand on a node, for nodes with a
	// Capacity of their own. Without it all that is used on the node's disk
	// counts against that, other people's files included. Optional.
	Used func(cairn.NodeID) int64
	// AwayAfter is how long a node may not answer before new packs are coded
	// without it; default 10 minutes.
	AwayAfter time.Duration
	// Hold keeps every node from taking shards until Admit names it: a node that
	// no root names would be unknown to a recovery, and with it what it holds.
	// Held nodes are read from as ever.
	Hold bool
	// Dice gives the generator that chooses places for a pack's shards; each call
	// makes another. What it draws is recorded, so it needs no secrecy. Default is
	// chance; a simulation repeats itself with one made from the pack's sequence.
	Dice func(cairn.PackID) *rand.Rand
	// GoneAfter is how long a node may not answer before it counts as gone, in
	// observed time; default 7 days. It is back as soon as it answers.
	GoneAfter time.Duration
	// Observed tells how long this store was seen to run, over all its lives.
	// Without it the time of this process counts, and what Dir remembers. Optional.
	Observed func() time.Duration
	// FS and Dir are a directory for what is remembered of nodes: their states,
	// reputation, traffic and evidence against them. Without FS nothing outlives
	// the process.
	FS  durable.FS
	Dir string
	// Bwlimit is how many bytes a second all background work together may move
	// at a moment; 0 and less, and nil, is no bound.
	Bwlimit func(time.Time) int64
	// Notice is told what became of a node. It may be called from many places and
	// must not wait. Optional.
	Notice func(Change)
	// Watch is how often nodes that failed are tried; default 2 seconds.
	Watch    time.Duration
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// complete is c with its defaults; ErrInvalid where what is needed lacks.
func (c Config) complete() (Config, error) {
	if c.Open == nil || c.Trust == nil || c.Cache == nil {
		return c, fmt.Errorf("fleet: incomplete configuration: %w", cairn.ErrInvalid)
	}
	if c.AwayAfter <= 0 {
		c.AwayAfter = 10 * time.Minute
	}
	if c.GoneAfter <= 0 {
		c.GoneAfter = 7 * 24 * time.Hour
	}
	if c.Dice == nil {
		c.Dice = chance
	}
	if c.Watch <= 0 {
		c.Watch = 2 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// chance is a generator that nobody can foretell.
func chance(cairn.PackID) *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) }
