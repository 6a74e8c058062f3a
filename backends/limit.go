package backends

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"
)

// quietAfter is how long no client's call must have been on a node before the
// background has all of it: longer than a client takes from one small object to
// the next, and short for whoever waits for a repair.
const quietAfter = time.Second

// waitMost is how long the background waits behind clients that leave no call
// free: then one of its calls goes before them.
const waitMost = 5 * time.Second

// Limit lets at most n calls (at least 1) run on r at once. Others wait, no
// longer than their ctx. Calls of the background (see Background) wait behind all
// others, one of them at a time no longer than waitMost, and while there are, or
// were a moment ago, calls of clients, one of the background runs at a time: what
// it has on the line is in the way of every answer behind it. A listing holds its
// slot only while the node works for it, not while its consumer does, so that a
// consumer may call r.
func Limit(r Remote, n int) Remote {
	l := &limit{most: max(n, 1)}
	l.Around = Around{Inner: r, Do: l.do}
	return l
}

type limit struct {
	Around
	most int

	mu      sync.Mutex // guards what follows; nothing waits under it
	running [2]int     // calls, by who wants them
	waiting [2][]waiter
	last    time.Time // a client's call began or ended
}

// waiter is a call that waits for its turn, which is closed then.
type waiter struct {
	turn  chan struct{}
	since time.Time
}

// Calls are kept apart by who wants them.
const (
	ofClients = iota
	ofBackground
)

func kindOf(ctx context.Context) int {
	if IsBackground(ctx) {
		return ofBackground
	}
	return ofClients
}

// fits reports whether a call may run now; mu is held.
func (l *limit) fits(kind int) bool {
	switch {
	case l.running[ofClients]+l.running[ofBackground] >= l.most:
		return false
	case kind == ofClients, l.running[ofBackground] == 0:
		return true
	}
	return l.running[ofClients] == 0 && time.Since(l.last) >= quietAfter
}

// begin counts a call that runs from now on; mu is held.
func (l *limit) begin(kind int) {
	l.running[kind]++
	if kind == ofClients {
		l.last = time.Now()
	}
}

func (l *limit) enter(ctx context.Context, kind int) error {
	if err := ctx.Err(); err != nil {
		return err // select would choose at random
	}
	l.mu.Lock()
	if len(l.waiting[ofClients]) == 0 && (kind == ofClients || len(l.waiting[ofBackground]) == 0) && l.fits(kind) {
		l.begin(kind)
		l.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	l.waiting[kind] = append(l.waiting[kind], waiter{turn, time.Now()})
	l.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	i := slices.IndexFunc(l.waiting[kind], func(w waiter) bool { return w.turn == turn })
	if i >= 0 {
		l.waiting[kind] = slices.Delete(l.waiting[kind], i, i+1)
	}
	l.mu.Unlock()
	if i < 0 { // its turn came all the same
		l.leave(kind)
	}
	return fmt.Errorf("waiting for one of %d slots: %w", l.most, ctx.Err())
}

// leave ends a call and lets those run that may now. Whoever waits, waits for a
// call that runs and ends here: with none of its own kind the background does not
// wait for clients to be quiet.
func (l *limit) leave(kind int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running[kind]--
	if kind == ofClients {
		l.last = time.Now()
	}
	if w := l.waiting[ofBackground]; len(w) > 0 && time.Since(w[0].since) >= waitMost {
		l.next(ofBackground)
	}
	for kind := range l.waiting {
		for l.next(kind) {
		}
	}
}

// next lets the first run that waits, if it may; mu is held.
func (l *limit) next(kind int) bool {
	if len(l.waiting[kind]) == 0 || !l.fits(kind) {
		return false
	}
	close(l.waiting[kind][0].turn)
	l.waiting[kind] = l.waiting[kind][1:]
	l.begin(kind)
	return true
}

func (l *limit) do(ctx context.Context, _ Call, run func(context.Context) error) error {
	kind := kindOf(ctx)
	if err := l.enter(ctx, kind); err != nil {
		return err
	}
	defer l.leave(kind)
	return run(ctx)
}

func (l *limit) List(ctx context.Context, dir string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		kind := kindOf(ctx)
		if err := l.enter(ctx, kind); err != nil {
			yield(Entry{}, err)
			return
		}
		inside := true
		defer func() {
			if inside {
				l.leave(kind)
			}
		}()
		for e, err := range l.Inner.List(ctx, dir) {
			l.leave(kind)
			inside = false
			if !yield(e, err) || err != nil {
				return
			}
			if err := l.enter(ctx, kind); err != nil {
				yield(Entry{}, err)
				return
			}
			inside = true
		}
	}
}
