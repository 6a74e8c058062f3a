package scrub

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/index"
)

// sight is what one direct look at a shard came to.
type sight struct {
	is    saw
	moved fleet.Moved
}

type saw int

const (
	sawMoved   saw = iota // the row does not name the place any more
	sawGood               // what was read is proven
	sawWrong              // wrong bytes
	sawNone               // not there, at a first look
	sawLost               // not there, an hour after the first look
	sawNothing            // the node could not say
)

// look reads n bytes of a shard, 0 for all, and draws what follows from it. The
// row is read again before anything is concluded: shards move (C17). A shard
// that is not there leaves its row only when it was not there an hour of observed
// time ago either, the node's marker being good both times (B7); should the file
// turn up again, a listing takes it up again.
func (s *Scrub) look(ctx context.Context, p place, n uint64) sight {
	row, err := s.c.Store.Pack(p.pack)
	if err != nil || row.State != index.Spread || !recorded(row, p.Location) {
		s.forget(p)
		return sight{is: sawMoved}
	}
	moved, err := s.c.Nodes.Examine(ctx, row.Params, p.Location, 0, n)
	if errors.Is(err, cairn.ErrNotExist) {
		// It may have been made again, or moved, while this waited: the row names
		// the new place before the old goes.
		if row, err := s.c.Store.Pack(p.pack); err != nil || row.State != index.Spread || !recorded(row, p.Location) {
			s.forget(p)
			return sight{sawMoved, moved}
		}
	}
	return sight{s.conclude(ctx, p, err, n == 0), moved}
}

// conclude is what the outcome of Examine means for the shard at p; whole says
// that every byte was read.
func (s *Scrub) conclude(ctx context.Context, p place, err error, whole bool) saw {
	if ctx.Err() != nil {
		return sawNothing
	}
	now := s.now()
	switch {
	case err == nil:
		s.c.Nodes.Judge(p.Node, fleet.Good)
		s.m.looks.WithLabelValues("ok").Inc()
		s.mu.Lock()
		s.marks.drop(doubted, p)
		if whole {
			s.marks.drop(wrong, p)
		}
		s.mu.Unlock()
		return sawGood
	case errors.Is(err, cairn.ErrNotExist):
		return s.notThere(p, now)
	case errors.Is(err, cairn.ErrCorrupt):
		s.m.looks.WithLabelValues("corrupt").Inc()
		return s.isWrong(ctx, p, now, err)
	}
	s.c.Nodes.Judge(p.Node, fleet.Slow)
	s.m.looks.WithLabelValues(cairn.ClassName(err)).Inc()
	return sawNothing
}

// isWrong marks a shard whose bytes are wrong. It stays in its row, since other
// blocks of it may be good, until it is made again.
func (s *Scrub) isWrong(ctx context.Context, p place, now moment, err error) saw {
	s.mu.Lock()
	before := len(s.marks.of[wrong])
	_, ok := s.marks.add(wrong, p, now)
	fresh := len(s.marks.of[wrong]) > before
	s.mu.Unlock()
	if fresh {
		s.c.Log.Warn("shard has wrong bytes", "node", s.name(p.Node), "pack", p.pack, "shard", p.Index, "err", err)
	} else if !ok {
		s.c.Log.Warn("more shards have wrong bytes than are kept in mind; the rest is found again later", "node", s.name(p.Node))
	}
	if fresh && before < 1000 {
		s.save(ctx) // a crash would leave it to the next round
	}
	s.kick()
	return sawWrong
}

func (s *Scrub) notThere(p place, now moment) saw {
	s.c.Nodes.Judge(p.Node, fleet.Missing)
	s.m.looks.WithLabelValues("not-exist").Inc()
	s.mu.Lock()
	first, ok := s.marks.add(doubted, p, now)
	s.mu.Unlock()
	if !ok || now.since(first) < s.c.Again {
		return sawNone
	}
	if !s.hold(p.pack) {
		return sawNone // being mended right now
	}
	defer s.let(p.pack)
	err := s.c.Store.Placed(p.pack, func(row *index.PackRow) error {
		i := slices.Index(row.At, p.Location)
		if i < 0 {
			return fmt.Errorf("pack %v: %w: %w", p.pack, errMoved, cairn.ErrPrecondition)
		}
		row.At = slices.Delete(slices.Clone(row.At), i, i+1)
		return nil
	})
	if err != nil && !errors.Is(err, cairn.ErrPrecondition) && !errors.Is(err, cairn.ErrNotExist) {
		s.c.Log.Error("a lost shard could not be taken from its row", "pack", p.pack, "err", err)
		return sawNone
	}
	s.forget(p)
	if err != nil {
		return sawMoved
	}
	s.c.Log.Warn("shard is lost: the node said twice, an hour apart, that it is not there", "node", s.name(p.Node), "pack", p.pack, "shard", p.Index)
	s.m.lost.Inc()
	s.kick()
	return sawLost
}

// forget drops what is remembered against a place that no row names.
func (s *Scrub) forget(p place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks.drop(doubted, p)
	s.marks.drop(wrong, p)
}

// name is a node's name for people.
func (s *Scrub) name(id cairn.NodeID) string {
	nodes, _ := s.c.Nodes.Status()
	for _, n := range nodes {
		if n.ID == id {
			return n.Name
		}
	}
	return id.String()[:8]
}
