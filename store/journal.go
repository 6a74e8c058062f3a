package store

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
)

// What Config.Ack and SetBucketAck take: when a write is answered.
const (
	AckStaged = "staged" // once it is durable on this machine
	AckSpread = "spread" // once it also stands on nodes, with all that it refers to
)

// journalWidth is how many journals are scattered at a time; what comes
// meanwhile goes into the next one together.
const journalWidth = 4

// journaler answers the writes of ack = "spread": after their group is durable
// here, their records and the frames that stand in no pack on the nodes yet are
// scattered in a journal, a small pack of its own, coded 1+m.
//
// What an answer means: of the nodes any m, as many as the present coding bears,
// may vanish together with this machine, and the write is there exactly. So all
// 1+m shards of the journal stand before, and all n of every other pack that
// the write refers to: a pack is as safe as its missing shards let it be, and
// nobody will be here to make them.
//
// Where that fails, or takes longer than Config.SlowWait, the write stays: it is
// durable and visible here and will reach the nodes in its log pack. It is
// answered with ErrUnavailable, which says that it may have been done; taking it
// back instead would let others have read, or been refused for, a version that
// never was. Who asks the same again gets what came of the first time: see
// claim.
type journaler struct {
	s     *Store
	on    atomic.Bool   // some write may want it; never false again
	slots chan struct{} // one for each journal being scattered
	woken chan struct{} // room for one: there is something to collect

	mu      sync.Mutex
	ended   bool                      // no journal is made any more; guarded by mu
	ready   []*entry                  // for the next journals, in order; guarded by mu
	pending map[*entry]bool           // not answered yet; guarded by mu
	doubt   map[cairn.PackID]bool     // log packs, not on nodes, with records that no journal has; guarded by mu
	unsure  map[objectID]cairn.Stamp  // versions whose writers were told ErrUnavailable; guarded by mu
	down    error                     // why the last journal failed; guarded by mu
	again   time.Time                 // when the next is tried in spite of that; guarded by mu
	tries   int                       // journals that failed in a row; guarded by mu
	changed <-chan struct{}           // of the nodes, when the last one failed; guarded by mu
	live    map[uint64][]cairn.PackID // journals that stand, by number of the log pack; guarded by mu
	count   int                       // of them; guarded by mu
	retired int                       // journals given up whose shards may lie on nodes; guarded by mu
	bytes   int64                     // of the files of both on nodes; guarded by mu
}

// entry is one write on its way into a journal.
type entry struct {
	op      *op
	log     cairn.PackID // its log pack
	number  uint64       // of that
	changes []index.Change
	frames  int // most bytes of sealed frames that it brings along
	records int // of encoded records
	until   time.Time
	done    chan struct{} // closed when err is set
	err     error
}

func newJournaler(s *Store) *journaler {
	j := &journaler{s: s, slots: make(chan struct{}, journalWidth), woken: make(chan struct{}, 1),
		pending: make(map[*entry]bool), doubt: make(map[cairn.PackID]bool), unsure: make(map[objectID]cairn.Stamp),
		live: make(map[uint64][]cairn.PackID)}
	j.on.Store(s.c.Ack == AckSpread)
	return j
}

// take answers ops, whose group is durable in log, in time.
func (j *journaler) take(ops []*op, log *staged) {
	until := time.Now().Add(j.s.c.SlowWait)
	for _, o := range ops {
		j.s.com.inflight.Add(-1) // it keeps no other write waiting for company
		if len(o.changes) == 0 {
			j.takeWord(o, until)
			continue
		}
		e := &entry{op: o, log: log.id(), number: log.file.Number, changes: o.changes, until: until, done: make(chan struct{})}
		j.mu.Lock()
		j.pending[e] = true
		j.mu.Unlock()
		missing := j.measure(e)
		if len(missing) == 0 {
			j.collect(e)
			continue
		}
		j.s.wg.Go(func() {
			ctx, cancel := context.WithDeadline(j.s.pub, e.until)
			defer cancel()
			if err := j.s.await(ctx, missing); err != nil {
				j.finish(e, fmt.Errorf("what the write refers to does not stand on enough nodes: %w", err))
				return
			}
			j.measure(e)
			j.collect(e)
		})
	}
}

// collect hands e to the next journal.
func (j *journaler) collect(e *entry) {
	j.mu.Lock()
	ended := j.ended
	if !ended {
		j.ready = append(j.ready, e)
	}
	j.mu.Unlock()
	if ended {
		j.finish(e, errJournalsEnded)
		return
	}
	select {
	case j.woken <- struct{}{}:
	default: // it is awake already
	}
}

// takeWord answers o, which added no record: a refusal, or a write that found
// its work done. What it rests on may be pending itself, so it waits for that.
func (j *journaler) takeWord(o *op, until time.Time) {
	j.mu.Lock()
	var before []*entry
	for e := range j.pending {
		before = append(before, e)
	}
	var logs []cairn.PackID
	for id := range j.doubt {
		logs = append(logs, id)
	}
	j.mu.Unlock()
	if len(before)+len(logs) == 0 || o.err == errOutgrown {
		j.answer(o, nil)
		return
	}
	j.s.wg.Go(func() {
		ctx, cancel := context.WithDeadline(j.s.pub, until)
		defer cancel()
		j.answer(o, j.settle(ctx, before, logs))
	})
}

// settle waits until the entries and the log packs stand.
func (j *journaler) settle(ctx context.Context, before []*entry, logs []cairn.PackID) error {
	for _, e := range before {
		select {
		case <-e.done:
			if e.err != nil {
				return e.err
			}
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), cairn.ErrUnavailable)
		}
	}
	return j.s.await(ctx, logs)
}

// answer ends the wait of o's caller.
func (j *journaler) answer(o *op, err error) {
	if err != nil {
		o.err = fmt.Errorf("store: the write is kept here but does not stand on the nodes, as ack = %q wants: %w: %w", AckSpread, err, cairn.ErrUnavailable)
		if o.claimed != nil {
			j.doubted(o.claimed.objectID, o.claimed.stamp)
		}
	}
	j.s.com.inflight.Add(1) // its caller takes it off
	close(o.done)
}

// finish answers e.
func (j *journaler) finish(e *entry, err error) {
	e.err = err
	j.mu.Lock()
	delete(j.pending, e)
	if err != nil {
		j.doubt[e.log] = true
	}
	j.mu.Unlock()
	if err != nil {
		for _, ch := range e.changes {
			if p, ok := putIn(ch.Record.Body); ok {
				j.doubted(objectID{p.Bucket, p.Key}, ch.Record.Stamp)
			}
		}
		if j.s.stands(e.log) { // it came there meanwhile
			j.stood(e.log)
		}
	}
	close(e.done)
	j.answer(e.op, err)
}
