// Package fleet treats the nodes as one: it scatters the shards of a pack so
// that each stands and verifies, and reads any range of a pack from whichever
// nodes answer, believing a block only under a signed root.
//
// Reading order: fleet.go (the set of nodes), node.go (one of them), health.go
// (breaker), speed.go (latency, lateness), space.go (room), connect.go and
// mark.go (is it the node it should be), failure.go (what several nodes could
// not do), each.go (something done on all of them); hold.go (nodes that take no
// shards yet, or only for want of others), place.go (where shards may go),
// placing.go and scatter.go (writes), verify.go, tails.go; read.go, flight.go,
// fetch.go, direct.go, degraded.go and decode.go (reads); examine.go, files.go
// (what one node has, and deleting it), survivors.go, repair.go and copy.go
// (shards made again), moved.go (what that cost), budget.go and pace.go (how much
// it may); look.go (what is there), suspect.go and evidence.go (nodes that lie),
// reputation.go, watch.go (nodes that come back), presence.go (those that stay
// away), book.go (what is remembered of them), status.go, metrics.go.
//
// All concurrency over nodes is here. fleet holds no secret and knows neither
// objects nor the index: it is told where shards stand.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/erasure"
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
	// Notice is told in words what became of a node. It may be called from many
	// places and must not wait. Optional.
	Notice func(text string, node cairn.NodeID)
	// Watch is how often nodes that failed are tried; default 2 seconds.
	Watch    time.Duration
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Fleet is a set of nodes. It is safe for concurrent use.
type Fleet struct {
	c     Config // never changes
	m     *metrics
	tails *tails
	pace  *Pace

	started time.Time
	noted   chan struct{} // room for one: what is remembered is written soon

	// Lock order: mu before the mu of a link. None is held over a call.
	mu      sync.Mutex
	nodes   []*node                        // in order of id; guarded by mu
	told    bool                           // SetNodes was called; guarded by mu
	changed chan struct{}                  // closed and replaced on every change; guarded by mu
	falls   map[cairn.NodeID]time.Time     // when nodes were last proven wrong; guarded by mu
	flights map[cache.Key]*flight          // blocks on their way; guarded by mu
	codes   map[cairn.Coding]*erasure.Code // guarded by mu
	less    cairn.Coding                   // the lesser coding in use, for the log; guarded by mu
	closed  bool                           // guarded by mu
	ticked  time.Duration                  // observed time when nodes were last looked at; guarded by mu
	past    map[cairn.NodeID]memo          // of nodes before they came or after they left; guarded by mu
	// evidence against nodes, oldest first; lists are replaced, never changed;
	// guarded by mu
	evidence map[cairn.NodeID][]Evidence
	budget   float64 // reads that hedges may still cost; guarded by mu

	poked  chan struct{}   // room for one: the watcher looks at all nodes now
	life   context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// New makes a fleet without nodes. It lives until Close; ctx lends its values.
func New(ctx context.Context, c Config) (*Fleet, error) {
	if c.Open == nil || c.Trust == nil || c.Cache == nil {
		return nil, fmt.Errorf("fleet: incomplete configuration: %w", cairn.ErrInvalid)
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
	m, err := newMetrics(c.Registry)
	if err != nil {
		return nil, err
	}
	f := &Fleet{c: c, m: m, tails: newTails(tailsBytes), changed: make(chan struct{}), falls: make(map[cairn.NodeID]time.Time),
		flights: make(map[cache.Key]*flight), codes: make(map[cairn.Coding]*erasure.Code), budget: hedgeBurst, poked: make(chan struct{}, 1),
		pace: NewPace(c.Bwlimit), started: time.Now(), noted: make(chan struct{}, 1), past: make(map[cairn.NodeID]memo), evidence: make(map[cairn.NodeID][]Evidence)}
	f.remember()
	f.ticked = f.observed()
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f.life, f.cancel = ctx, cancel
	f.wg.Go(func() { f.watch(ctx) })
	if c.FS != nil {
		f.wg.Go(func() { f.keep(ctx) })
	}
	return f, nil
}

// Close ends all connections and waits for what still runs. Calls in progress
// fail, later ones are ErrUnavailable.
func (f *Fleet) Close() error {
	f.mu.Lock()
	f.closed = true
	nodes := f.nodes
	f.part(nodes)
	f.nodes = nil
	f.mu.Unlock()
	f.cancel()
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() { errs[i] = n.link.close() })
	}
	wg.Wait()
	f.wg.Wait()
	return errors.Join(errs...)
}

// SetNodes makes the fleet consist of exactly these nodes. Connections of nodes
// that stay as they are go on; those of others end, in the background. From the
// first call on, a node that is not named counts as gone for good.
func (f *Fleet) SetNodes(_ context.Context, want []pack.Node) error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return errClosed
	}
	old := make(map[cairn.NodeID]*node)
	for _, n := range f.nodes {
		old[n.ID] = n
	}
	f.part(f.nodes)
	next := make([]*node, 0, len(want))
	seen := make(map[cairn.NodeID]bool)
	for _, w := range want {
		if seen[w.ID] {
			continue
		}
		seen[w.ID] = true
		if n := old[w.ID]; n != nil && sameRemote(n.Node, w) {
			delete(old, w.ID)
			next = append(next, withLink(f, w, n.link))
			continue
		}
		next = append(next, newNode(f, w))
	}
	slices.SortFunc(next, func(a, b *node) int { return slices.Compare(a.ID[:], b.ID[:]) })
	f.nodes, f.told = next, true
	f.mu.Unlock()
	for _, n := range old {
		f.spawn(func() {
			if err := n.link.close(); err != nil {
				f.c.Log.Debug("connection did not end cleanly", "node", n.Name, "err", err)
			}
		})
	}
	f.change()
	f.poke()
	return nil
}

func sameRemote(a, b pack.Node) bool {
	return a.Remote == b.Remote && a.HostKey == b.HostKey && slices.Equal(a.Credential, b.Credential) && maps.Equal(theirs(a.Option), theirs(b.Option))
}

// theirs are the options of a node's backend.
func theirs(option map[string]string) map[string]string {
	out := maps.Clone(option)
	delete(out, OptionTraffic)
	delete(out, OptionHours)
	return out
}

// Changed is closed when nodes came, went or changed their state.
func (f *Fleet) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

func (f *Fleet) change() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.changed)
	f.changed = make(chan struct{})
}

// all returns the nodes as they are now.
func (f *Fleet) all() []*node {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nodes // replaced as a whole, never changed
}

// node returns nil for a node that is not in the fleet.
func (f *Fleet) node(id cairn.NodeID) *node {
	for _, n := range f.all() {
		if n.ID == id {
			return n
		}
	}
	return nil
}

// spawn runs work that Close waits for; false when it is too late for any.
func (f *Fleet) spawn(work func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.wg.Go(work)
	return true
}

// code returns the code for c; making one is dear, so each is kept.
func (f *Fleet) code(c cairn.Coding) (*erasure.Code, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if code, ok := f.codes[c]; ok {
		return code, nil
	}
	code, err := erasure.New(c)
	if err == nil {
		f.codes[c] = code
	}
	return code, err
}

// chance is a generator that nobody can foretell.
func chance(cairn.PackID) *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) }
