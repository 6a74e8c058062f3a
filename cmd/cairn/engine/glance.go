package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/scrub"
	"github.com/cairn-storage/cairn/store"
)

// local is what Status wants to know from this machine. All of it is in memory
// or nearly so; but each part stands behind a lock that somebody may hold who
// waits for a disk, or is a row that may have to be read from one.
type local struct {
	store  store.Status
	nodes  []pack.Node
	used   map[cairn.NodeID]int64
	cache  cache.Stats
	rec    Recoverable
	count  *scrub.Count // of where packs stand; nil when read-only
	growth []grown
	at     time.Time // it was read
}

const (
	// glancePatience is how long Status waits for this machine before it goes on
	// with what it saw last.
	glancePatience = time.Second
	// glanceFirst is the same when nothing was seen yet, as at the start of a
	// gateway, and the disk answers: then it is counting.
	glanceFirst = 20 * time.Second
	// hungCall is how long one call of the disk may take before it counts as one
	// that does not answer.
	hungCall = 2 * time.Second
)

// glance looks at this machine for whoever asks, once at a time, so that a disk
// that hangs holds one goroutine and nobody who asks.
type glance struct {
	mu    sync.Mutex
	last  *local        // guarded by mu, as all below
	err   error         // of the last look
	busy  chan struct{} // closed when the look under way ends; nil without one
	since time.Time     // it began
}

// glance returns what this machine says, and for how long it has been silent:
// zero when it was asked since the call. What it says has no time (at) when it
// never answered.
func (e *Engine) glance(ctx context.Context) (local, time.Duration, error) {
	return e.look.ask(ctx, func() (local, error) { return e.readLocal(context.WithoutCancel(ctx)) }, e.c.Calls)
}

// ask has read look, and does not wait long for it while a call of the disk is
// not answered.
func (g *glance) ask(ctx context.Context, read func() (local, error), calls *durable.Attendance) (local, time.Duration, error) {
	called := time.Now()
	tick := time.NewTicker(glancePatience / 4)
	defer tick.Stop()
	for {
		busy, since := g.join(read)
		select {
		case <-busy:
			if since.Before(called) { // it may have passed by what has changed since
				continue
			}
			l, err := g.result()
			return l, 0, err
		case <-ctx.Done():
			return local{}, 0, ctx.Err()
		case <-tick.C:
		}
		waited := time.Since(called)
		if last := g.seen(); last != nil {
			if waited < glancePatience {
				continue
			}
			return *last, time.Since(since), nil
		}
		if _, took := calls.Longest(); took < glancePatience*3/4 && waited < glanceFirst {
			continue
		}
		return local{}, time.Since(since), nil
	}
}

// silent is for how long this machine has not answered, and the call that it
// does not answer if that is known: a look may pass by a call that hangs.
func (e *Engine) silent(look time.Duration) (time.Duration, string) {
	call, took := e.c.Calls.Longest()
	if look == 0 && took < hungCall {
		return 0, ""
	}
	return max(look, took), call
}

// errSilent is the error of those who need what this machine never said.
func (e *Engine) errSilent(look time.Duration) error {
	silent, call := e.silent(look)
	if call == "" {
		call = e.c.File.Dir
	}
	return fmt.Errorf("this machine's disk has not answered for %v (%s): %w", silent.Round(time.Second), call, cairn.ErrUnavailable)
}

// join returns the look under way, or begins one; Close waits for it.
func (g *glance) join(read func() (local, error)) (busy <-chan struct{}, since time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.busy == nil {
		done := make(chan struct{})
		g.busy, g.since = done, time.Now()
		go func() {
			l, err := read()
			g.mu.Lock()
			defer g.mu.Unlock()
			if g.err = err; err == nil {
				g.last = &l
			}
			g.busy = nil
			close(done)
		}()
	}
	return g.busy, g.since
}

// seen is what was read last; nil before there is any.
func (g *glance) seen() *local {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.last
}

// result is what the last look that ended found.
func (g *glance) result() (local, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return local{}, g.err
	}
	return *g.last, nil
}

// settleGlance waits for the look under way, if there is one.
func (e *Engine) settleGlance(ctx context.Context) {
	e.look.mu.Lock()
	busy := e.look.busy
	e.look.mu.Unlock()
	if busy == nil {
		return
	}
	select {
	case <-busy:
	case <-ctx.Done():
	}
}

func (e *Engine) readLocal(ctx context.Context) (l local, err error) {
	l.at = time.Now()
	if l.store, err = e.Store.Status(ctx); err != nil {
		return l, err
	}
	if l.nodes, err = e.Store.Nodes(); err != nil {
		return l, err
	}
	l.used = make(map[cairn.NodeID]int64, len(l.nodes))
	for _, n := range l.nodes {
		l.used[n.ID] = e.Store.Used(n.ID)
	}
	l.cache = e.Cache.Stats()
	l.rec = e.recoverable()
	l.growth = readGrowth(e.c.FS, e.c.File.Dir)
	if e.scrub != nil {
		if l.count, err = e.scrub.Count(ctx); err != nil {
			return l, err
		}
	}
	return l, nil
}
