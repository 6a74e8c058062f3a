package store

import (
	"time"

	"github.com/cairn-storage/cairn/index"
)

// quietCheckpoints is how many intervals of checkpoints a store is left alone
// that nobody writes to: a day, as they are an hour apart.
const quietCheckpoints = 24

// quietShare of a pack's size is how large a log or checkpoint pack is at most that
// waits for it.
const quietShare = 16

// quiet reports whether nothing was logged since the newest checkpoint, which is
// not a day old yet. A record that its predecessors and their log packs are
// retired would then be the only reason for another log pack and another
// checkpoint, whose predecessors would be retired in turn: an idle store would
// write to every node each hour, and keep its owner's disk awake, for ever.
func (s *Store) quiet() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.ckpt.base
	return s.chain.next-1 <= b.cut.Number && time.Since(b.written) < quietCheckpoints*s.c.CheckpointEvery
}

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
