package sftp

import (
	"context"
	"errors"
	"fmt"
)

// attempt is one try to connect, shared by everybody who waits for it.
type attempt struct {
	cancel  context.CancelFunc
	waiters int           // guarded by Remote.mu
	done    chan struct{} // closed when link and err are set
	link    *link
	err     error
}

// connect returns a live link, dialing when there is none. All callers share
// one attempt; it goes on while anyone waits for it.
func (r *Remote) connect(ctx context.Context) (*link, error) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil, errClosed
	}
	if r.link != nil && r.link.alive() {
		defer r.mu.Unlock()
		return r.link, nil
	}
	a := r.dialing
	if a == nil {
		a = r.startDial()
	}
	a.waiters++
	r.mu.Unlock()

	select {
	case <-a.done:
		return a.link, a.err
	case <-ctx.Done():
		r.abandonDial(a)
		return nil, ended(ctx)
	}
}

// startDial is called with mu held.
func (r *Remote) startDial() *attempt {
	ctx, cancel := context.WithTimeoutCause(r.life, r.c.ConnectTimeout,
		fmt.Errorf("no connection after %v", r.c.ConnectTimeout))
	a := &attempt{cancel: cancel, done: make(chan struct{})}
	r.dialing = a
	r.wg.Go(func() {
		defer cancel()
		l, err := r.dial(ctx)
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		r.finishDial(a, l, err)
	})
	return a
}

func (r *Remote) finishDial(a *attempt, l *link, err error) {
	r.mu.Lock()
	wanted := r.dialing == a && !r.closed
	if r.dialing == a {
		r.dialing = nil
	}
	if err == nil && !wanted {
		err = errClosed // nobody waits any more
	}
	if err == nil {
		r.link = l
	}
	r.mu.Unlock()

	if err != nil && l != nil {
		l.drop(err)
		l = nil
	}
	a.link, a.err = l, err
	close(a.done)
}

// abandonDial gives the attempt up when the last waiter leaves: to hang on in
// a black hole would make the next caller wait for nothing.
func (r *Remote) abandonDial(a *attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a.waiters--
	if a.waiters > 0 {
		return
	}
	a.cancel()
	if r.dialing == a {
		r.dialing = nil
	}
}

// maxLeftovers bounds what is remembered for removal; the rest is found by
// whoever lists tmp/.
const maxLeftovers = 64

// leave remembers a temporary that could not be removed.
func (r *Remote) leave(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.leftovers) < maxLeftovers {
		r.leftovers = append(r.leftovers, name)
	}
}

// clean removes temporaries that earlier connections left behind.
func (r *Remote) clean(l *link) {
	r.mu.Lock()
	names := r.leftovers
	r.leftovers = nil
	r.mu.Unlock()
	for i, name := range names {
		if err := l.small().c.Remove(r.at(name)); err != nil && !answered(err) {
			for _, n := range names[i:] {
				r.leave(n) // for the next connection
			}
			return
		}
	}
}

var errClosed = errors.New("the remote is closed")
