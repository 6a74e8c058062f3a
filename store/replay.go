package store

import (
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store/stage"
)

// replay applies the log stages to the index and takes all stages into the
// books. It returns the newest stamp. Applying is idempotent and in any order:
// the highest stamp wins.
func (s *Store) replay(files []*stage.File) (cairn.Stamp, error) {
	last := s.idx.Applied()
	named := make(map[cairn.PackID]extentOf)
	void := make(map[cairn.Stamp]bool)
	var logs, data []*staged
	for i, f := range files { // all, before any record is looked at: it may name a later one
		p, err := s.known(f)
		if err != nil {
			for _, f := range files[i:] {
				_ = f.Close() // those before are in the books
			}
			return last, err
		}
		switch {
		case p == nil || p.phase == spread:
		case f.Kind == pack.Log:
			logs = append(logs, p)
		default:
			data = append(data, p)
		}
	}
	for _, p := range logs {
		if err := s.replayLog(p, named, void); err != nil {
			return last, err
		}
		last = maxStamp(last, p.last)
	}
	for id, n := range named {
		if void[n.by] {
			delete(named, id)
		}
	}
	for _, p := range data {
		if err := s.replayData(p, named); err != nil {
			return last, err
		}
	}
	return last, s.linkChain()
}

func maxStamp(a, b cairn.Stamp) cairn.Stamp {
	if a.Compare(b) >= 0 {
		return a
	}
	return b
}

// replayLog applies one log stage and notes which extents its records name.
func (s *Store) replayLog(p *staged, named map[cairn.PackID]extentOf, void map[cairn.Stamp]bool) error {
	scan, err := p.file.ScanLog(p.key)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if scan.Damage != "" {
		s.damaged(scan.Damage)
	}
	if scan.Tail == 0 && p.phase == closed {
		s.mu.Lock()
		s.forget(p)
		s.mu.Unlock()
		s.unlink(p)
		return nil
	}
	p.length = scan.Tail
	slices.SortFunc(scan.Records, func(a, b pack.Record) int { return a.Stamp.Compare(b.Stamp) })
	p.records = scan.Records
	if len(p.records) > 0 {
		p.first = p.records[0].Stamp
	}
	changes := make([]index.Change, 0, len(scan.Records))
	for _, r := range scan.Records {
		ch, err := s.resolve(p, r)
		if err != nil {
			return err
		}
		changes = append(changes, ch)
		s.mu.Lock()
		p.head(r)
		s.depend(p, ch)
		s.mu.Unlock()
		note(named, ch)
		if v, ok := r.Body.(pack.Void); ok {
			void[v.Of] = true
		}
		p.last = maxStamp(p.last, r.Stamp)
	}
	s.mu.Lock()
	s.shrink(p)
	s.mu.Unlock()
	if err := s.idx.Apply(changes); err != nil {
		return fmt.Errorf("store: replay of stage %v: %w", p.id(), err)
	}
	return nil
}

// replayData decides about a data stage: one that a record names is complete
// and durable, since its fsync came before the record's; any other belongs to
// a write that was never acknowledged. The record may be in a log pack that is
// staged no more; then the index knows of it.
func (s *Store) replayData(p *staged, named map[cairn.PackID]extentOf) error {
	n, ok := named[p.id()]
	refers, err := s.idx.Referenced(p.id())
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	// No record names a checkpoint's packs, the root does: where the index was
	// made again from it, they have no row, and are spread from here once more.
	ours := p.phase == sealed && s.ckpt.base.packs()[p.id()] // nobody else writes the base yet
	if !ok && !refers && !ours {
		s.abandon([]cairn.PackID{p.id()})
		return nil
	}
	if p.phase == sealed {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.shrink(p)
		return nil
	}
	length := n.ext.Offset + uint32(pack.SealedLength(int64(n.ext.Length)))
	b, err := p.file.Bytes(length)
	if !ok {
		length, err = p.file.Capacity, fmt.Errorf("its seal is gone: %w", cairn.ErrCorrupt)
	}
	if err == nil {
		err = pack.CheckExtent(p.key, b, 0, n.part, n.ext, n.first, nil)
	}
	if err != nil {
		s.damaged(fmt.Sprintf("stage %v: %v", p.id(), err))
		s.mu.Lock()
		p.phase, p.length, p.why = writing, length, err // keep it, read what opens, never sign it
		s.mu.Unlock()
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.length = length
	p.runs = []pack.Run{{Content: n.part.ID, First: n.first, Offset: n.ext.Offset, Length: n.ext.Length,
		End: n.first*pack.FrameSize+n.ext.Length == n.part.Size}}
	s.shrink(p)
	return nil
}

// damaged is loud: something that was acknowledged may not read back.
func (s *Store) damaged(what string) {
	s.c.Log.Error("the stage is damaged; everything else is served", "what", what)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.damage = append(s.damage, what)
}
