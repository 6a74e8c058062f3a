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
}

// link is what outlives a change of the node's record.
type link struct {
	turn chan struct{} // holds one token: who has it connects or looks at the marker

	mu     sync.Mutex
	remote backends.Remote // nil before the first use; guarded by mu
	marked bool            // the marker was seen since the last doubt; guarded by mu
	ended  bool            // guarded by mu
	health                 // guarded by mu
}

func newNode(f *Fleet, n pack.Node) *node {
	l := &link{turn: make(chan struct{}, 1)}
	l.turn <- struct{}{}
	l.born = time.Now()
	return &node{Node: n, f: f, link: l}
}

// with is n under a changed record of the same remote.
func (n *node) with(w pack.Node) *node { return &node{Node: w, f: n.f, link: n.link} }

func (n *node) close() error {
	n.link.mu.Lock()
	r := n.link.remote
	n.link.remote, n.link.ended = nil, true
	n.link.mu.Unlock()
	if c, ok := backends.As[backends.Closer](r); ok && r != nil {
		return c.Close()
	}
	return nil
}

// errDown is a call not even tried: the node failed just before.
var errDown = fmt.Errorf("did not answer a moment ago: %w", cairn.ErrUnavailable)

// do runs one call on the node, unless it is known to be down, and keeps its
// health. kind says what is timed.
func (n *node) do(ctx context.Context, op string, call func(context.Context, backends.Remote) error) error {
	if !n.link.allow(time.Now()) {
		return n.fault(op, errDown)
	}
	r, err := n.ready(ctx)
	if err == nil {
		start := time.Now()
		err = call(ctx, r)
		if err == nil && op == "read" {
			n.link.timed(time.Since(start))
		}
		if errors.Is(err, cairn.ErrNotExist) {
			err = n.doubt(ctx, err)
		}
	}
	n.judge(ctx, err)
	if err != nil {
		return n.fault(op, err)
	}
	return nil
}

// fault names the node in an error that does not yet.
func (n *node) fault(op string, err error) error {
	var e *backends.Error
	if errors.As(err, &e) {
		return err
	}
	if cairn.Class(err) == nil {
		err = fmt.Errorf("%w: %w", err, cairn.ErrUnavailable)
	}
	return &backends.Error{Op: op, Node: n.Name, Err: err}
}

// judge counts a result for the breaker. A call that we ended ourselves says
// nothing about the node.
func (n *node) judge(ctx context.Context, err error) {
	if err != nil && ctx.Err() != nil {
		n.link.untried()
		return
	}
	down := err != nil && errors.Is(err, cairn.ErrUnavailable)
	if n.link.result(time.Now(), !down) {
		if down {
			n.f.c.Log.Warn("node does not answer", "node", n.Name, "err", err)
		} else {
			n.f.c.Log.Info("node answers again", "node", n.Name)
		}
		n.f.change()
	}
}

func (n *node) put(ctx context.Context, name string, b []byte) error {
	err := n.do(ctx, "put", func(ctx context.Context, r backends.Remote) error { return r.Put(ctx, name, b) })
	if errors.Is(err, cairn.ErrFull) {
		n.link.setFull()
		n.f.change()
	}
	return err
}

func (n *node) readAt(ctx context.Context, name string, b []byte, off int64) error {
	return n.do(ctx, "read", func(ctx context.Context, r backends.Remote) error { return r.ReadAt(ctx, name, b, off) })
}

func (n *node) stat(ctx context.Context, name string) (size int64, err error) {
	err = n.do(ctx, "stat", func(ctx context.Context, r backends.Remote) (err error) {
		size, err = r.Stat(ctx, name)
		return err
	})
	return size, err
}

// list yields the files below dir; a failure is the last pair.
func (n *node) list(ctx context.Context, dir string) iter.Seq2[backends.Entry, error] {
	return func(yield func(backends.Entry, error) bool) {
		stopped := false
		err := n.do(ctx, "list", func(ctx context.Context, r backends.Remote) error {
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
