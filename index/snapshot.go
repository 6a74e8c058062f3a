package index

import (
	"fmt"
	"sync"

	"github.com/cairn-storage/cairn"
	"github.com/cockroachdb/pebble/v2"
)

// Snapshot is the index as it was at one moment, for a checkpoint. It keeps
// what was overwritten since from being removed: close it.
type Snapshot struct {
	x     *Index
	era   era
	total uint64 // objects

	mu     sync.Mutex
	at     *pebble.Snapshot  // nil once closed; guarded by mu
	counts map[uint32]uint64 // marks by generation, once counted; guarded by mu
}

// Snapshot returns the index as it is now, ends the present generation with it
// and begins the next: no change is of both. It is quick. Close of the index
// closes it too.
func (x *Index) Snapshot() (*Snapshot, error) {
	if !x.users.enter() {
		return nil, errClosed()
	}
	defer x.users.leave() // after it is in snapshots, which Close looks through
	var s *Snapshot
	err := x.batch(func(t *tx) error {
		// No batch comes between: this one has the write lock.
		s = &Snapshot{x: x, era: t.soft.era, at: x.db.NewSnapshot()}
		for _, c := range t.soft.totals {
			s.total += c.Objects
		}
		return t.advance()
	})
	if err != nil {
		if s != nil {
			_ = s.at.Close() // only read
		}
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.snapshots[s] = true
	return s, nil
}

// Generation is the last generation in it.
func (s *Snapshot) Generation() uint32 { return s.era.generation }

// Count is how many rows changed in generation from or after it; 0 when nothing
// did. Rows gives one more, and rows of packs that changed since the snapshot.
// From 0: how many rows there are. ErrPrecondition as for Rows.
func (s *Snapshot) Count(from uint32) (uint64, error) {
	if !s.x.users.enter() {
		return 0, errClosed()
	}
	defer s.x.users.leave()
	if err := s.check(from); err != nil {
		return 0, err
	}
	if from == 0 {
		return s.countAll()
	}
	counts, err := s.marks()
	if err != nil {
		return 0, err
	}
	var n uint64
	for g, have := range counts {
		if g >= from {
			n += have
		}
	}
	return n, nil
}

// check refuses what the marks cannot answer.
func (s *Snapshot) check(from uint32) error {
	if from > 0 && from < s.era.whole {
		return fmt.Errorf("index: what changed since generation %d is not known, only since %d: %w", from, s.era.whole, cairn.ErrPrecondition)
	}
	return nil
}

// marks counts the marks, once.
func (s *Snapshot) marks() (map[uint32]uint64, error) {
	s.mu.Lock()
	counts := s.counts
	s.mu.Unlock()
	if counts != nil {
		return counts, nil
	}
	counts = map[uint32]uint64{}
	err := s.scan(false, []byte{tableMark}, func(k, v []byte) (bool, error) {
		_, g, err := parseMark(k, v)
		counts[g]++
		return true, err
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts = counts
	return counts, nil
}

// countAll counts the rows, those of objects, by far the most, by the totals.
func (s *Snapshot) countAll() (uint64, error) {
	n := 1 + s.total
	for _, c := range carriers() {
		if c.kind == kindObject {
			continue
		}
		if err := s.scan(c.kind == kindPack, []byte(c.prefix), func(_, _ []byte) (bool, error) {
			n++
			return true, nil
		}); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// iter returns an iterator over the rows that begin with prefix, as of the
// snapshot or as of now. It outlives a Close of the snapshot.
func (s *Snapshot) iter(now bool, prefix []byte) (*pebble.Iterator, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == nil {
		return nil, fmt.Errorf("index: snapshot is closed: %w", cairn.ErrUnavailable)
	}
	var r pebble.Reader = s.at
	if now {
		r = s.x.db
	}
	it, err := r.NewIter(within(prefix))
	if err != nil {
		return nil, fmt.Errorf("index: read: %w", classed(err))
	}
	return it, nil
}

// scan calls row for every row whose key begins with prefix, in order, until it
// fails or wants no more. Key and value are only lent.
func (s *Snapshot) scan(now bool, prefix []byte, row func(key, value []byte) (more bool, err error)) (err error) {
	it, err := s.iter(now, prefix)
	if err != nil {
		return err
	}
	defer func() { err = closeIter(it, err) }() // also when row panics
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if more, err := row(it.Key(), v); err != nil || !more {
			return err
		}
	}
	return nil
}

// Close gives up the snapshot; Rows that run may go on. Again is fine.
func (s *Snapshot) Close() error {
	s.x.mu.Lock()
	delete(s.x.snapshots, s)
	s.x.mu.Unlock()
	s.mu.Lock()
	at := s.at
	s.at = nil
	s.mu.Unlock()
	if at == nil {
		return nil
	}
	if err := at.Close(); err != nil {
		return fmt.Errorf("index: close snapshot: %w", classed(err))
	}
	return nil
}

// closeSnapshots closes what nobody closed.
func (x *Index) closeSnapshots() (errs []error) {
	x.mu.RLock()
	var left []*Snapshot
	for s := range x.snapshots {
		left = append(left, s)
	}
	x.mu.RUnlock()
	for _, s := range left {
		errs = append(errs, s.Close())
	}
	return errs
}
