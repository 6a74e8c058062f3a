package scrub

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
)

// settleMarks looks a second time at what was marked an hour of observed time
// ago: shards that were not there, files that are in no row, packs that the
// index does not know.
func (s *Scrub) settleMarks(ctx context.Context, background bool) (r Report) {
	v := s.view()
	if len(v.order) == 0 {
		return r
	}
	resting := s.resting(v.now, background)
	s.mu.Lock()
	doubts := s.marks.due(doubted, v.now, s.c.Again)
	extras := s.marks.due(extra, v.now, s.c.Again)
	strangers := s.marks.due(stranger, v.now, s.c.Again)
	s.mu.Unlock()
	var again []absence
	for _, p := range doubts {
		if v.of(p.Node).answers() {
			again = append(again, absence{place: p})
		} else if v.of(p.Node).is == gone {
			s.forget(p) // its rows say all that is to be said
		}
	}
	s.lookAll(ctx, again, &r)
	for _, p := range extras {
		if ctx.Err() != nil {
			return r
		}
		if resting(p) {
			continue
		}
		s.settleExtra(ctx, v, p, &r)
	}
	s.settleStrangers(ctx, v, strangers, resting, &r)
	s.pruneWrong(v)
	return r
}

// pruneWrong forgets marks of shards that no row names there any more.
func (s *Scrub) pruneWrong(v *view) {
	s.mu.Lock()
	bad := s.marks.due(wrong, v.now, s.c.Again)
	s.mu.Unlock()
	for _, p := range bad {
		row, err := s.c.Store.Pack(p.pack)
		if errors.Is(err, cairn.ErrNotExist) || err == nil && !recorded(row, p.Location) {
			s.forget(p)
		}
	}
}

// resting returns what tells that nodes were asked about a place less than an
// hour ago, to no end: the background does not ask every minute. A person's scrub
// does.
func (s *Scrub) resting(now moment, background bool) func(place) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.asked, func(_ place, at moment) bool { return now.since(at) >= s.c.Again })
	return func(p place) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		_, ok := s.asked[p]
		return ok && background
	}
}

// toNoEnd notes that nodes were asked about a place, or about a pack at none.
func (s *Scrub) toNoEnd(p place) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[p] = now
}

func (s *Scrub) dropMark(k kind, p place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks.drop(k, p)
}

// settleExtra deals with a file of a known pack that is in no row. Where the
// row lacks its shard, or has it where it is lost, it is taken up, once all its
// bytes are proven. Where it is one too many, it is removed: only when each of
// the n shards of the row was just verified by a fresh read, so that it is never
// the one that is needed, and the row has not changed since.
func (s *Scrub) settleExtra(ctx context.Context, v *view, p place, r *Report) {
	if s.isIntended(p) || !s.hold(p.pack) {
		return
	}
	defer s.let(p.pack)
	row, err := s.c.Store.Pack(p.pack)
	if errors.Is(err, cairn.ErrNotExist) {
		s.dropMark(extra, p) // it is a stranger by now; a listing says so
		return
	}
	if err != nil {
		return
	}
	if int(p.Index) >= row.Params.Coding.N() {
		s.dropMark(extra, p)
		s.noShard(p, r) // a name that nobody here ever gave
		return
	}
	if row.State >= index.Retiring && !recorded(row, p.Location) && s.c.Adopt != nil {
		// The store deletes it with the others, when it may.
		if _, err := s.c.Adopt(ctx, p.pack, []cairn.Location{p.Location}); err == nil {
			s.dropMark(extra, p)
		}
		return
	}
	if row.State != index.Spread || recorded(row, p.Location) || v.of(p.Node).is == gone {
		s.dropMark(extra, p)
		return
	}
	if !v.of(p.Node).answers() || v.alarm != "" {
		return
	}
	a := s.assess(v, row)
	if sh := a.shards[p.Index]; sh.state >= onExpired && sh.state != onCondemned {
		// Two shards on one node would be lost together: while the pack can be read
		// without it, the missing one is made again elsewhere, and this one waits to
		// be one too many.
		if !doubles(row, p) || a.readable() < row.Params.Coding.K {
			s.takeUp(ctx, &a, p, r)
		}
		return
	}
	s.removeExtra(ctx, row, p, r)
}

// noShard tells of a file that has the name of a shard and is none.
func (s *Scrub) noShard(p place, r *Report) {
	r.NoShards++
	s.c.Log.Warn("a file has the name of a shard and is none; it is left where it is", "node", s.name(p.Node), "pack", p.pack, "shard", p.Index)
}

// doubles reports whether the row has another shard on the node of p.
func doubles(row index.PackRow, p place) bool {
	return slices.ContainsFunc(row.At, func(l cairn.Location) bool { return l.Node == p.Node && l.Index != p.Index })
}

// takeUp records an extra file as the shard that its row lacks.
func (s *Scrub) takeUp(ctx context.Context, a *assessed, p place, r *Report) {
	moved, err := s.c.Nodes.Examine(ctx, a.row.Params, p.Location, 0, 0)
	r.Read += moved.Read
	switch {
	case ctx.Err() != nil:
		return
	case errors.Is(err, cairn.ErrNotExist):
		s.dropMark(extra, p)
		return
	case errors.Is(err, cairn.ErrCorrupt):
		// It is no shard. Nobody needs it and nobody may say so: it stays, and
		// every listing sees it again, until its shard was made again elsewhere.
		s.dropMark(extra, p)
		s.noShard(p, r)
		return
	case err != nil:
		s.toNoEnd(p)
		return
	}
	old, err := s.place(p.pack, a, []cairn.Location{p.Location})
	if err != nil {
		if !errors.Is(err, cairn.ErrPrecondition) {
			s.c.Log.Warn("a shard that was found could not be taken up", "node", s.name(p.Node), "pack", p.pack, "err", err)
		}
		return
	}
	for _, l := range old {
		s.forget(place{p.pack, l})
	}
	s.dropMark(extra, p)
	r.Found++
	s.c.Log.Info("shard was found and taken up", "node", s.name(p.Node), "pack", p.pack, "shard", p.Index)
}

// removeExtra removes a file of a shard that stands elsewhere.
func (s *Scrub) removeExtra(ctx context.Context, row index.PackRow, p place, r *Report) {
	n := row.Params.Coding.N()
	if good := s.c.Nodes.Verify(ctx, row.Params, row.At); len(good) < n || !coversAll(good, n) {
		s.toNoEnd(p)
		return // it may yet be needed
	}
	again, err := s.c.Store.Pack(p.pack)
	if err != nil || !s.ours(again) || !slices.Equal(again.At, row.At) || recorded(again, p.Location) {
		return // only the row that was verified counts
	}
	if err := s.c.Nodes.Remove(ctx, p.pack, p.Location); err != nil {
		s.c.Log.Debug("an extra copy of a shard could not be removed", "node", s.name(p.Node), "pack", p.pack, "err", err)
		return
	}
	s.dropMark(extra, p)
	r.Removed++
	s.m.removed.Inc()
}

// coversAll reports whether each of n shards is among at.
func coversAll(at []cairn.Location, n int) bool {
	var seen uint64
	for _, l := range at {
		if int(l.Index) < n {
			seen |= 1 << l.Index
		}
	}
	return seen == 1<<n-1
}
