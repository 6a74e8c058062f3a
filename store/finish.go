package store

import (
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// committed makes what a group added readable.
func (s *Store) committed(p *staged, end uint32, t *txn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.length = end
	if len(p.records) == 0 {
		p.first = t.changes[0].Record.Stamp
	}
	p.last = t.last
	for _, ch := range t.changes {
		p.records = append(p.records, ch.Record)
		p.head(ch.Record)
		s.depend(p, ch)
	}
}

// depend notes the packs, still staged, that a change names: its log pack is
// published only after them (s.mu is held).
func (s *Store) depend(p *staged, ch index.Change) {
	for _, id := range packsOf(ch) {
		if q := s.packs[id]; q != nil && q != p {
			if p.deps == nil {
				p.deps = make(map[cairn.PackID]bool)
			}
			p.deps[id] = true
		}
	}
}

// closeLog ends a log stage at its last good group. One without any is dropped:
// its number was never seen by anyone.
func (s *Store) closeLog(p *staged, end uint32) {
	s.mu.Lock()
	p.length = end
	if end == 0 {
		s.chain.next--
		s.forget(p)
		s.mu.Unlock()
		s.unlink(p)
		s.release(p)
		return
	}
	p.phase, p.since = closed, time.Now()
	s.shrink(p)
	s.mu.Unlock()
	s.release(p)
	s.kick()
}

// closeData ends a data stage whose frames are durable.
func (s *Store) closeData(p *staged, length uint32, runs ...pack.Run) {
	s.mu.Lock()
	p.length = length
	p.runs = runs
	p.phase, p.since = closed, time.Now()
	s.shrink(p)
	s.mu.Unlock()
	s.release(p)
	s.kick()
}

// abandon gives up the data packs of a write that did not become a record. One
// that a node may already hold a shard of is remembered as unreferenced; the
// others never existed.
func (s *Store) abandon(ids []cairn.PackID) {
	for _, id := range ids {
		s.mu.Lock()
		p := s.packs[id]
		if p == nil { // spread and released meanwhile
			s.mu.Unlock()
			s.retire(id)
			continue
		}
		p.drop = true
		owned := p.phase == writing
		stands := p.phase == spread
		idle := !p.busy && len(p.file.Intents()) == 0 && p.phase < spread
		if idle {
			s.forget(p)
		}
		s.mu.Unlock()
		if idle {
			s.unlink(p)
		}
		if owned {
			s.release(p)
		}
		if stands {
			s.retire(id)
		}
		s.kick()
	}
}

// retire marks a pack that nothing refers to as one that may be collected.
func (s *Store) retire(id cairn.PackID) {
	gone := false
	err := s.idx.UpdatePack(id, func(r *index.PackRow) error {
		if gone = r.State == index.Spread; gone {
			r.State = index.Retiring
		}
		return nil
	})
	if err != nil {
		s.c.Log.Warn("an unreferenced pack could not be marked", "pack", id, "err", err)
		return
	}
	if gone {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.nSpread--
	}
}

// list records where p's shards stand; the pack counts as spread from here on,
// unless its write was given up.
func (s *Store) list(p *staged) error {
	s.mu.Lock()
	state := index.Spread
	if p.drop {
		state = index.Retiring
	}
	s.mu.Unlock()
	row := s.row(p, state)
	if err := s.idx.SetPack(row); err != nil {
		s.fail(err)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if state == index.Spread && !p.listed {
		p.listed = true
		s.nSpread++
	}
	s.account(row, p.counted)
	p.counted = row.At
	return nil
}
