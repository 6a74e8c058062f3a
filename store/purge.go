package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// Purged is what a purge did.
type Purged struct {
	Packs int   `json:"packs"`            // that the object lay in, and their journals
	Moved int64 `json:"neighbours_bytes"` // of other objects, written anew
	// Copies are objects that have the same bytes, as copies of it do: bucket and
	// key. Those bytes are not purged.
	Copies []cairn.Key  `json:"copies"`
	Nodes  []PurgedNode `json:"nodes"` // in order of id
}

// Purge is the deliberate opposite of all care, for a secret that leaked: it
// deletes the object's current version at once from every node, without grace and
// without waiting for roots or readers. What shares its packs is written anew
// before. It returns node by node who confirmed; what is left goes on to be
// deleted in the background. t bounds what is moved with nodes where it is not nil;
// progress, where not nil, hears what is done.
//
// It may be ended at any moment; asked for again it goes on, also where the
// object is gone by then. Kept roots older than the checkpoint it makes may lack
// log packs afterwards, and say so if somebody recovers from one of them; every
// node that took the newest root has better. ErrUnavailable names uploads in
// progress that lie in the same packs: end them first. Bytes of earlier versions
// are not found by it, nor is what a node keeps in its trash.
//
// Order: what is to go, durable here; the delete, durable; neighbours spread
// elsewhere and moved; a checkpoint that knows all of it, on enough nodes; the
// retired records; the files.
func (s *Store) Purge(ctx context.Context, k cairn.Key, t Traffic, progress func(string)) (out Purged, err error) {
	if progress == nil {
		progress = func(string) {}
	}
	if err := k.Check(); err != nil {
		return out, err
	}
	if !s.collects() {
		return out, errNoCollection
	}
	p := &purge{s: s, ctx: ctx, out: &out, say: progress, traffic: t}
	if err := p.begin(k); err != nil {
		return out, err
	}
	if err := p.empty(); err != nil {
		return out, err
	}
	if err := p.retire(); err != nil {
		return out, err
	}
	if err := p.remove(); err != nil {
		return out, err
	}
	return out, removeFile(s.c.FS, s.c.purgeName())
}

// purge is one under way.
type purge struct {
	s       *Store
	ctx     context.Context // of the purge
	out     *Purged
	say     func(string)
	traffic Traffic
	ids     map[cairn.PackID]bool
}

// begin finds the packs and deletes the object.
func (p *purge) begin(k cairn.Key) error {
	s := p.s
	var err error
	if p.ids, err = s.purging(); err != nil {
		return err
	}
	v, err := s.version(k)
	if errors.Is(err, cairn.ErrNotExist) && len(p.ids) > 0 {
		p.say("going on with a purge that was cut off")
		return nil
	}
	if err != nil {
		return err
	}
	parts := v.Put.Parts
	contents := make(map[crypt.ContentID]bool)
	if v.Put.List != nil {
		parts = append(parts[:len(parts):len(parts)], *v.Put.List)
	}
	for _, part := range parts {
		contents[part.ID] = true
		for _, e := range part.Extents {
			p.ids[e.Pack] = true
		}
	}
	if err := p.keep(); err != nil {
		return err
	}
	p.say("deleting the object")
	if err := s.Delete(p.ctx, k, Condition{}); err != nil {
		return err
	}
	return p.copies(contents)
}

// empty moves the neighbours out and makes a checkpoint that knows.
func (p *purge) empty() error {
	s := p.s
	p.say("sending what is staged")
	if err := s.Flush(p.ctx); err != nil {
		return err
	}
	p.say("writing what shares its packs anew")
	c, err := s.Compact(p.ctx, Compaction{Traffic: p.traffic, Urgent: true, Want: func(row index.PackRow, _ uint64) bool { return p.ids[row.Params.ID] }}, nil)
	p.out.Moved = c.Live
	if err != nil {
		return err
	}
	if c.Waiting > 0 {
		return fmt.Errorf("store: purge: uploads in progress hold %d of its packs; complete or abort them and purge again: %w", c.Waiting, cairn.ErrUnavailable)
	}
	p.say("checkpoint")
	if err := s.Flush(p.ctx); err != nil {
		return err
	}
	_, err = s.Checkpoint(p.ctx)
	return err
}

// retire logs that the packs are retired, with the journals of those that are
// log packs: they have the same frames.
func (p *purge) retire() error {
	s := p.s
	if err := s.releaseNow(p.ctx, p.ids); err != nil {
		return err
	}
	numbers := make(map[uint64]bool)
	for id := range p.ids {
		row, err := s.idx.Pack(id)
		if errors.Is(err, cairn.ErrNotExist) {
			delete(p.ids, id)
			continue
		}
		if err != nil {
			return s.indexError("pack", err)
		}
		if row.Kind == pack.Log {
			numbers[row.Number] = true
		}
	}
	for row, err := range s.idx.Packs(cairn.PackID{}) {
		if err != nil {
			return s.indexError("packs", err)
		}
		if row.Kind == pack.Journal && numbers[row.Number] {
			p.ids[row.Params.ID] = true
		}
	}
	p.out.Packs = len(p.ids)
	for ids := range slices.Chunk(sortedPacks(p.ids), retireMost) {
		for _, id := range ids {
			row, err := s.idx.Pack(id)
			switch {
			case err != nil || row.State != index.Spread:
			case row.Kind == pack.Journal:
				s.jour.retire(row.Number) // its log pack stands
			default:
				_, err = s.mark(row)
			}
			if err != nil {
				return s.indexError("pack", err)
			}
		}
		if _, err := s.retirePacks(p.ctx, ids, true); err != nil {
			return err
		}
	}
	return nil
}

// releaseNow waits until none of the packs is staged, without their time to
// settle.
func (s *Store) releaseNow(ctx context.Context, ids map[cairn.PackID]bool) error {
	for {
		if err := s.writable(); err != nil {
			return err
		}
		s.releaseDue(time.Now().Add(s.c.Settle + 2*max(releaseWait, 4*s.c.Settle)))
		s.mu.Lock()
		eased, staged := s.eased, 0
		for id := range ids {
			if s.packs[id] != nil {
				staged++
			}
		}
		s.mu.Unlock()
		if staged == 0 {
			return nil
		}
		select {
		case <-eased:
		case <-ctx.Done():
			return fmt.Errorf("store: %d packs are still staged: %w: %w", staged, ctx.Err(), cairn.ErrUnavailable)
		}
	}
}
