package sftp

import (
	"context"
	"errors"
	"time"

	"github.com/cairn-storage/cairn/backends"
)

// maxDrain is how long an abandoned call may keep the link it is on although
// the node answers probes: its disk hangs, or a proxy answers in its stead.
const maxDrain = 30 * time.Second

var errStuck = errors.New("a request was not answered")

// do runs f on a live link and returns soon after ctx ends, whatever the node
// does. f then goes on by itself: it must look at its ctx before it does what
// its caller no longer wants, and touch nothing of its caller's.
//
// When a link that stood before this call turns out to be dead, f runs once
// more on a new one: that the node restarted or another caller's request hung
// is none of this caller's business. f must bear repeating.
func (r *Remote) do(ctx context.Context, op, name string, f func(context.Context, *link) error) error {
	start := time.Now()
	for {
		if ctx.Err() != nil {
			return r.fail(op, name, ended(ctx))
		}
		l, err := r.connect(ctx)
		if err != nil {
			return r.fail(backends.OpConnect, "", err)
		}
		if err = l.run(ctx, r.c.drain, f); !lost(err) || ctx.Err() != nil || l.born.After(start) {
			return r.fail(op, name, err)
		}
	}
}

// run waits for f or for the end of ctx. An f that goes on for drain after
// that costs the link.
func (l *link) run(ctx context.Context, drain time.Duration, f func(context.Context, *link) error) error {
	done := make(chan error, 1) // room for the answer that nobody waits for
	finished := make(chan struct{})
	if !l.tend(func() {
		defer close(finished)
		done <- f(ctx, l)
	}) {
		return &lostError{l.cause()}
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done: // both at once: the answer tells more
		return err
	default:
	}
	// The node may be slow, gone, or only slower than another. Dropping the
	// link in each case would make every hedged read cost a connection.
	l.suspect()
	l.tend(func() {
		timer := time.NewTimer(drain)
		defer timer.Stop()
		select {
		case <-finished:
		case <-l.dead:
		case <-timer.C:
			l.drop(errStuck)
		}
	})
	return ended(ctx)
}
