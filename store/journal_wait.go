package store

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// stands reports that a pack needs no journal any more: n of its shards stand,
// or it left the stage.
func (s *Store) stands(id cairn.PackID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.packs[id]
	return p == nil || p.phase >= spread
}

// numbered is an extent and the number of its first frame in its content.
type numbered struct {
	ext   pack.Extent
	first uint64
}

// extentsOf gives the extents that a change names, those of its list and those
// that only the list names included.
func extentsOf(ch index.Change) iter.Seq2[*pack.Part, numbered] {
	inline, list := whereOf(ch.Record.Body)
	parts := slices.Concat(ch.Parts, inline)
	if list != nil {
		parts = append(parts, *list)
	}
	return func(yield func(*pack.Part, numbered) bool) {
		for i := range parts {
			var done uint64
			for _, e := range parts[i].Extents {
				if !yield(&parts[i], numbered{e, done / pack.FrameSize}) {
					return
				}
				done += e.Length
			}
		}
	}
}

// measure notes what e needs of a journal and returns the packs that must stand
// before: all but log packs, and those too where what e names in them is more
// than a journal holds. Its own frames always fit.
func (j *journaler) measure(e *entry) (missing []cairn.PackID) {
	s := j.s
	var logs []cairn.PackID
	own, others := 0, 0
	e.records = 0
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ch := range e.changes {
		e.records += len(ch.Record.AppendTo(nil))
		for _, x := range extentsOf(ch) {
			id := x.ext.Pack
			p := s.packs[id]
			if p == nil || p.phase >= spread {
				continue
			}
			n := int(pack.SealedLength(int64(x.ext.Length)))
			switch {
			case p.file.Kind != pack.Log:
				if !slices.Contains(missing, id) {
					missing = append(missing, id)
				}
			case id == e.log && x.ext.Offset >= e.op.from:
				own += n
			default:
				others += n
				if !slices.Contains(logs, id) {
					logs = append(logs, id)
				}
			}
		}
	}
	e.frames = own + others
	if others > 0 && e.frames > s.c.maxJournal() {
		missing, e.frames = append(missing, logs...), own
	}
	return missing
}

// await gives the packs precedence and waits until each stands. ErrUnavailable,
// with the reason, as soon as one cannot.
func (s *Store) await(ctx context.Context, ids []cairn.PackID) error {
	began := time.Now()
	open := false
	s.mu.Lock()
	for _, id := range ids {
		if p := s.packs[id]; p != nil {
			p.wanted, p.retry = true, time.Time{}
			open = open || p.phase == writing && p.file.Kind == pack.Log && p.why == nil
		}
	}
	s.mu.Unlock()
	if open {
		if err := s.com.closeNow(ctx); err != nil {
			return fmt.Errorf("%w: %w", err, cairn.ErrUnavailable)
		}
	}
	s.kick()
	for {
		if err := s.writable(); err != nil {
			return err
		}
		eased, left, err := s.missing(ids, began)
		if err != nil || !left {
			return err
		}
		select {
		case <-eased:
		case <-ctx.Done():
			return fmt.Errorf("packs wait for nodes: %w: %w", ctx.Err(), cairn.ErrUnavailable)
		}
	}
}

// missing says whether any of ids does not stand yet, what to wait on for news,
// and why one will not: it failed since began, or is damaged.
func (s *Store) missing(ids []cairn.PackID, began time.Time) (eased chan struct{}, left bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		p := s.packs[id]
		if p == nil || p.phase >= spread {
			continue
		}
		left = true
		if p.why != nil && (p.phase == writing || p.retry.After(began)) {
			return nil, true, fmt.Errorf("%w: %w", p.why, cairn.ErrUnavailable)
		}
	}
	return s.eased, left, nil
}
