package store

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store/stage"
)

// phase is how far a staged pack has come.
type phase uint8

const (
	writing  phase = iota // its owner still writes it
	closed                // complete, not sealed
	sealed                // its files are fixed
	spread                // n shards stand, verified
	released              // the file is gone
)

// staged is one pack on this disk.
type staged struct {
	file *stage.File
	key  *crypt.PackKey

	// Guarded by Store.mu.
	phase   phase
	length  uint32        // bytes of pack that are durable and may be read
	records []pack.Record // of a log pack
	heads   []pack.Record // of those, the ones that others mean nothing without
	runs    []pack.Run    // of a data pack
	first   cairn.Stamp   // oldest record
	last    cairn.Stamp   // newest record; the index covers the stage from there on
	size    int64         // bytes of the file, as counted in Store.used
	at      []cairn.Location
	checked time.Time        // when all of at was last read back
	listed  bool             // counted in Store.nSpread
	counted []cairn.Location // whose files are counted in Store.onNodes
	refs    int              // readers and writers that keep the file open
	gone    bool             // close at the last reader
	drop    bool             // aborted: nothing refers to it
	since   time.Time        // of the phase
	busy    bool             // the spreader or the releaser works on it
	tries   int
	wanted  bool // a client waits for it
	retry   time.Time
	why     error                 // last failure to spread
	deps    map[cairn.PackID]bool // packs its records name that were staged when it was closed

	// Of moved frames; never change once it is closed.
	traffic Traffic // bounds where it is placed, may be nil
	gentle  bool    // clients go first

	// Of a checkpoint pack; never change once it is closed.
	part, total uint32
	cutOff      uint64
}

func (p *staged) id() cairn.PackID { return p.file.Pack }

// newStage opens the stage of a new pack: a log pack, or a data pack of content
// from frame first on. Sequence and random bits are new, so no name and no key
// was ever used before.
func (s *Store) newStage(kind pack.Kind, life uint32, content *crypt.ContentID, first uint64) (*staged, error) {
	number, epoch := s.keys.sealing()
	h := stage.Header{Kind: kind, Capacity: s.c.PackSize, Store: s.c.Store, Epoch: number, Life: life, First: first}
	var random [10]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("store: random bytes: %w", err)
	}
	if _, err := rand.Read(h.Prefix[:]); err != nil {
		return nil, fmt.Errorf("store: random bytes: %w", err)
	}
	if content != nil {
		h.Content = *content
	}
	s.mu.Lock()
	if s.packs == nil {
		s.mu.Unlock()
		return nil, s.closing()
	}
	s.seqTop++
	h.Pack = cairn.NewPackID(s.seqTop, random)
	if kind == pack.Log {
		h.Number = s.chain.next
	}
	top := s.seqTop
	s.mu.Unlock()
	if top > cairn.MaxSequence {
		return nil, fmt.Errorf("store: all %d pack sequences are used: %w", uint64(cairn.MaxSequence), cairn.ErrFull)
	}
	f, err := s.createStage(h)
	if err != nil {
		return nil, diskError(err)
	}
	p := &staged{file: f, key: epoch.Pack(h.Pack, h.Prefix), since: time.Now(), refs: 1}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.packs == nil { // closed meanwhile; the next start drops the file, which holds nothing
		_ = f.Close()
		return nil, s.closing()
	}
	if kind == pack.Log {
		s.chain.next++
	}
	if kind == pack.Data || kind == pack.Moved {
		s.owned[h.Pack] = true
	}
	s.adopt(p, 4096+int64(f.Capacity))
	return p, nil
}

// disown says that the write for which data packs were made is answered, or given
// up: what refers to them now is in the index, or nothing does.
func (s *Store) disown(ids []cairn.PackID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.owned, id)
	}
}

// diskError gives an error of this machine's disk a class if it has none.
func diskError(err error) error {
	if cairn.Class(err) == nil {
		return fmt.Errorf("store: %w: %w", err, cairn.ErrUnavailable)
	}
	return fmt.Errorf("store: %w", err)
}

// adopt takes p into the books; s.mu is held.
func (s *Store) adopt(p *staged, size int64) {
	p.size = size
	s.packs[p.id()] = p
	s.used += size
}

// shrink corrects the size of a stage that is complete; s.mu is held.
func (s *Store) shrink(p *staged) {
	size := 4096 + int64(p.length)
	s.used += size - p.size
	p.size = size
	s.ease()
}

// ease wakes writes that wait for room; s.mu is held.
func (s *Store) ease() {
	close(s.eased)
	s.eased = make(chan struct{})
}

// forget takes p out of the books; s.mu is held.
func (s *Store) forget(p *staged) {
	if s.packs[p.id()] == p {
		delete(s.packs, p.id())
		s.used -= p.size
		s.ease()
	}
	p.phase, p.gone = released, true
}

// unlink removes p's file name and closes it once the last reader is done.
func (s *Store) unlink(p *staged) {
	if err := p.file.Remove(); err != nil {
		s.c.Log.Warn("a stage could not be removed; the next start removes it", "pack", p.id(), "err", err)
	}
	s.mu.Lock()
	last := p.refs == 0
	if last {
		p.refs = -1 // closed
	}
	s.mu.Unlock()
	if last {
		_ = p.file.Close() // read only by now
	}
}

// acquire returns the staged pack, pinned, or nil.
func (s *Store) acquire(id cairn.PackID) *staged {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.packs[id]
	if p != nil {
		p.refs++
	}
	return p
}

// release ends a pin.
func (s *Store) release(p *staged) {
	s.mu.Lock()
	p.refs--
	last := p.refs == 0 && p.gone
	if last {
		p.refs = -1
	}
	s.mu.Unlock()
	if last {
		_ = p.file.Close() // read only by now
	}
}

// kick wakes the spreader.
func (s *Store) kick() {
	select {
	case s.kicked <- struct{}{}:
	default: // it is awake already
	}
}
