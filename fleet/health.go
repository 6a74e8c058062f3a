package fleet

import (
	"slices"
	"time"
)

// The breaker opens after breakAfter failures in a row and lets one call try
// again after coolFirst, then twice as long each time up to coolMost.
const (
	breakAfter = 3
	coolFirst  = time.Second
	coolMost   = time.Minute
)

// health is what is known of how a node does. It is guarded by link.mu.
type health struct {
	born     time.Time
	fails    int       // in a row
	openTill time.Time // of the breaker; zero while closed
	cool     time.Duration
	trying   bool      // one call is let through an open breaker
	since    time.Time // of the state: answering or not
	answered bool      // at all

	last  [64]time.Duration // of reads, newest overwrites oldest
	reads int

	free, total int64 // bytes, as the node last said
	known       bool  // free and total were asked
	full        bool  // the last put said so

	wrong       int // replies that did not verify
	quarantined bool
	checking    bool // wrong bytes are being read once more
}

// allow says whether a call may be tried now.
func (l *link) allow(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.openTill.IsZero() {
		return true
	}
	if now.Before(l.openTill) || l.trying {
		return false
	}
	l.trying = true
	return true
}

// untried gives the one try of an open breaker back, unused.
func (l *link) untried() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trying = false
}

// result counts one outcome and reports whether the node's state changed.
func (l *link) result(now time.Time, ok bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	wasDown, first := !l.openTill.IsZero(), ok && !l.answered
	l.trying = false
	if ok {
		l.fails, l.openTill, l.cool, l.answered = 0, time.Time{}, 0, true
		if wasDown || first {
			l.since = now
		}
		return wasDown || first
	}
	l.fails++
	if l.fails < breakAfter && !wasDown {
		return false
	}
	l.cool = min(max(2*l.cool, coolFirst), coolMost)
	l.openTill = now.Add(l.cool)
	l.marked = false
	if !wasDown {
		l.since = now
	}
	return !wasDown
}

// up reports whether calls are tried, and since when that is so.
func (l *link) up() (bool, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since.IsZero() {
		return l.openTill.IsZero(), l.born
	}
	return l.openTill.IsZero(), l.since
}

func (l *link) timed(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last[l.reads%len(l.last)] = d
	l.reads++
}

// p95 is the 95th percentile of the last reads; zero while too few are known.
func (l *link) p95() time.Duration {
	l.mu.Lock()
	n := min(l.reads, len(l.last))
	s := slices.Clone(l.last[:n])
	l.mu.Unlock()
	if n < 8 {
		return 0
	}
	slices.Sort(s)
	return s[n*95/100]
}

func (l *link) setFull() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = true
}

// space returns free and total bytes under the cap of capacity bytes (0 for
// none), and whether they are known.
func (l *link) space(capacity uint64) (free, total int64, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	free, total, known = l.free, l.total, l.known
	if !known {
		free, total = 1<<40, 1<<40 // assume room until the node says otherwise
	}
	if c := int64(capacity); c > 0 && c < total {
		free = max(0, min(free, c-(total-free)))
		if !known {
			free = c
		}
		total = c
	}
	if l.full {
		free = 0
	}
	return free, total, known
}
