package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// collectEvery is how often dead packs are looked for in the background.
const collectEvery = 10 * time.Minute

// Collected is what one round of collection did, and what is on its way.
type Collected struct {
	Dead    int `json:"dead"`    // packs found dead
	Retired int `json:"retired"` // retired by a record
	Deleted int `json:"deleted"` // whose files are gone from every node, and so is their row
	// Freed are bytes of files deleted on nodes; Files is how many.
	Freed int64 `json:"freed_bytes"`
	Files int   `json:"files"`
	Doomed
}

// Doomed is what nothing needs any more and still takes room on nodes.
type Doomed struct {
	Packs int   `json:"doomed_packs"`
	Bytes int64 `json:"doomed_bytes"` // of files on nodes
	// Packs by what they wait for: a record that they are retired (a reader, a
	// stage, an older root, the next round, or the next write), a root that says
	// so on every node, the grace, a node that does not confirm.
	Retiring int `json:"waiting_for_record"`
	Rootless int `json:"waiting_for_root"`
	InGrace  int `json:"waiting_for_grace"`
	Unsure   int `json:"waiting_for_node"`
	// Next is when the first of those in their grace is deleted, seconds of
	// observed time from now; 0 where there is none.
	Next float64 `json:"next_s"`
}

// errNoCollection is that a store without roots or clock deletes nothing: its
// index could not be made again, or no grace measured.
var errNoCollection = fmt.Errorf("store: collect: this store keeps no roots, so nothing is ever deleted: %w", cairn.ErrInvalid)

// Collect does one round. Dead packs are marked, marked ones retired by a record,
// and retired ones deleted on nodes once a root that says so stands on every node
// not gone and one grace of observed time has passed; a row goes when every node
// not gone has confirmed. Nodes that do not answer fail nothing: what they hold
// waits for them.
//
// Order, and what a crash leaves after each step:
//
//  1. the mark, in the index only: nothing, it is found again
//  2. the record, durable in the log, then applied: replay applies it
//  3. a checkpoint as of a later log pack, a root that names it on every node (by
//     themselves, see checkpoint): whoever recovers, from any node, never hears
//     of the pack but as retired
//  4. one grace
//  5. the files, each after a fresh look at the row; then the row without those
//     that are confirmed gone: they are deleted once more, which is fine
//  6. the row, when it has no file: likewise
//
// So what a file is deleted for was decided with all that the log says, is known
// to every successor, and was looked at again just before.
func (s *Store) Collect(ctx context.Context) (Collected, error) { return s.collectRound(ctx, false) }

// collectRound does one round. A patient one leaves small log and checkpoint
// packs that nothing needs any more until a record of them costs little, see quiet.
func (s *Store) collectRound(ctx context.Context, patient bool) (Collected, error) {
	if !s.collects() {
		return Collected{}, errNoCollection
	}
	if err := s.writable(); err != nil {
		return Collected{}, err
	}
	select { // one round at a time
	case s.collecting <- struct{}{}:
		defer func() { <-s.collecting }()
	case <-ctx.Done():
		return Collected{}, fmt.Errorf("store: collect: %w: %w", ctx.Err(), cairn.ErrUnavailable)
	case <-s.pub.Done():
		return Collected{}, s.ended()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.pub, cancel)()
	c := &collection{s: s, ctx: ctx, gap: s.clock.Gap(), patient: patient}
	err := c.round()
	if err != nil && ctx.Err() != nil && s.pub.Err() != nil {
		err = s.ended()
	}
	return c.out, err
}

func (s *Store) collects() bool { return s.clock != nil }

// collector collects in the background until ctx ends.
func (s *Store) collector(ctx context.Context) {
	t := time.NewTicker(collectEvery)
	defer t.Stop()
	changed := s.c.Nodes.Changed()
	for {
		back := changed
		if s.unseen.nothing() {
			back = nil // nodes that come back bring nothing
		}
		select {
		case <-t.C:
		case <-back: // perhaps with what a recovery has not seen
			pause := time.NewTimer(unseenAfter) // others may follow
			select {
			case <-pause.C:
			case <-ctx.Done():
				pause.Stop()
				return
			}
			s.unseen.hurry()
		case <-ctx.Done():
			return
		}
		changed = s.c.Nodes.Changed()
		out, err := s.collectRound(ctx, true)
		switch {
		case err != nil && ctx.Err() == nil && !errors.Is(err, cairn.ErrUnavailable):
			s.c.Log.Warn("collection ended early; it is tried again", "again_in", collectEvery, "err", err)
		case out.Retired+out.Deleted > 0:
			s.c.Log.Info("collected", "dead", out.Dead, "retired", out.Retired, "deleted", out.Deleted, "bytes", out.Freed)
		}
	}
}

// collection is one round.
type collection struct {
	s    *Store
	ctx  context.Context // of the round
	gap  int
	need needs
	now  time.Duration
	seen bool // all that a recovery had not seen
	out  Collected

	patient bool
	marked  []cairn.PackID // to be retired
	worth   bool           // some of them take room that counts
	ripe    []cairn.PackID // to be deleted
}

func (c *collection) round() error {
	s := c.s
	if err := s.coverGrace(); err != nil {
		return err
	}
	seen, err := s.seeUnseen(c.ctx)
	if err != nil {
		return err
	}
	c.need, c.now, c.seen = s.needed(), s.clock.Now(), seen
	for row, err := range s.idx.Packs(cairn.PackID{}) {
		if err == nil {
			err = c.ctx.Err()
		}
		if err == nil {
			err = c.look(row)
		}
		if err == nil && len(c.marked) == retireMost {
			err = c.retire()
		}
		if err != nil {
			return s.indexError("collect", err)
		}
	}
	if err := c.retire(); err != nil {
		return err
	}
	if err := s.renewWeak(); err != nil {
		return err
	}
	err = c.remove()
	s.mu.Lock()
	s.doomed = c.out.Doomed
	spread := s.nSpread
	s.mu.Unlock()
	s.m.collection(c.out, spread)
	return err
}

// coverGrace begins the grace of what every node now knows as retired.
func (s *Store) coverGrace() error {
	_, cut := s.c.Roots.Everywhere()
	return s.grace.cover(cut.Last, s.clock.Now(), s.c.Grace)
}

// look takes a pack one step on, or notes that it is to be taken.
func (c *collection) look(row index.PackRow) error {
	s, id := c.s, row.Params.ID
	switch row.State {
	case index.Spread:
		if !c.seen { // who refers to it may not have been seen
			return nil
		}
		if !holdsObjects(row.Kind) { // journals and checkpoints are marked by those who know
			return nil
		}
		idle, err := s.idle(row, &c.need)
		if err != nil || !idle {
			return err
		}
		if marked, err := s.mark(row); err != nil || !marked {
			return err
		}
		c.out.Dead++
		c.doom(row)
		c.out.Retiring++
		s.settled(id) // from now on
	case index.Retiring:
		idle, err := s.idle(row, &c.need)
		if err != nil {
			return err
		}
		if used, err := s.idx.Referenced(id); err != nil || used {
			if err == nil {
				err = s.unmark(row)
			}
			return err
		}
		c.doom(row)
		c.out.Retiring++
		if idle && c.seen && s.settled(id) {
			c.marked = append(c.marked, id)
			c.worth = c.worth || row.Kind == pack.Data || row.Bytes > s.c.PackSize/quietShare
		}
	case index.Retired:
		c.doom(row)
		return c.wait(id)
	}
	return nil
}

// wait notes what a retired pack waits for.
func (c *collection) wait(id cairn.PackID) error {
	s := c.s
	at, ok, err := s.idx.RetiredAt(id)
	if err != nil || !ok {
		return err
	}
	left, covered := s.grace.left(at, c.now, s.c.Grace)
	switch {
	case !covered:
		c.out.Rootless++
	case left > 0:
		c.out.InGrace++
		if next := left.Seconds(); c.out.Next == 0 || next < c.out.Next {
			c.out.Next = next
		}
	default:
		c.out.Unsure++ // until it is gone
		c.ripe = append(c.ripe, id)
	}
	return nil
}

// doom counts what a row takes.
func (c *collection) doom(row index.PackRow) {
	c.out.Packs++
	c.out.Bytes += row.Params.FileSize() * int64(len(row.At))
}

func (c *collection) retire() error {
	ids, wait := c.marked, c.patient && !c.worth && c.s.quiet()
	c.marked, c.worth = nil, false
	if wait {
		return nil
	}
	done, err := c.s.retirePacks(c.ctx, ids, false)
	c.out.Retired += len(done)
	c.out.Retiring -= len(done)
	c.out.Rootless += len(done)
	return err
}
