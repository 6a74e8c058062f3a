package scrub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/index"
)

// What became of one pack.
type outcome struct {
	made    int              // shards that stand anew and are recorded
	places  []cairn.Location // where, of a mend
	bytes   int64            // of their files
	moved   fleet.Moved
	removed int
	stuck   *Stuck // why something is left to do
	busy    bool   // somebody else is at it
}

var (
	// errMoved: the row is not as it was when the work was begun.
	errMoved = errors.New("the shards stand elsewhere by now")
	// errNowhere: no node may take a shard.
	errNowhere = errors.New("nowhere to go: add a node, or bring one back")
)

// mend makes shards of a pack again. want lists the indices, of the row as it
// stands now. home, if not zero, is the node that is to have one of them.
//
// Order, each step durable before the next:
//
//  1. the places it will be put to are kept here, so that a crash leaves nothing
//     on a node that is not known
//  2. fleet puts the new file under a new name, and reads it back
//  3. the row names the new place in place of the old, by compare-and-set
//  4. only then the old file goes
//
// A crash leaves at most a second good file of a shard, which the next listing
// finds and takes up or, all n being verified, removes.
func (s *Scrub) mend(ctx context.Context, id cairn.PackID, v *view, want func(*assessed) []uint8, home cairn.NodeID, u urgency) (o outcome, err error) {
	if !s.hold(id) {
		return outcome{busy: true}, nil
	}
	defer s.let(id)
	row, err := s.c.Store.Pack(id)
	if errors.Is(err, cairn.ErrNotExist) || err == nil && !s.ours(row) {
		return outcome{}, nil
	}
	if err != nil {
		return outcome{}, err
	}
	a := s.assess(v, row)
	todo := want(&a)
	if len(todo) == 0 {
		return outcome{}, nil
	}
	stuck := func(why string) (outcome, error) {
		o.stuck = &Stuck{Pack: id, ID: id.String(), Have: a.readable(), Need: row.Params.Coding.K, Why: why, Lost: a.mayCome() < row.Params.Coding.K}
		return o, nil
	}
	homeless := func(why string) (outcome, error) {
		o, err := stuck(why)
		o.stuck.NoNode = true
		return o, err
	}
	todo, from := s.plan(&a, todo)
	if len(todo) == 0 {
		o, err := stuck(a.tooFew())
		if o.stuck.Have >= o.stuck.Need { // it was counted before somebody looked
			o.stuck.Have, o.stuck.Why = len(from), "the others are what was to be made again"
		}
		return o, err
	}
	room := s.roomFor(v, from)
	if room == 0 {
		return homeless(errNowhere.Error())
	}
	missing := todo[:min(room, len(todo))] // data shards first
	if err := s.spendFor(ctx, &a, from, a.few() || u == atOnce); err != nil {
		if ctx.Err() != nil {
			return o, ctx.Err()
		}
		return stuck(err.Error())
	}
	intent := func(places []cairn.Location) error {
		s.spendAt(ctx, row.Params.FileSize(), places)
		return s.intend(ctx, id, places)
	}
	defer s.settled(id)
	start := time.Now()
	made, cost, ferr := s.c.Nodes.RepairOn(ctx, home, row.Params, row.At, missing, intent)
	o.moved = cost
	if len(made) > 0 {
		var old []cairn.Location
		if old, err = s.place(id, &a, made); err != nil {
			s.takeBack(ctx, id, made)
			return o, err
		}
		o.places = made
		o.made, o.bytes = len(made), int64(len(made))*row.Params.FileSize()
		s.madeBytes(o.bytes, time.Since(start))
		o.removed = s.retire(ctx, v, id, old)
	}
	switch {
	case ctx.Err() != nil:
		return o, ctx.Err()
	case errors.Is(ferr, fleet.ErrNowhere):
		return homeless(ferr.Error())
	case ferr != nil:
		return stuck(ferr.Error())
	case len(missing) < len(todo):
		return homeless(fmt.Sprintf("%d shards: %v", len(todo)-len(missing), errNowhere))
	}
	return o, nil
}

// plan says which of the shards todo are made now, and which are read for it:
// those that stand and stay. While these are fewer than k, some that are to be
// replaced stay another round, since any block of theirs that verifies counts
// (B12). None are made when there are too few all the same.
func (s *Scrub) plan(a *assessed, todo []uint8) (make []uint8, from []cairn.Location) {
	k := a.row.Params.Coding.K
	for i, sh := range a.shards {
		if sh.state.readable() && !slices.Contains(todo, uint8(i)) {
			from = append(from, sh.at)
		}
	}
	make = slices.Clone(todo)
	for _, st := range []shardState{doubled, onQuarantined, onCondemned, wrongBytes} {
		for i, sh := range a.shards {
			if len(from) < k && sh.state == st && slices.Contains(make, uint8(i)) {
				from = append(from, sh.at)
				make = slices.DeleteFunc(make, func(o uint8) bool { return int(o) == i })
			}
		}
	}
	if len(from) < k {
		return nil, from
	}
	return make, from
}

// roomFor is how many nodes may take a shard of a pack of which those at at
// stay where they are.
func (s *Scrub) roomFor(v *view, at []cairn.Location) (n int) {
	for _, id := range v.order {
		if v.nodes[id].takes() && !slices.ContainsFunc(at, func(l cairn.Location) bool { return l.Node == id }) {
			n++
		}
	}
	return n
}

// place records the shards made, in place of whatever the row says of their
// indices, and returns what was there. The row is not touched where anyone
// changed the places of these shards since a was taken: what was made is then a
// second file, dealt with like any other.
func (s *Scrub) place(id cairn.PackID, a *assessed, made []cairn.Location) (old []cairn.Location, err error) {
	err = s.c.Store.Placed(id, func(row *index.PackRow) error {
		old = old[:0]
		next := make([]cairn.Location, 0, len(row.At)+len(made))
		for _, l := range row.At {
			if !slices.ContainsFunc(made, func(m cairn.Location) bool { return m.Index == l.Index }) {
				next = append(next, l)
				continue
			}
			if !slices.Contains(a.row.At, l) {
				return fmt.Errorf("pack %v: %w: %w", id, errMoved, cairn.ErrPrecondition)
			}
			if !slices.Contains(made, l) {
				old = append(old, l)
			}
		}
		row.At = append(next, made...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("scrub: placing shards of %v: %w", id, err)
	}
	return old, nil
}

// takeBack removes what was just put and cannot be recorded because nothing
// needs its pack any more. No row, root or checkpoint ever named these files.
// Where the pack does live on they stay, for a listing to judge.
func (s *Scrub) takeBack(ctx context.Context, id cairn.PackID, made []cairn.Location) {
	row, err := s.c.Store.Pack(id)
	if err != nil || row.State < index.Retiring {
		return
	}
	for _, l := range made {
		if recorded(row, l) {
			continue
		}
		if err := s.c.Nodes.Remove(ctx, id, l); err != nil {
			s.c.Log.Debug("a shard of a pack that is retired meanwhile could not be removed", "node", s.name(l.Node), "pack", id, "err", err)
		}
	}
}

// retire removes the files that the row named before, where their nodes answer.
// Their replacements were verified and are recorded. What stays is found by a
// later listing.
func (s *Scrub) retire(ctx context.Context, v *view, id cairn.PackID, old []cairn.Location) (removed int) {
	for _, l := range old {
		s.mu.Lock()
		s.marks.drop(wrong, place{id, l})
		s.marks.drop(doubted, place{id, l})
		s.mu.Unlock()
		if !v.of(l.Node).answers() {
			continue
		}
		if err := s.c.Nodes.Remove(ctx, id, l); err != nil {
			s.c.Log.Debug("a replaced shard could not be removed; a listing will find it", "pack", id, "node", v.of(l.Node).Name, "err", err)
			continue
		}
		removed++
	}
	return removed
}
