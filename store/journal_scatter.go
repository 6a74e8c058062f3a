package store

import (
	"context"
	"errors"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
)

// maxJournal bounds the frames of one journal, bytes: a small pack that is
// copied to 1+m nodes while clients wait.
func (c *Config) maxJournal() int { return int(min(maxGroup, c.PackSize)) }

// journal makes the writes of batch stand on nodes and answers them.
//
// No stage is made for it: it is sealed once, in memory, under an id that is
// never used again, and what a crash leaves of it on nodes is a journal whose
// log pack is staged here, which nobody needs.
func (j *journaler) journal(ctx context.Context, batch []*entry) {
	err := j.scatter(ctx, batch)
	if errors.Is(err, errStands) {
		err = nil
	}
	j.note(err)
	for _, e := range batch {
		j.finish(e, err)
	}
}

// errStands is that a journal came too late to be of use: the log pack stands.
var errStands = errors.New("the log pack stands")

func (j *journaler) scatter(ctx context.Context, batch []*entry) error {
	s := j.s
	ctx, cancel := context.WithDeadline(ctx, batch[len(batch)-1].until)
	defer cancel()
	if err := s.writable(); err != nil {
		return err
	}
	if s.stands(batch[0].log) {
		return errStands
	}
	coding, err := j.coding()
	if err != nil {
		return err
	}
	number := batch[0].number
	files, row, err := j.seal(batch, number, coding)
	if err != nil {
		return err
	}
	var meant []cairn.Location // where shards may lie, whatever becomes of this
	at, err := s.c.Nodes.Scatter(ctx, files, nil, func(round []cairn.Location) error {
		meant = append(meant, round...)
		return nil
	})
	row.At, row.State = at, index.Spread
	if err != nil {
		row.At, row.State = meant, index.Retiring
		if len(meant) == 0 {
			return err
		}
	}
	if serr := s.idx.SetPack(row); serr != nil {
		s.fail(serr)
		return serr
	}
	j.enter(row)
	if err != nil {
		return err
	}
	s.m.journal(len(batch))
	if s.stands(batch[0].log) {
		j.stood(batch[0].log)
		j.retire(number)
	}
	return nil
}

// note remembers whether journals work, so that writes are refused at once, and
// before anything is stored, while it is known that they do not.
func (j *journaler) note(err error) {
	changed := j.s.c.Nodes.Changed()
	j.mu.Lock()
	defer j.mu.Unlock()
	if err == nil {
		j.down, j.tries = nil, 0
		return
	}
	if !errors.Is(err, cairn.ErrUnavailable) {
		j.s.c.Log.Error("a journal failed", "err", err)
	}
	j.tries++
	j.down, j.changed = err, changed
	j.again = time.Now().Add(min(retryFirst<<min(j.tries-1, 10), journalRetry))
}

// journalRetry is the longest that writes are refused for one journal that
// failed, before another is tried.
const journalRetry = 2 * time.Second
