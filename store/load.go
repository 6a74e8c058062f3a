package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store/stage"
)

// loadStages opens every stage of the directory, in order of sequence, and makes
// what can be read of them durable.
func (s *Store) loadStages() ([]*stage.File, error) {
	ids, err := stage.List(s.c.FS, s.c.stageDir())
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	var files []*stage.File
	fail := func(err error) ([]*stage.File, error) {
		for _, f := range files {
			_ = f.Close() // read only
		}
		return nil, err
	}
	for _, id := range ids {
		f, err := stage.Open(s.c.FS, s.c.stageDir(), id, s.c.Store)
		if errors.Is(err, stage.ErrEmpty) {
			if err := s.c.FS.Remove(stage.Name(s.c.stageDir(), id)); err != nil {
				return fail(fmt.Errorf("store: %w", err))
			}
			continue
		}
		if err != nil {
			return fail(fmt.Errorf("store: %w", err))
		}
		files = append(files, f)
		if _, ok := s.c.Epochs[f.Epoch]; !ok {
			return fail(fmt.Errorf("store: stage %v is of epoch %d, whose key is missing: %w", id, f.Epoch, cairn.ErrDenied))
		}
		// What the life before wrote and never synced is read here all the same.
		// It must be durable before the index says that it is there, or its seal
		// leaves for a node.
		if err := f.Harden(); err != nil {
			return fail(fmt.Errorf("store: %w", err))
		}
	}
	return files, nil
}

// known takes f into the books. The index, as it was opened and so durably,
// may know its pack as spread: then its records are not applied again, and it
// stays until it is released in the ordinary way. Where its pack is retired the
// file is removed and nil returned.
func (s *Store) known(f *stage.File) (*staged, error) {
	p := &staged{file: f, key: s.c.Epochs[f.Epoch].Pack(f.Pack, f.Prefix), since: time.Now()}
	s.seqTop = max(s.seqTop, f.Pack.Seq())
	row, err := s.idx.Pack(f.Pack)
	if err != nil && !errors.Is(err, cairn.ErrNotExist) {
		return nil, fmt.Errorf("store: %w", err)
	}
	listed := err == nil && row.State != index.Staged
	if listed && (row.State != index.Spread || f.Sealed() == nil) {
		p.gone = true
		s.unlink(p)
		return nil, nil
	}
	p.phase = closed
	if f.Sealed() != nil {
		p.phase, p.length = sealed, f.Sealed().Length
	}
	if listed {
		p.phase, p.listed, p.at, p.counted, p.first, p.last = spread, true, row.At, slices.Clone(row.At), row.First, row.Last
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.adopt(p, 4096+int64(f.Capacity))
	if listed {
		s.shrink(p)
	}
	return p, nil
}

// linkChain finds the end of the chain of log packs, in the index and in the
// stages, and refuses a chain with a hole.
func (s *Store) linkChain() error {
	for row, err := range s.idx.Packs(cairn.PackID{}) {
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		s.seqTop = max(s.seqTop, row.Params.ID.Seq())
		if row.Kind == pack.Journal {
			s.jour.enter(row)
			continue
		}
		if row.State != index.Staged { // its files stand until the row is dropped
			s.account(row, nil)
		}
		if row.State == index.Spread {
			s.nSpread++
		}
		if row.Kind == pack.Log && row.State != index.Staged && row.Number > s.chain.done {
			s.chain.done, s.chain.seal = row.Number, row.SealHash
		}
	}
	var logs []*staged
	for _, p := range s.packs {
		if p.file.Kind == pack.Log {
			logs = append(logs, p)
		}
	}
	slices.SortFunc(logs, func(a, b *staged) int {
		return cmp.Or(cmp.Compare(a.file.Number, b.file.Number), cmp.Compare(a.id().Seq(), b.id().Seq()))
	})
	s.chain.next = s.chain.done + 1
	for i, p := range logs {
		n := p.file.Number
		if p.phase == closed && (n <= s.chain.done || i+1 < len(logs) && logs[i+1].file.Number == n) {
			// Its first group failed, so its number was given to another, which
			// begins with taking back what this one holds; the removal was lost.
			s.mu.Lock()
			s.forget(p)
			s.mu.Unlock()
			s.unlink(p)
			continue
		}
		if n > s.chain.next {
			return fmt.Errorf("store: log pack %d is neither staged nor known as spread, but %d is here: a stage was removed by hand or its disk was changed: %w", s.chain.next, n, cairn.ErrCorrupt)
		}
		s.chain.next = max(s.chain.next, n+1)
		if p.phase == sealed && n > s.chain.done {
			s.chain.done, s.chain.seal = n, p.file.Sealed().Trailer.SealHash()
		}
	}
	return nil
}
