package fleet

import (
	"context"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// connectTime bounds one attempt to connect; seeing the marker has probeTime.
const connectTime = 30 * time.Second

// errLeft is a call to a node that is in the store no more.
var errLeft = fmt.Errorf("no longer in the store: %w", cairn.ErrUnavailable)

// attempt is one attempt to connect. The fields are set before done is closed.
type attempt struct {
	done   chan struct{}
	remote backends.Remote
	err    error
}

// ready returns the node's remote, connected, with its marker seen since the
// last doubt. Whoever comes first starts the attempt and all wait for it; it
// belongs to nobody, so a caller that gives up, such as a hedged read, does not
// keep a slow node from ever being connected.
func (n *node) ready(ctx context.Context) (backends.Remote, error) {
	l := n.link
	l.mu.Lock()
	if l.remote != nil && l.marked {
		defer l.mu.Unlock()
		return l.remote, nil
	}
	if l.ended {
		l.mu.Unlock()
		return nil, errLeft
	}
	a, mine := l.attempt, false
	if a == nil {
		a, mine = &attempt{done: make(chan struct{})}, true
		l.attempt = a
	}
	l.mu.Unlock()
	if mine && !n.f.spawn(func() { n.connect(a) }) {
		n.settle(a, nil, errClosed)
	}
	select {
	case <-a.done:
		return a.remote, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("connecting: %w: %w", ctx.Err(), cairn.ErrUnavailable)
	}
}

func (n *node) connect(a *attempt) {
	ctx, cancel := context.WithTimeout(n.f.life, connectTime)
	defer cancel()
	n.link.mu.Lock()
	r := n.link.remote
	n.link.mu.Unlock()
	if r == nil {
		var err error
		if r, err = n.f.c.Open(ctx, n.Node); err != nil {
			n.setUnmounted(nil, false)
			n.settle(a, nil, err)
			return
		}
	}
	look, stop := context.WithTimeout(n.f.life, probeTime)
	defer stop()
	n.settle(a, r, n.checkMarker(look, r))
}

// settle ends an attempt. The connection is kept even where the marker is not
// as it should be, for the next look.
func (n *node) settle(a *attempt, r backends.Remote, err error) {
	l := n.link
	l.mu.Lock()
	ended := l.ended
	if !ended && r != nil {
		l.remote = r
	}
	if ended && err == nil {
		err = errLeft
	}
	l.attempt, l.marked = nil, err == nil
	l.mu.Unlock()
	if ended && r != nil {
		_ = closeRemote(r) // the node left while it was being connected
	}
	if err == nil {
		a.remote = r
	}
	a.err = err
	close(a.done)
}

// close ends the connection for good.
func (l *link) close() error {
	l.mu.Lock()
	r := l.remote
	l.remote, l.marked, l.ended = nil, false, true
	l.mu.Unlock()
	if r == nil {
		return nil
	}
	return closeRemote(r)
}

func closeRemote(r backends.Remote) error {
	if c, ok := backends.As[backends.Closer](r); ok {
		return c.Close()
	}
	return nil
}
