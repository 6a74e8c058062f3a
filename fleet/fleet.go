// Package fleet treats the nodes as one: it scatters the shards of a pack so
// that each stands and verifies, and reads any range of a pack from whichever
// nodes answer, believing a block only under a signed root.
//
// Reading order: fleet.go (the set of nodes), node.go (one of them), health.go
// (breaker and speed), mark.go (is it the node it should be), place.go (where
// shards may go), scatter.go (writes), tails.go, read.go, block.go and degraded.go
// (reads), look.go (what is there), suspect.go (nodes
// that lie), watch.go (nodes that come back), status.go.
//
// All concurrency over nodes is here. fleet holds no secret and knows neither
// objects nor the index: it is told where shards stand.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/pack"
	"github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// Config is what a Fleet is made of; Open, Trust, Store and Cache are needed.
type Config struct {
	// Open connects to a node, wrapped in deadline and limits. It may fail and
	// is then tried again when the node is next needed.
	Open  func(ctx context.Context, n pack.Node) (backends.Remote, error)
	Trust pack.Trust
	Store cairn.StoreID
	Cache *cache.Cache
	// AwayAfter is how long a node may not answer before new packs are coded
	// without it; default 10 minutes.
	AwayAfter time.Duration
	// Watch is how often nodes that failed are tried; default 2 seconds.
	Watch    time.Duration
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Fleet is a set of nodes. It is safe for concurrent use.
type Fleet struct {
	c     Config // never changes
	m     *metrics
	tails *lru.Cache[tailKey, *pack.Tail]

	mu      sync.Mutex
	nodes   []*node       // in order of id; guarded by mu
	changed chan struct{} // closed and replaced on every change; guarded by mu
	falls   []time.Time   // recent quarantines; guarded by mu
	alarm   string        // why nobody is quarantined any more; guarded by mu
	flight  map[cache.Key]chan struct{}
	closed  bool    // guarded by mu
	budget  float64 // hedges that may still be sent; guarded by mu

	poked  chan struct{}   // room for one: the watcher looks at all nodes now
	life   context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// tailsKept is how many verified tails stay in memory, about 3 KiB each.
const tailsKept = 4096

// New makes a fleet without nodes. It lives until Close; ctx lends its values.
func New(ctx context.Context, c Config) (*Fleet, error) {
	if c.Open == nil || c.Trust == nil || c.Cache == nil {
		return nil, fmt.Errorf("fleet: incomplete configuration: %w", cairn.ErrInvalid)
	}
	if c.AwayAfter == 0 {
		c.AwayAfter = 10 * time.Minute
	}
	if c.Watch == 0 {
		c.Watch = 2 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	tails, err := lru.New[tailKey, *pack.Tail](tailsKept)
	if err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	f := &Fleet{c: c, m: newMetrics(c.Registry), tails: tails, changed: make(chan struct{}), flight: make(map[cache.Key]chan struct{}), budget: hedgeBurst, poked: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f.life, f.cancel = ctx, cancel
	f.wg.Go(func() { f.watch(ctx) })
	return f, nil
}

// Close ends all connections. Calls in progress fail.
func (f *Fleet) Close() error {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.cancel()
	f.wg.Wait()
	f.mu.Lock()
	nodes := f.nodes
	f.nodes = nil
	f.mu.Unlock()
	var errs []error
	for _, n := range nodes {
		errs = append(errs, n.close())
	}
	return errors.Join(errs...)
}

// SetNodes makes the fleet consist of exactly these nodes. Connections of nodes
// that stay as they are go on; those of others end.
func (f *Fleet) SetNodes(ctx context.Context, want []pack.Node) error {
	f.mu.Lock()
	old := make(map[cairn.NodeID]*node)
	for _, n := range f.nodes {
		old[n.ID] = n
	}
	var next, gone []*node
	for _, w := range want {
		n := old[w.ID]
		if n != nil && sameRemote(n.Node, w) {
			delete(old, w.ID)
			next = append(next, n.with(w))
			continue
		}
		next = append(next, newNode(f, w))
	}
	for _, n := range old {
		gone = append(gone, n)
	}
	slices.SortFunc(next, func(a, b *node) int { return slices.Compare(a.ID[:], b.ID[:]) })
	f.nodes = next
	f.mu.Unlock()
	f.change()
	var errs []error
	for _, n := range gone {
		errs = append(errs, n.close())
	}
	f.poke()
	return errors.Join(errs...)
}

func sameRemote(a, b pack.Node) bool {
	return a.Remote == b.Remote && a.HostKey == b.HostKey && slices.Equal(a.Credential, b.Credential)
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
	return slices.Clone(f.nodes)
}

// spawn runs work that Close waits for, unless it is too late for any.
func (f *Fleet) spawn(work func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.wg.Go(work)
	}
}

func (f *Fleet) node(id cairn.NodeID) *node {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.nodes, func(n *node) bool { return n.ID == id })
	if i < 0 {
		return nil
	}
	return f.nodes[i]
}

// dice is a generator for placement; what it draws is recorded, so it needs no
// secrecy.
func dice() *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) }
