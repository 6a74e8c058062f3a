package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
)

// A release flushes the index, which costs a handful of syncs; it is due when
// releaseBatch packs wait for it, when the oldest waited releaseWait, or when
// the stage is over half full.
const (
	releaseBatch = 16
	releaseWait  = 30 * time.Second
	releaseTick  = time.Second
)

// releaser removes the stages of spread packs until ctx ends.
func (s *Store) releaser(ctx context.Context) {
	t := time.NewTicker(releaseTick)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			s.releaseDue(time.Now())
		case <-ctx.Done():
			return
		}
	}
}

// releaseDue releases what is due and whose shards still stand.
//
// Order: the index rows of records and placement are applied before, the index
// is flushed here, how far the log went that is only on nodes is noted, and only
// then are stages unlinked. A crash between leaves a stage that the index knows as
// spread; the next start takes it up as such.
func (s *Store) releaseDue(now time.Time) {
	if s.writable() != nil {
		return
	}
	due, pressed := s.due(now)
	due = slices.DeleteFunc(due, func(p *staged) bool { return !s.confirm(s.ctx, p, pressed) })
	if len(due) == 0 || s.halt() != nil {
		return
	}
	if err := s.idx.Flush(); err != nil {
		s.fail(err)
		return
	}
	if err := s.noteReleased(due); err != nil {
		s.fail(err)
		return
	}
	var dropped []cairn.PackID // their writes failed meanwhile
	s.mu.Lock()
	for _, p := range due {
		s.forget(p)
		if p.drop {
			dropped = append(dropped, p.id())
		}
	}
	low := s.oldestStamp()
	s.mu.Unlock()
	for _, p := range due {
		s.unlink(p)
	}
	for _, id := range dropped {
		s.retire(id)
	}
	if err := s.c.FS.SyncDir(s.c.stageDir()); err != nil {
		s.c.Log.Warn("released stages may come back after a power loss; they are recognised then", "err", err)
	}
	if err := s.idx.DropTombstones(low); err != nil {
		s.fail(err)
	}
	s.keepReserve()
}

// due picks the packs to release now and marks them busy: spread and settled
// ones, and while the stage is over half full, then pressed, the oldest of those
// that would survive half of their parity, which are at risk until repair
// completes them.
func (s *Store) due(now time.Time) (due []*staged, pressed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pressed = s.used > s.c.StageLimit/2
	var oldest time.Duration
	for _, p := range s.packs {
		if p.phase == spread && !p.busy && (pressed || now.Sub(p.since) >= s.c.Settle) {
			due = append(due, p)
			oldest = max(oldest, now.Sub(p.since)-s.c.Settle)
		}
	}
	if pressed {
		due = append(due, s.early()...)
	} else if len(due) < releaseBatch && oldest < min(releaseWait, max(4*s.c.Settle, releaseTick)) {
		return nil, false
	}
	for _, p := range due {
		p.busy = true
	}
	return due, pressed
}

// early picks incomplete packs while the stage is over half full even without
// the complete ones; s.mu is held.
func (s *Store) early() (due []*staged) {
	var some []*staged
	left := s.used
	for _, p := range s.packs {
		if p.phase == spread {
			left -= p.size
		}
		if p.phase == sealed && !p.busy && !p.drop && len(p.at) >= enough(p) {
			some = append(some, p)
		}
	}
	slices.SortFunc(some, func(a, b *staged) int { return cmp.Compare(a.id().Seq(), b.id().Seq()) })
	for _, p := range some {
		if left <= s.c.StageLimit/2 {
			break
		}
		left -= p.size
		due = append(due, p)
	}
	return due
}

// enough is how many shards a pack may leave the stage with under pressure.
func enough(p *staged) int {
	c := p.file.Sealed().Trailer.Coding
	return c.K + (c.M+1)/2
}

// confirm reads the tails of p's shards once more before its stage goes: a node
// may have acknowledged what it then lost. With fewer than it takes p goes back
// to the spreader.
func (s *Store) confirm(ctx context.Context, p *staged, pressed bool) bool {
	t := p.file.Sealed().Trailer
	at := s.c.Nodes.Verify(ctx, t.Params, p.at)
	need, n := t.Coding.N(), t.Coding.N()
	if pressed {
		need = enough(p)
	}
	if ctx.Err() != nil {
		return false // closing; nothing was learnt
	}
	s.mu.Lock()
	changed := len(at) != len(p.at) || p.phase != spread
	p.at = at
	if len(at) < need {
		p.phase, p.checked, p.retry, p.busy = sealed, time.Time{}, time.Time{}, false
		s.mu.Unlock()
		s.c.Log.Warn("shards that stood do not any more; the pack stays on this machine", "pack", p.id(), "shards", len(at), "of", n)
		s.kick()
		return false
	}
	s.mu.Unlock()
	if changed && s.list(p) != nil {
		return false // the store has failed
	}
	if len(at) < n {
		s.c.Log.Warn("the stage is over half full: a pack leaves it with fewer shards than it should have", "pack", p.id(), "shards", len(at), "of", n)
	}
	return true
}

// oldestStamp is a stamp at or below every record that is still staged; s.mu
// is held. Tombstones below it have done their work.
func (s *Store) oldestStamp() cairn.Stamp {
	low := s.idx.Applied()
	if after, ok := s.unseen.after(); ok && after.Compare(low) < 0 {
		low = after
	}
	for _, p := range s.packs {
		if len(p.records) > 0 && p.records[0].Stamp.Compare(low) < 0 {
			low = p.records[0].Stamp
		}
	}
	return low
}

// Flush closes the open pack and waits until every pack on this disk is spread.
// A pack that cannot be ends the wait with what is in its way.
func (s *Store) Flush(ctx context.Context) error {
	began := time.Now()
	if err := s.com.closeNow(ctx); err != nil {
		return err
	}
	s.c.Nodes.Ready(ctx)
	s.retryNow()
	s.kick()
	for {
		if err := s.writable(); err != nil {
			return err
		}
		s.mu.Lock()
		eased := s.eased
		var why error
		waiting := 0
		for _, p := range s.packs {
			switch {
			case p.phase == writing && p.why != nil: // damaged, and for ever here
				why = cmp.Or(why, p.why)
			case p.phase == spread || p.phase == writing || p.drop:
			default:
				waiting++
				if p.why != nil && p.retry.After(began) {
					why = cmp.Or(why, p.why)
				}
			}
		}
		s.mu.Unlock()
		if waiting == 0 || why != nil {
			return why
		}
		select {
		case <-eased:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ctx.Done():
			return s.closing()
		}
	}
}
