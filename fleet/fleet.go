// Package fleet treats the nodes as one: it scatters the shards of a pack so
// that each stands and verifies, and reads any range of a pack from whichever
// nodes answer, believing a block only under a signed root.
//
// Reading order: config.go, fleet.go (the set of nodes), node.go (one of them), health.go
// (breaker), speed.go (latency, lateness), space.go (room), connect.go and
// mark.go with remark.go (is it the node it should be), failure.go (what several nodes could
// not do), each.go (something done on all of them); hold.go (nodes that take no
// shards yet, or only for want of others), place.go (where shards may go),
// placing.go, turn.go and scatter.go (writes), verify.go, tails.go; read.go, flight.go,
// fetch.go, direct.go, degraded.go and decode.go (reads); examine.go, files.go
// (what one node has, and deleting it), repair.go, survivors.go, windows.go,
// copy.go and ration.go (shards made again), moved.go (what that cost), budget.go, pace.go and
// thrift.go (how much it may); look.go (what is there), suspect.go and evidence.go (nodes
// that lie), reputation.go, watch.go (nodes that come back), presence.go and
// gone.go (those that stay away), book.go (what is remembered of them),
// status.go, metrics.go.
//
// All concurrency over nodes is here. fleet holds no secret and knows neither
// objects nor the index: it is told where shards stand.
package fleet

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/erasure"
	"github.com/cairn-storage/cairn/pack"
	"golang.org/x/sync/semaphore"
)

// Fleet is a set of nodes. It is safe for concurrent use.
type Fleet struct {
	c       Config // never changes
	m       *metrics
	tails   *tails
	pace    *Pace
	rooms   sync.Pool           // of *[repairWindow]byte
	rations *semaphore.Weighted // of repairMemory

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
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(c.Registry)
	if err != nil {
		return nil, err
	}
	f := &Fleet{c: c, m: m, tails: newTails(tailsBytes), rations: semaphore.NewWeighted(repairMemory), changed: make(chan struct{}), falls: make(map[cairn.NodeID]time.Time),
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
	for _, n := range next {
		if n.misspelt != nil {
			f.c.Log.Warn("a node's budget is spelt wrong and does not count", "node", n.Name, "err", n.misspelt)
		}
	}
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
