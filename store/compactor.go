package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

const (
	// compactEvery is how often packs are looked through for what is worth
	// compacting; compactFull while the nodes have no room for user data.
	compactEvery = time.Hour
	compactFull  = collectEvery
	// compactShare is how much of the time it may take at most: after one that
	// took long the next waits so many times as long.
	compactShare = 9
)

// compactor compacts in the background until ctx ends: packs of which less than
// CompactBelow is live, and small ones, of which a flush age makes many.
func (s *Store) compactor(ctx context.Context) {
	var rest time.Duration
	for {
		wait := compactEvery
		if s.c.Nodes.Full() {
			wait = compactFull
		}
		t := time.NewTimer(max(wait, rest))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
		began := time.Now()
		out, err := s.compactDue(ctx)
		rest = compactShare * time.Since(began)
		if err != nil && s.c.Nodes.Full() { // what was tried takes room until a grace is over
			rest = max(rest, s.c.Grace)
		}
		switch {
		case err != nil && ctx.Err() == nil && !errors.Is(err, cairn.ErrUnavailable) && !errors.Is(err, cairn.ErrFull):
			s.c.Log.Warn("compaction ended early; it goes on later", "packs", out.Packs, "of", out.Of, "err", err)
		case out.Packs > 0:
			s.c.Log.Info("compacted", "packs", out.Packs, "bytes", out.Live, "freed", out.Freed, "waiting", out.Waiting)
		}
	}
}

// compactDue does one round. Packs that are dead already cost nothing to free, so
// they go first.
func (s *Store) compactDue(ctx context.Context) (Compacted, error) {
	if _, err := s.collectRound(ctx, !s.c.Nodes.Full()); err != nil {
		return Compacted{}, err
	}
	most := uint64(0)
	if s.c.Nodes.Full() {
		var err error
		if most, err = s.rewritable(ctx); err != nil || most == 0 {
			return Compacted{}, err
		}
	}
	small, err := s.smallPacks(ctx)
	if err != nil {
		return Compacted{}, err
	}
	n := s.needed()
	return s.Compact(ctx, Compaction{Traffic: s.c.Traffic, most: most, Want: func(row index.PackRow, live uint64) bool {
		return n.settledLog(row) && (small[row.Params.ID] || float64(live) < s.c.CompactBelow*float64(row.Bytes))
	}}, nil)
}

// fullShare is the part of what nodes have left that compaction may use while
// they have no room for user data. What it empties is there again only after a
// grace, and until then records and checkpoints need the rest: without them
// nothing could be retired, and a full store would stay so.
const fullShare = 4

// rewritable is how many live bytes may be written anew on full nodes: none while
// room is on its way.
func (s *Store) rewritable(ctx context.Context) (uint64, error) {
	gone, err := s.Collect(ctx)
	if err != nil || gone.Retiring+gone.Rootless+gone.InGrace > 0 {
		return 0, err
	}
	c, err := s.c.Nodes.Coding(s.Coding())
	if err != nil {
		return 0, nil
	}
	return uint64(s.c.Nodes.Spare()) / fullShare * uint64(c.K) / uint64(c.N()), nil
}

// limit sets how much may still be written anew, once, when the nodes are full.
// It is not set again: a share of what is left, taken again and again, is all.
func (k *compaction) limit() error {
	if k.c.most > 0 || k.c.Urgent || !k.s.c.Nodes.Full() {
		return nil
	}
	most, err := k.s.rewritable(k.ctx)
	if err == nil && most == 0 {
		err = fmt.Errorf("store: compact: the nodes are full, and what is left of their reserve is for deletes; room of packs that were emptied comes back a day after: %w", cairn.ErrFull)
	}
	k.c.most = most
	return err
}

// settledLog reports whether a pack may be compacted without being asked for: a
// log pack only once no root needs its records, so that it can go when it is
// empty; by then it is hours old, and most of what is short-lived in it is gone.
func (n *needs) settledLog(row index.PackRow) bool {
	return !n.staged[row.Params.ID] && (row.Kind != pack.Log || n.known && row.Number <= n.low)
}

// smallPacks returns the packs below a quarter of a full one, where together they
// fill half of one or more: so what they become is small no more, and no byte is
// moved twice for it.
func (s *Store) smallPacks(ctx context.Context) (map[cairn.PackID]bool, error) {
	n := s.needed()
	l := &liveReader{s: s}
	small := make(map[cairn.PackID]bool)
	var sum uint64
	for row, err := range s.idx.Packs(cairn.PackID{}) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, s.indexError("compact", err)
		}
		if row.State != index.Spread || !holdsObjects(row.Kind) || row.Bytes >= s.c.PackSize/4 || !n.settledLog(row) {
			continue
		}
		in, err := l.of(row.Params.ID)
		if err != nil {
			return nil, s.indexError("compact", err)
		}
		// One that is full of small objects is as large as it can be.
		if live := in.bytes(); live > 0 && in.uploads == 0 && len(in.extents) < rewriteRuns/2 {
			small[row.Params.ID] = true
			sum += live
		}
	}
	if sum < uint64(s.c.PackSize)/2 {
		return nil, nil
	}
	return small, nil
}
