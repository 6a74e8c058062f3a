package store

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// op is one write waiting for the committer.
type op struct {
	bytes int            // most sealed bytes of frames it adds to the group
	recs  int            // most bytes of records it adds
	alone bool           // gets a group of its own: it decides over more than one key
	packs []cairn.PackID // data packs made for it, which nothing else names
	// build decides and adds to t, or returns why not, having added nothing.
	build  func(t *txn) error
	queued time.Time
	err    error
	logged bool  // its record may be on the disk, whatever err says
	scope  scope // whose ack it takes
	// Of one that is answered only when it stands on nodes (journal.go).
	spread  bool
	from    uint32         // where its group begins
	changes []index.Change // that it added
	claimed *claim
	done    chan struct{}
}

// committer is the one writer of the log. It decides conditions, stamps
// records, seals small bodies, writes groups and applies them to the index.
type committer struct {
	s        *Store
	in       chan *op
	roll     chan chan struct{} // close the open log stage, then close the answer
	quit     chan struct{}
	stopped  chan struct{}
	stopOnce sync.Once
	inflight atomic.Int64 // writes begun and not yet answered

	// The rest belongs to the committer's goroutine.
	life    lifeState
	open    *staged // log stage being written, nil for none
	off     uint32  // where its next group goes
	link    pack.Link
	began   time.Time      // of the open stage's first record
	sync    time.Duration  // of the last group, wall time
	lastOps int            // writes it answered
	left    []*op          // waiting for the next group
	buf     []byte         // of a group
	voids   []cairn.Stamp  // logged by a group whose sync failed, not yet taken back
	orphans []cairn.PackID // data packs that nothing names once voids are
	nBytes  int            // encoded records in the open stage
}

// begin counts a write in flight; the sync rule waits for it.
func (c *committer) begin() (end func()) {
	c.inflight.Add(1)
	leave := c.s.clients.enter()
	return func() { c.inflight.Add(-1); leave() }
}

// submit hands o over and waits for its answer. After the hand-over the answer
// is awaited even when ctx ends: the write may already be durable.
func (c *committer) submit(ctx context.Context, o *op) error {
	if err := c.s.writable(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("store: %w: %w", err, cairn.ErrUnavailable)
	}
	o.done = make(chan struct{})
	o.queued = time.Now()
	select {
	case c.in <- o:
	case <-c.quit:
		return fmt.Errorf("store: shutting down: %w", cairn.ErrUnavailable)
	case <-ctx.Done():
		return fmt.Errorf("store: %w: %w", ctx.Err(), cairn.ErrUnavailable)
	}
	select {
	case <-o.done:
		return o.err
	case <-c.stopped:
		select {
		case <-o.done:
			return o.err
		default:
			return fmt.Errorf("store: shutting down: %w", cairn.ErrUnavailable)
		}
	}
}

// run is the committer's goroutine.
func (c *committer) run() {
	defer close(c.stopped)
	for {
		batch, ok := c.gather()
		if !ok {
			break
		}
		if len(batch) > 0 {
			c.group(batch)
		}
		if c.open != nil && !c.began.IsZero() && time.Since(c.began) >= c.s.c.FlushAge {
			c.closeStage()
		}
	}
	for len(c.left) > 0 {
		batch := c.left
		c.left = nil
		c.group(batch)
	}
	c.closeStage()
}

// gather waits for writes until a sync is due: the last one is done (this
// goroutine did it) and all writes in flight wait, or GroupCount wait, or the
// oldest has waited GroupWait.
//
// Company that is likely is then worth a little more: those who were just
// answered tend to come back at once. They get briefWait, or on a disk that
// takes longer for a sync than that, as a shingled one, the time of the last
// sync, at most longestWait.
func (c *committer) gather() ([]*op, bool) {
	batch := c.drain(c.left)
	c.left = nil
	company := len(batch) + c.lastOps
	if len(batch) == 0 {
		o, more := c.first()
		if o == nil {
			return nil, more
		}
		batch = c.drain(append(batch, o))
	}
	batch = c.wait(batch, c.s.c.GroupWait-time.Since(batch[0].queued), func() int { return min(int(c.inflight.Load()), c.s.c.GroupCount) })
	extra := briefWait
	if c.sync > c.s.c.GroupWait/2 {
		extra = min(c.sync, longestWait)
		company = max(company, int(c.inflight.Load()))
	} else {
		company = min(company, c.s.c.GroupCount)
	}
	return c.drain(c.wait(batch, extra, func() int { return company })), true
}

// What a write waits for company beyond the rule.
const (
	briefWait   = time.Millisecond
	longestWait = 50 * time.Millisecond
)

// first waits for a write, for the open stage to come of age, or for the end.
func (c *committer) first() (o *op, more bool) {
	var age <-chan time.Time
	if c.open != nil && !c.began.IsZero() {
		t := time.NewTimer(time.Until(c.began.Add(c.s.c.FlushAge)))
		defer t.Stop()
		age = t.C
	}
	select {
	case o := <-c.in:
		return o, true
	case answer := <-c.roll:
		c.closeStage()
		c.s.viewed(c.life.last)
		close(answer)
		return nil, true
	case <-age:
		return nil, true
	case <-c.quit:
		return nil, false
	}
}

// wait takes writes until there are enough, or for most.
func (c *committer) wait(batch []*op, most time.Duration, enough func() int) []*op {
	if len(batch) >= enough() {
		return batch
	}
	t := time.NewTimer(most)
	defer t.Stop()
	for len(batch) < enough() {
		select {
		case o := <-c.in:
			batch = append(batch, o)
			continue
		case <-t.C:
		case <-c.quit:
		}
		break
	}
	return batch
}

// drain adds the writes that wait to be taken.
func (c *committer) drain(batch []*op) []*op {
	for {
		select {
		case o := <-c.in:
			batch = append(batch, o)
		default:
			return batch
		}
	}
}

// closeNow closes the open log stage and returns when it waits for the
// spreader.
func (c *committer) closeNow(ctx context.Context) error {
	answer := make(chan struct{})
	select {
	case c.roll <- answer:
	case <-c.stopped:
		return c.s.closing()
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-answer:
		return nil
	case <-c.stopped:
		return c.s.closing()
	}
}

func (c *committer) stop(ctx context.Context) error {
	c.stopOnce.Do(func() { close(c.quit) })
	select {
	case <-c.stopped:
		return nil
	case <-ctx.Done():
		<-c.stopped // the group in progress ends with its sync; nothing else is waited for
		return nil
	}
}
