package store

import (
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
)

// Where returns where the shards of a spread pack stand, as the index has it
// now; ErrNotExist for a pack it does not know.
func (s *Store) Where(id cairn.PackID) ([]cairn.Location, error) {
	row, err := s.idx.Pack(id)
	return row.At, err
}

// Used is how many bytes of shards stand on a node, by the store's own account.
func (s *Store) Used(id cairn.NodeID) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.onNodes[id]
}

// account adds the files of a row, but those counted before, to what stands on
// nodes; s.mu is held.
func (s *Store) account(row index.PackRow, counted []cairn.Location) {
	if s.onNodes == nil {
		s.onNodes = make(map[cairn.NodeID]int64)
	}
	for _, l := range row.At {
		if !slices.Contains(counted, l) {
			s.onNodes[l.Node] += row.Params.FileSize()
		}
	}
}
