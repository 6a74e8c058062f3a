package store

import (
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
)

// Packs gives the rows of all packs that the index knows above an id, in order
// of id, whatever their state. It may be asked at any time and keeps nobody
// waiting; rows that change meanwhile come as they were or as they are.
func (s *Store) Packs(above cairn.PackID) iter.Seq2[index.PackRow, error] { return s.idx.Packs(above) }

// Pack returns the row of a pack, or ErrNotExist.
func (s *Store) Pack(id cairn.PackID) (index.PackRow, error) {
	if err := s.err(); err != nil {
		return index.PackRow{}, err
	}
	return s.idx.Pack(id)
}

// Placed changes where the shards of a pack stand. change sees its row as it is
// at that moment, alters At and nothing else, and returns an error to leave it,
// which Placed returns as it is. nil: the new places are durable.
//
// ErrPrecondition: the pack is retiring or retired, and whoever made a shard of
// it removes that again; or it is still staged here, and the store itself sees
// to its shards until it is not. ErrNotExist: the index does not know it.
func (s *Store) Placed(id cairn.PackID, change func(*index.PackRow) error) error {
	if err := s.writable(); err != nil {
		return err
	}
	if s.Staged(id) {
		return fmt.Errorf("store: pack %v is still staged on this machine: %w", id, cairn.ErrPrecondition)
	}
	var was, is []cairn.Location
	var size int64
	var refused error // of change, which knows its own classes
	err := s.idx.UpdatePack(id, func(r *index.PackRow) error {
		if r.State != index.Spread {
			return fmt.Errorf("store: pack %v is %v: %w", id, r.State, cairn.ErrPrecondition)
		}
		next := *r
		next.At = slices.Clone(r.At)
		if refused = change(&next); refused != nil {
			return refused
		}
		if err := checkPlaces(next); err != nil {
			return err
		}
		was, is, size = r.At, next.At, r.Params.FileSize()
		r.At = next.At
		return nil
	})
	if refused != nil {
		return refused
	}
	if errors.Is(err, cairn.ErrCorrupt) {
		s.fail(err)
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.recount(size, was, is)
	s.mu.Unlock()
	if err := s.idx.Flush(); err != nil {
		s.fail(err)
		return s.err()
	}
	return nil
}

// checkPlaces refuses places that no shard of the pack can have.
func checkPlaces(r index.PackRow) error {
	seen := make(map[cairn.Location]bool, len(r.At))
	for _, l := range r.At {
		if int(l.Index) >= r.Params.Coding.N() || l.Node == (cairn.NodeID{}) || seen[l] {
			return fmt.Errorf("store: pack %v, coded %v: shard %d on node %v: %w", r.Params.ID, r.Params.Coding, l.Index, l.Node, cairn.ErrInvalid)
		}
		seen[l] = true
	}
	return nil
}

// Staged reports whether a pack is still staged on this machine: the store then
// sees to its shards itself, and looks for each of them before it lets the stage
// go.
func (s *Store) Staged(id cairn.PackID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.packs[id] != nil
}
