package store

import "github.com/cairn-storage/cairn/index"

// Idle reports whether nothing that is stored now would be lost with a pack:
// nothing refers to it, it is not of the newest checkpoint, and that has its
// records. An older root that is still kept may name it all the same.
func (s *Store) Idle(row index.PackRow) (bool, error) {
	n := s.needed()
	s.mu.Lock()
	n.low, n.known = s.ckpt.base.cut.Number, true
	n.packs = s.ckpt.base.packs()
	s.mu.Unlock()
	return s.idle(row, &n)
}
