package fleet

import (
	"time"

	"github.com/cairn-storage/cairn/backends"
)

// The breaker opens after breakAfter failures in a row and lets one call try
// again after coolFirst, then twice as long each time up to coolMost.
const (
	breakAfter = 3
	coolFirst  = time.Second
	coolMost   = time.Minute
)

// health is whether a node answers. It is guarded by link.mu.
type health struct {
	born     time.Time
	fails    int       // in a row
	openTill time.Time // when an open breaker lets a call try; zero while closed
	cool     time.Duration
	since    time.Time // of the state: answering or not
	answered bool      // at all
	why      string    // it last failed
}

// allow says whether a call may be tried now, and whether it is the trial of an
// open breaker. A trial that has no outcome after the breaker's time lets
// another one try, so nothing that becomes of it can keep the breaker open.
func (l *link) allow(now time.Time) (ok, trial bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.openTill.IsZero():
		return true, false
	case now.Before(l.openTill):
		return false, false
	}
	l.openTill = now.Add(l.cool)
	return true, true
}

// untried gives the trial of an open breaker back, unused.
func (l *link) untried(now time.Time, trial bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if trial && !l.openTill.IsZero() {
		l.openTill = now
	}
}

// result counts one outcome and reports whether the node's state changed. While
// the breaker is open only its trials make it wait longer: the calls that were
// under way when it opened fail together. Once it waits coolMost each trial
// gets a new connection, in case the old one is what hangs; stale is the old.
func (l *link) result(now time.Time, down, trial bool, err error) (changed bool, stale backends.Remote) {
	l.mu.Lock()
	defer l.mu.Unlock()
	open := !l.openTill.IsZero()
	if !down {
		changed = open || !l.answered
		if changed {
			l.since = now
		}
		l.fails, l.openTill, l.cool, l.answered, l.why, l.last = 0, time.Time{}, 0, true, "", now.UTC().Round(0)
		return changed, nil
	}
	l.fails++
	l.why = err.Error()
	l.marked = false // whatever it was: look whose disk answers next
	switch {
	case open && trial:
		l.cool = min(2*l.cool, coolMost)
		l.openTill = now.Add(l.cool)
		if l.cool == coolMost {
			stale, l.remote = l.remote, nil
		}
	case !open && l.fails >= breakAfter:
		l.cool = coolFirst
		l.openTill, l.since = now.Add(l.cool), now
		return true, nil
	}
	return false, stale
}

// up reports whether calls are tried, and since when that is so.
func (l *link) up() (bool, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since.IsZero() {
		return true, l.born
	}
	return l.openTill.IsZero(), l.since
}

// due reports whether the watcher should try the node before its time.
func (l *link) due(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return (l.fails > 0 || now.Before(l.slowTill)) && !now.Before(l.openTill)
}

func (l *link) reason() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.why
}
