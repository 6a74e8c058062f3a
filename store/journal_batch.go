package store

import (
	"context"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// run makes journals of what is collected until ctx ends.
func (j *journaler) run(ctx context.Context) {
	defer j.end()
	for {
		select {
		case <-j.woken:
		case <-ctx.Done():
			return
		}
		for more := true; more; {
			select {
			case j.slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			var batch []*entry
			if batch, more = j.batch(time.Now()); len(batch) == 0 {
				<-j.slots
				continue
			}
			j.s.wg.Go(func() {
				defer func() { <-j.slots }()
				j.journal(ctx, batch)
			})
		}
	}
}

// errJournalsEnded is that the store writes to nodes no more.
var errJournalsEnded = fmt.Errorf("nothing is written to the nodes any more: %w", cairn.ErrUnavailable)

// end answers what will not be in a journal.
func (j *journaler) end() {
	j.mu.Lock()
	left := j.ready
	j.ready, j.ended = nil, true
	j.mu.Unlock()
	for _, e := range left {
		j.finish(e, errJournalsEnded)
	}
}

// batch takes what the next journal holds: the oldest entries of one log pack,
// as many as fit. more says that others are left. Those that are too late are
// answered.
func (j *journaler) batch(now time.Time) (batch []*entry, more bool) {
	var late []*entry
	j.mu.Lock()
	var left []*entry
	frames, records := 0, 0
	for _, e := range j.ready {
		switch {
		case now.After(e.until):
			late = append(late, e)
		case len(batch) > 0 && (e.number != batch[0].number || frames+e.frames > j.s.c.maxJournal() || records+e.records > pack.MaxRecords):
			left = append(left, e)
		default:
			batch = append(batch, e)
			frames, records = frames+e.frames, records+e.records
		}
	}
	j.ready = left
	j.mu.Unlock()
	for _, e := range late {
		j.finish(e, fmt.Errorf("no journal took it within %v: %w", j.s.c.SlowWait, cairn.ErrUnavailable))
	}
	return batch, len(left) > 0
}
