package main

import (
	"context"
	"sync"
	"time"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/internal/durable"
)

// awaited is what a verb waits for right now.
type awaited struct {
	mu    sync.Mutex
	on    engine.Unanswered   // but Took; guarded by mu, as all below
	since time.Time           // it is waited for
	held  time.Time           // the store was found in use first
	calls *durable.Attendance // of the disk, where this process looks at it
}

func (a *awaited) set(what string, by engine.Asked, calls *durable.Attendance) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.since = time.Now()
	if by == engine.Holder { // who is asked again and again
		if a.held.IsZero() {
			a.held = a.since
		}
		a.since = a.held
	}
	a.on, a.calls = engine.Unanswered{What: what, By: by}, calls
}

// late is what has taken longer than most; nil while nothing has. A store that
// takes its time to open, with a disk that answers, is not late.
func (a *awaited) late(most time.Duration) *engine.Unanswered {
	a.mu.Lock()
	defer a.mu.Unlock()
	late := a.on
	late.Took = time.Since(a.since)
	if a.calls != nil {
		late.What, late.Took = a.calls.Longest()
	}
	if late.Took < most {
		return nil
	}
	return &late
}

// soon is do for a verb that must answer also when this machine's disk, or the
// gateway, does not: then what hangs is returned. The one goroutine that waits
// for it still does so until the process ends, which is at once: a call into a
// disk that hangs cannot be taken back.
func (o operation[A, R]) soon(ctx context.Context, f *flags, args A) (out R, late *engine.Unanswered, err error) {
	type answer struct {
		out R
		err error
	}
	done := make(chan answer, 1) // room: an answer that comes too late keeps nobody
	f.waits.set("start", engine.Disk, nil)
	go func() {
		out, err := o.do(ctx, f, args)
		done <- answer{out, err}
	}()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case a := <-done:
			return a.out, nil, a.err
		case <-tick.C:
			if late := f.waits.late(f.e.hung); late != nil {
				return out, late, nil
			}
		}
	}
}
