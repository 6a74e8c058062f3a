package store

import (
	"errors"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// renewWeak has the next checkpoint made of all rows where the newest one cannot
// be read any more, or bears fewer failures than a new one would: it is not mended
// from itself, nor written anew by compaction, and the index has all that it says.
func (s *Store) renewWeak() error {
	s.mu.Lock()
	ids, known := s.ckpt.base.packs(), s.ckpt.renew
	s.mu.Unlock()
	if known {
		return nil
	}
	coding, err := s.c.Nodes.Coding(s.Coding())
	if err != nil {
		return nil // no pack can be written now
	}
	for id := range ids {
		if s.Staged(id) {
			continue
		}
		row, err := s.idx.Pack(id)
		if err != nil && !errors.Is(err, cairn.ErrNotExist) {
			return s.indexError("pack", err)
		}
		if err != nil || row.Params.Coding.M < coding.M || !s.mayBeRead(row) {
			s.c.Log.Info("the checkpoint is made anew: it stands on too few nodes", "pack", id, "kind", pack.Checkpoint)
			s.renew()
			select {
			case s.ckpt.poked <- struct{}{}:
			default: // it looks anyway
			}
			return nil
		}
	}
	return nil
}

// mayBeRead reports whether k shards of a pack stand on nodes that were not given
// up, as far as is known.
func (s *Store) mayBeRead(row index.PackRow) bool {
	left := make(map[uint8]bool)
	for _, l := range row.At {
		if !s.c.Nodes.Gone(l.Node) {
			left[l.Index] = true
		}
	}
	return len(left) >= row.Params.Coding.K
}
