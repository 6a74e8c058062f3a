package fleet

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/pack"
)

// node is one node with its connection and its health.
type node struct {
	pack.Node // never changes; a changed record makes another node that shares link
	f         *Fleet
	link      *link
	budget    budget
	misspelt  error // why a part of the budget does not count
}

// link is what outlives a change of the node's record.
type link struct {
	mu         sync.Mutex
	remote     backends.Remote // nil before the first use; guarded by mu
	marked     bool            // the marker was seen since the last doubt; guarded by mu
	marker     int             // its length as last seen, 0 before; guarded by mu
	attempt    *attempt        // to connect, nil while there is none; guarded by mu
	ended      bool            // guarded by mu
	held       bool            // takes no shards until admitted; guarded by mu
	kept       time.Time       // since when it is held; guarded by mu
	health                     // guarded by mu
	speed                      // guarded by mu
	room                       // guarded by mu
	conduct                    // guarded by mu
	reputation                 // guarded by mu
	ledger                     // guarded by mu
	presence                   // guarded by mu
}

// newNode begins with what is remembered of the node; f.mu is held.
func newNode(f *Fleet, n pack.Node) *node {
	l := &link{held: f.c.Hold, kept: time.Now()}
	l.born = time.Now()
	if m, ok := f.past[n.ID]; ok {
		l.recall(m)
	}
	return withLink(f, n, l)
}

func withLink(f *Fleet, n pack.Node, l *link) *node {
	b, err := budgetOf(n)
	return &node{Node: n, f: f, link: l, budget: b, misspelt: err}
}

// do runs one call on the node, unless it is known to be down, and keeps its
// health.
func (n *node) do(ctx context.Context, op, name string, call func(context.Context, backends.Remote) error) error {
	ok, trial := n.link.allow(time.Now())
	if !ok {
		return n.fault(op, name, fmt.Errorf("%w (%s)", errDown, n.link.reason()))
	}
	r, err := n.ready(ctx)
	offline := err != nil
	if err == nil {
		n.requested(ctx)
		if err = call(ctx, r); errors.Is(err, cairn.ErrNotExist) {
			err = n.doubt(ctx, r, err)
		}
	}
	n.judge(ctx, err, offline, trial)
	if err != nil {
		return n.fault(op, name, err)
	}
	return nil
}

// fault names the node in an error that does not yet, and gives it a class.
func (n *node) fault(op, name string, err error) error {
	if cairn.Class(err) == nil {
		err = fmt.Errorf("%w: %w", err, cairn.ErrUnavailable)
	}
	var e *backends.Error
	if errors.As(err, &e) {
		return err
	}
	return &backends.Error{Op: op, Node: n.Name, Name: name, Err: err}
}

// judge counts a result for the breaker. A node that answers is not down,
// whatever it answers: "not found", "full", "denied", wrong bytes; one that
// cannot be connected to, or shows no marker, is. A call that its caller gave
// up says nothing about the node.
func (n *node) judge(ctx context.Context, err error, offline, trial bool) {
	now := time.Now()
	if err != nil && ctx.Err() != nil {
		n.link.untried(now, trial)
		return
	}
	down := err != nil && (offline || errors.Is(backends.Class(err), cairn.ErrUnavailable))
	changed, stale := n.link.result(now, down, trial, err)
	if stale != nil {
		n.f.spawn(func() { _ = closeRemote(stale) }) // it did not work anyway
	}
	if !changed {
		return
	}
	if down {
		n.f.c.Log.Warn("node does not answer", "node", n.Name, "err", err)
	} else {
		n.f.c.Log.Info("node answers", "node", n.Name)
	}
	n.f.change()
}

func (n *node) put(ctx context.Context, name string, b []byte) error {
	err := n.do(ctx, backends.OpPut, name, func(ctx context.Context, r backends.Remote) error {
		n.carried(ctx, backends.OpPut, len(b)) // also where it fails: they were sent
		return r.Put(ctx, name, b)
	})
	if errors.Is(err, cairn.ErrFull) && n.link.setFull(time.Now()) {
		n.f.c.Log.Warn("node is full", "node", n.Name, "err", err)
		n.f.change()
	}
	return err
}

func (n *node) readAt(ctx context.Context, name string, b []byte, off int64) error {
	return n.do(ctx, backends.OpRead, name, func(ctx context.Context, r backends.Remote) error {
		start := time.Now()
		err := r.ReadAt(ctx, name, b, off)
		if err == nil {
			if !backends.IsBackground(ctx) { // which waits for clients, and says nothing of the node
				n.link.timed(len(b), time.Since(start))
			}
			n.carried(ctx, backends.OpRead, len(b))
		}
		return err
	})
}

func (n *node) stat(ctx context.Context, name string) (size int64, err error) {
	err = n.do(ctx, backends.OpStat, name, func(ctx context.Context, r backends.Remote) (err error) {
		size, err = r.Stat(ctx, name)
		return err
	})
	return size, err
}

// list yields the files below dir; a failure is the last pair.
func (n *node) list(ctx context.Context, dir string) iter.Seq2[backends.Entry, error] {
	return func(yield func(backends.Entry, error) bool) {
		stopped := false
		err := n.do(ctx, backends.OpList, dir, func(ctx context.Context, r backends.Remote) error {
			for e, err := range r.List(ctx, dir) {
				if err != nil {
					return err
				}
				if !yield(e, nil) {
					stopped = true
					return nil
				}
			}
			return nil
		})
		if err != nil && !stopped {
			yield(backends.Entry{}, err)
		}
	}
}

// rank orders nodes for reads: 3 answers, 2 answers and is suspect or in a state
// that a person set, 1 may be asked when nothing else is left: it does not answer,
// answers late or sent wrong bytes. Whatever verifies counts all the same.
func (n *node) rank() int {
	l := n.link
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !l.openTill.IsZero(), l.quarantined, time.Now().Before(l.slowTill):
		return 1
	case !n.inService(), l.suspected != "", l.doubted:
		return 2
	}
	return 3
}

// inService reports whether the node's record lets it take shards.
func (n *node) inService() bool { return n.State == "" || n.State == "ok" }

// gone reports that a person gave the node up.
func (n *node) gone() bool { return n.State == "gone" }

// holds reports whether a shard that stands on the node counts as placed: on one
// that is draining, gone or quarantined it is to be made again elsewhere.
func (n *node) holds() bool {
	return n.State != "draining" && !n.gone() && !n.absent() && !n.link.isQuarantined()
}
