package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
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

// releaseDue releases what is due.
//
// Order: the index rows of records and placement are applied before (scatter),
// the index is flushed here, and only then are stages unlinked. A crash between
// leaves a stage that the index knows as spread; the next start removes it.
func (s *Store) releaseDue(now time.Time) {
	due := s.due(now)
	if len(due) == 0 || s.err() != nil {
		return
	}
	if err := s.idx.Flush(); err != nil {
		s.fail(err)
		return
	}
	s.mu.Lock()
	for _, p := range due {
		s.forget(p)
	}
	low := s.oldestStamp()
	s.mu.Unlock()
	for _, p := range due {
		s.unlink(p)
	}
	if err := s.c.FS.SyncDir(s.c.stageDir()); err != nil {
		s.c.Log.Warn("released stages may come back after a power loss; they are recognised then", "err", err)
	}
	if err := s.idx.DropTombstones(low); err != nil {
		s.fail(err)
	}
}

// due picks the packs to release now: spread and settled ones, and while the
// stage is over half full the oldest of those that would survive half of their
// parity, which are then at risk until repair completes them.
func (s *Store) due(now time.Time) (due []*staged) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pressed := s.used > s.c.StageLimit/2
	var oldest time.Duration
	for _, p := range s.packs {
		if p.phase == spread && !p.busy && (pressed || now.Sub(p.since) >= s.c.Settle) {
			due = append(due, p)
			oldest = max(oldest, now.Sub(p.since)-s.c.Settle)
		}
	}
	if !pressed {
		if len(due) < releaseBatch && oldest < min(releaseWait, max(s.c.Settle, releaseTick)) {
			return nil
		}
		return due
	}
	return append(due, s.early()...)
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
		if p.phase == sealed && !p.busy && !p.drop {
			if c := p.file.Sealed().Trailer.Coding; len(p.at) >= c.K+(c.M+1)/2 {
				some = append(some, p)
			}
		}
	}
	slices.SortFunc(some, func(a, b *staged) int { return cmp.Compare(a.id().Seq(), b.id().Seq()) })
	for _, p := range some {
		if left <= s.c.StageLimit/2 {
			break
		}
		if err := s.idx.SetPack(s.row(p, index.Spread)); err != nil {
			s.c.Log.Error("placement not recorded", "pack", p.id(), "err", err)
			break
		}
		s.c.Log.Warn("the stage is over half full: a pack leaves it with fewer shards than it should have", "pack", p.id(), "shards", len(p.at))
		left -= p.size
		due = append(due, p)
	}
	return due
}

// oldestStamp is a stamp at or below every record that is still staged; s.mu
// is held. Tombstones below it have done their work.
func (s *Store) oldestStamp() cairn.Stamp {
	low := s.idx.Applied()
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
	s.retryNow()
	s.kick()
	for {
		s.mu.Lock()
		eased := s.eased
		var why error
		waiting := 0
		for _, p := range s.packs {
			if p.phase == spread || p.phase == writing || p.drop {
				continue
			}
			waiting++
			if p.why != nil && p.retry.After(began) {
				why = cmp.Or(why, p.why)
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
		}
	}
}
