package fleet

import (
	"slices"
	"time"
)

// Hedging: a read that takes longer than its node's own p95 is raced against
// another place of the shard, or a reconstruction. Each read earns hedgeShare
// of one more, and at most hedgeBurst are saved up.
const (
	hedgeShare = 0.05
	hedgeBurst = 32
	hedgeLeast = 30 * time.Millisecond
	hedgeBlind = 500 * time.Millisecond // while a node's p95 is not known
)

// A node that was late lateMost times in a row is not asked first for slowFirst,
// then twice as long each time up to slowMost, until it is in time once.
const (
	lateMost  = 2
	slowFirst = 2 * time.Second
	slowMost  = time.Minute
)

// bulk is where reads count as large: the two kinds are timed apart, since a
// tail tells nothing about a window of megabytes.
const bulk = 256 << 10

// speed is how fast a node reads. It is guarded by link.mu.
type speed struct {
	small, large times

	lateRow  int // in a row
	slowTill time.Time
	slowFor  time.Duration
}

// times are the last so many, newest over oldest.
type times struct {
	last [64]time.Duration
	n    int // in all
}

func (s *speed) of(size int) *times {
	if size > bulk {
		return &s.large
	}
	return &s.small
}

// timed notes a read that succeeded.
func (l *link) timed(size int, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.of(size)
	t.last[t.n%len(t.last)] = d
	t.n++
	l.lateRow, l.slowTill, l.slowFor = 0, time.Time{}, 0
}

// late notes a read that has taken longer than the node's own usual time.
func (l *link) late(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lateRow++
	if l.lateRow >= lateMost && now.After(l.slowTill) {
		l.slowFor = min(max(2*l.slowFor, slowFirst), slowMost)
		l.slowTill = now.Add(l.slowFor)
	}
}

// p95 is the 95th percentile of the last reads of that kind of size; zero while
// too few are known.
func (l *link) p95(size int) time.Duration {
	l.mu.Lock()
	t := *l.of(size)
	l.mu.Unlock()
	n := min(t.n, len(t.last))
	if n < 8 {
		return 0
	}
	slices.Sort(t.last[:n])
	return t.last[n*95/100]
}

// hedgeAfter is how long to wait for a read of size bytes before it is late.
func (l *link) hedgeAfter(size int) time.Duration {
	p95 := l.p95(size)
	if p95 == 0 {
		return hedgeBlind
	}
	return max(p95+p95/4, hedgeLeast)
}

// spend takes the cost of one hedge, in reads, from the budget.
func (f *Fleet) spend(reads int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.budget < float64(reads) {
		return false
	}
	f.budget -= float64(reads)
	f.m.hedges.Inc()
	return true
}

func (f *Fleet) earn() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.budget = min(f.budget+hedgeShare, hedgeBurst)
}
