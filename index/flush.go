package index

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	flushAt   = 16 << 20 // bytes of batches after which a flush is begun
	maxLevels = 32       // sublevels of L0 that one read may have to look into
)

// flow bounds what waits in memory: at most one flush runs behind while
// flushAt bytes more come in, then writers wait. Pebble's own limits are off,
// because a writer waiting there waits for ever when flushes fail.
type flow struct {
	batches atomic.Uint64 // written so far
	flushed atomic.Uint64 // of them, known durable

	mu     sync.Mutex
	fresh  int             // bytes written since the last flush was begun
	behind <-chan struct{} // closed when that flush is done; nil for none
	ended  chan struct{}   // made by who waits for a compaction
}

// wrote counts a batch of n bytes and tells whether a flush is due.
func (f *flow) wrote(n int) (due bool) {
	f.batches.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fresh += n
	if f.fresh < flushAt {
		return false
	}
	select {
	case <-f.behind:
		f.behind = nil
	default:
	}
	return f.behind == nil
}

func (f *flow) began(done <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fresh, f.behind = 0, done
}

// full is the flush to wait for before the next write, or nil.
func (f *flow) full() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fresh < flushAt {
		return nil
	}
	return f.behind
}

// nextCompaction is closed when a compaction ends. Ask for it before looking.
func (f *flow) nextCompaction() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended == nil {
		f.ended = make(chan struct{})
	}
	return f.ended
}

func (f *flow) compactionEnded() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended != nil {
		close(f.ended)
		f.ended = nil
	}
}

// room waits until a batch may be written. Call it without locks.
func (x *Index) room() error {
	if err := x.ill.check(); err != nil {
		return err
	}
	done := x.flow.full()
	if done == nil {
		return nil
	}
	select {
	case <-done:
	case <-x.ill.ill:
		return x.ill.err
	}
	for {
		ended := x.flow.nextCompaction()
		if x.db.Metrics().Levels[0].Sublevels < maxLevels {
			return nil
		}
		again := time.NewTimer(time.Second) // compactions may have been waiting for something else
		select {
		case <-ended:
		case <-again.C:
		case <-x.ill.ill:
			again.Stop()
			return x.ill.err
		}
		again.Stop()
	}
}

// wrote accounts a committed batch of n bytes, and begins a flush when due.
func (x *Index) wrote(n int) error {
	if x.flow.wrote(n) {
		done, err := x.db.AsyncFlush()
		if err != nil {
			return fmt.Errorf("index: flush: %w", classed(err))
		}
		x.flow.began(done)
	}
	return x.ill.check()
}

// Flush returns nil when everything applied before the call survives a power
// loss. It covers any number of batches at the price of one.
func (x *Index) Flush() error {
	if !x.users.enter() {
		return errClosed()
	}
	defer x.users.leave()
	return x.flush()
}

func (x *Index) flush() error {
	if err := x.ill.check(); err != nil {
		return err
	}
	batches := x.flow.batches.Load()
	if x.flow.flushed.Load() >= batches {
		return nil
	}
	done, err := x.db.AsyncFlush()
	if err != nil {
		return fmt.Errorf("index: flush: %w", classed(err))
	}
	x.flow.began(done)
	select {
	case <-done:
	case <-x.ill.ill:
	}
	if err := x.ill.check(); err != nil {
		return err
	}
	for have := x.flow.flushed.Load(); have < batches; have = x.flow.flushed.Load() {
		if x.flow.flushed.CompareAndSwap(have, batches) {
			break
		}
	}
	return nil
}
