package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// checkpoint makes one now.
//
// Order, and what a crash leaves after each step:
//
//  1. a view of the index between two log packs, held until everything its
//     records name is spread: nothing
//  2. the run in stages, then on nodes, verified, its packs known to the index:
//     packs that nobody names; the next start abandons those not spread, and the
//     next checkpoint retires the others
//  3. the index flushed: so that a pack that a root names is never abandoned
//  4. a root that names the run: it is complete on nodes, and what it takes the
//     place of still stands, so that recovery from this root or any before it is
//     whole. The index goes on from the checkpoint before; its marks still have
//     everything that changed since then, so the next run has it again
//  5. the index told, and flushed: it goes on from the new checkpoint
//  6. the packs of superseded runs retired: after a crash before, the next
//     checkpoint does it
//
// An error counts as a crash there, but that after 4 it is unknown whether a root
// names the run: its packs stay until the next checkpoint stands.
func (s *Store) checkpoint(ctx context.Context) (out Checkpointed, err error) {
	s.mu.Lock()
	was := s.ckpt.base
	out = s.ckpt.last
	s.mu.Unlock()
	out.CutOff, out.Runs = was.cut.Number, len(was.runs)
	if err := s.renewWeak(); err != nil {
		return out, err
	}
	v, err := s.takeView(ctx)
	defer v.close()
	if err != nil {
		return out, err
	}
	if err := s.hold(ctx, &v); err != nil {
		return out, err
	}
	var kept []pack.CheckpointRun
	var from uint32
	renew := s.renewed()
	defer func() {
		if err != nil && renew {
			s.renew()
		}
	}()
	if !renew {
		if kept, from, err = plan(v.snap, was.runs); err != nil {
			return out, err
		}
	}
	w := &runWriter{s: s, ctx: ctx, cutOff: v.cut.Number}
	run, err := w.run(v, kept, from)
	v.close()
	if err == nil {
		err = s.until(ctx, w.spread)
	}
	if err != nil {
		s.abandon(w.ids)
		return out, err
	}
	next := base{written: time.Now(), cut: v.cut, runs: append(kept, run)}
	if err := s.idx.Flush(); err != nil {
		s.fail(err)
		return out, s.err()
	}
	if err := s.publish(ctx, next, w.ids); err != nil {
		return out, err
	}
	if err := s.idx.Checkpointed(from, run.To, next.encode()); err != nil {
		s.fail(err)
		return out, s.err()
	}
	if err := s.idx.Flush(); err != nil {
		s.fail(err)
		return out, s.err()
	}
	out = Checkpointed{CutOff: v.cut.Number, Full: from == 0, Rows: run.Rows, Bytes: w.bytes, Packs: len(w.ids), Runs: len(next.runs)}
	s.supersede(next, was.runs[len(kept):], out)
	return out, nil
}

// renew makes the next checkpoint one of all rows, due also where nothing
// changed.
func (s *Store) renew() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ckpt.renew = true
}

// renewed reports whether that was asked for, and takes it as done: an epoch that
// begins from here on asks again.
func (s *Store) renewed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.ckpt.renew
	s.ckpt.renew = false
	return was
}

// plan decides which runs the new one takes in: those before it, newest first,
// while each has fewer than twice the rows collected so far. So runs at least
// double in size from new to old, and a row is written again a few times in its
// life, not with every checkpoint. What they have is marked in the index still;
// no old run is read. from is 0 where none is left: then it has all rows.
func plan(snap *index.Snapshot, runs []pack.CheckpointRun) (kept []pack.CheckpointRun, from uint32, err error) {
	if len(runs) == 0 {
		return nil, 0, nil
	}
	i := len(runs)
	from = runs[i-1].To + 1
	for {
		rows, err := snap.Count(from)
		if errors.Is(err, cairn.ErrPrecondition) {
			return partly(snap, runs, i)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("store: checkpoint: %w", err)
		}
		if i == 0 || runs[i-1].Rows >= 2*rows {
			return slices.Clone(runs[:i]), from, nil
		}
		i--
		if from = runs[i].From; i == 0 || from == 0 {
			return nil, 0, nil
		}
	}
}

// partly is plan where what run i has is not marked any more, since the index
// was loaded from it: the run goes behind those that cannot be taken in, until
// what changed is half of what they have.
func partly(snap *index.Snapshot, runs []pack.CheckpointRun, i int) ([]pack.CheckpointRun, uint32, error) {
	if i+1 > len(runs) { // what changed since the last run is not marked either
		return nil, 0, nil
	}
	var old uint64
	for _, r := range runs[:i+1] {
		old += r.Rows
	}
	from := runs[i].To + 1
	rows, err := snap.Count(from)
	switch {
	case errors.Is(err, cairn.ErrPrecondition) || err == nil && old < 2*rows:
		return nil, 0, nil
	case err != nil:
		return nil, 0, fmt.Errorf("store: checkpoint: %w", err)
	}
	return slices.Clone(runs[:i+1]), from, nil
}

// publish writes the root that names next. ids are its new packs.
func (s *Store) publish(ctx context.Context, next base, ids []cairn.PackID) error {
	runs, err := s.places(next.runs)
	if err == nil {
		err = s.root(ctx, func(b *pack.RootBody) {
			b.CutOff, b.Runs, b.Generation = next.cut, runs, next.runs[len(next.runs)-1].To
		})
	}
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ckpt.stale = append(s.ckpt.stale, ids...)
	}
	return err
}

// supersede goes on from next and gives up the packs of the runs that it took
// in, and of checkpoints that came to nothing.
func (s *Store) supersede(next base, old []pack.CheckpointRun, out Checkpointed) {
	s.mu.Lock()
	ids := s.ckpt.stale
	s.ckpt.last = out
	s.ckpt.base, s.ckpt.stale, s.ckpt.tried = next, nil, time.Time{}
	s.mu.Unlock()
	for _, r := range old {
		for _, e := range r.Part.Extents {
			ids = append(ids, e.Pack)
		}
	}
	s.abandon(ids)
}
