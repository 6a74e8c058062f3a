package store

import (
	"errors"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// A pack goes its way in one direction: spread, then retiring, when nothing
// refers to it; then retired, when a record says so; then its files go, then its
// row. Whatever looks on the way and finds that something needs it leaves it
// where it is.

// holdsObjects reports whether objects lie in packs of a kind.
func holdsObjects(k pack.Kind) bool { return k == pack.Data || k == pack.Moved || k == pack.Log }

// needs is what besides the index still needs packs, at one moment.
type needs struct {
	low    uint64                // log packs above it are needed
	packs  map[cairn.PackID]bool // of checkpoints
	known  bool                  // else all log packs and checkpoint packs are
	staged map[cairn.PackID]bool // on this disk, or of a write under way
	purge  bool                  // a checkpoint covers every log pack that is asked for, whatever older roots need
}

// needed asks the roots and the stage.
func (s *Store) needed() needs {
	n := needs{packs: make(map[cairn.PackID]bool), staged: make(map[cairn.PackID]bool)}
	if s.c.Roots != nil {
		n.low, n.packs, n.known = s.c.Roots.Kept()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n.low = min(n.low, s.ckpt.base.cut.Number) // the index goes on from there when it is made again
	for id := range s.ckpt.base.packs() {
		n.packs[id] = true
	}
	for id := range s.packs {
		n.staged[id] = true
	}
	for id := range s.owned {
		n.staged[id] = true
	}
	return n
}

// spares reports whether a pack must stay although nothing in the index refers
// to it.
func (n *needs) spares(row index.PackRow) bool {
	id := row.Params.ID
	switch {
	case n.staged[id] || n.packs[id]:
		return true
	case row.Kind == pack.Log: // it carries records, which nobody refers to
		return !n.purge && (!n.known || row.Number > n.low)
	case row.Kind == pack.Checkpoint:
		return !n.known
	}
	return false
}

// idle reports whether neither the index nor n needs a pack.
func (s *Store) idle(row index.PackRow, n *needs) (bool, error) {
	if n.spares(row) {
		return false, nil
	}
	used, err := s.idx.Referenced(row.Params.ID)
	return err == nil && !used, err
}

// mark makes a dead pack retiring. One that lost its last reference may get it
// back while the record that took it can still be voided, so that it is retired
// only when that cannot happen any more, see settled.
func (s *Store) mark(row index.PackRow) (bool, error) {
	id := row.Params.ID
	err := s.idx.UpdatePack(id, func(r *index.PackRow) error {
		if r.State != index.Spread {
			return errNotNow
		}
		r.State = index.Retiring
		return nil
	})
	if errors.Is(err, errNotNow) || errors.Is(err, cairn.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nSpread--
	return true, nil
}

// unmark makes a retiring pack spread again that is needed after all: a version
// that had gone came back with the void of the record that displaced it.
func (s *Store) unmark(row index.PackRow) error {
	err := s.idx.UpdatePack(row.Params.ID, func(r *index.PackRow) error {
		if r.State != index.Retiring {
			return errNotNow
		}
		r.State = index.Spread
		return nil
	})
	if errors.Is(err, errNotNow) || errors.Is(err, cairn.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nSpread++
	delete(s.marks, row.Params.ID)
	return nil
}

// errNotNow is that a row has another state than somebody thought.
var errNotNow = fmt.Errorf("store: the pack is in another state: %w", cairn.ErrPrecondition)

// settled reports whether no record up to the one that was the newest when the
// pack was first seen without reference can be taken back any more: the stages
// of all of them are released, so that no void of one can come.
func (s *Store) settled(id cairn.PackID) bool {
	now := s.idx.Applied()
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.marks[id]
	if !ok {
		if s.marks == nil {
			s.marks = make(map[cairn.PackID]cairn.Stamp)
		}
		s.marks[id], at = now, now
	}
	for _, p := range s.packs {
		if len(p.records) > 0 && p.records[0].Stamp.Compare(at) <= 0 {
			return false
		}
	}
	return true
}
