package scrub

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
)

const (
	// walkBatch is how many rows with a shard on the node are fetched at a time.
	walkBatch = 64
	// walkAhead: a round aims at this part of Config.Every, so that a night's
	// outage does not make it late.
	walkAhead = 0.9
	// saveEvery is the most of a walk that a crash repeats.
	saveEvery = 30 * time.Second
	// walkTries is how often in a row a shard may be unreadable before the walk
	// goes on without it.
	walkTries = 3
)

// walkLoop has one walker for each node of the fleet, until ctx ends.
func (s *Scrub) walkLoop(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	walking := make(map[cairn.NodeID]context.CancelFunc)
	for ctx.Err() == nil {
		changed := s.c.Nodes.Changed()
		v := s.view()
		for id, stop := range walking {
			if v.of(id).is == gone {
				stop()
				delete(walking, id)
			}
		}
		for _, id := range v.order {
			if _, ok := walking[id]; !ok && v.nodes[id].is != gone {
				one, stop := context.WithCancel(ctx)
				walking[id] = stop
				wg.Go(func() { s.walkNode(one, id) })
			}
		}
		s.wait(ctx, 10*time.Minute, changed, nil)
	}
	for _, stop := range walking {
		stop()
	}
}

// walkNode reads every byte that stands on a node, in order of pack id, over and
// over, as fast as Every asks and the node's budget allows.
func (s *Scrub) walkNode(ctx context.Context, id cairn.NodeID) {
	saved := time.Now()
	for ctx.Err() == nil {
		if s.view().of(id).is != here {
			s.wait(ctx, time.Minute, s.c.Nodes.Changed(), nil)
			continue
		}
		if d := s.ahead(ctx, id); d > 0 {
			s.wait(ctx, min(d, 10*time.Minute), nil, nil)
			continue
		}
		s.mu.Lock()
		from := cairn.PackID(s.memory(id).Cursor)
		s.mu.Unlock()
		batch, err := s.batch(ctx, id, from, walkBatch)
		if err != nil {
			if ctx.Err() == nil {
				s.c.Log.Error("the index cannot be read for the walk", "err", err)
			}
			s.wait(ctx, time.Minute, nil, nil)
			continue
		}
		if len(batch) == 0 {
			s.roundEnds(ctx, id)
			continue
		}
		s.walkBatch(ctx, id, batch, &saved)
	}
}

// batch gives the next rows with a shard on the node.
func (s *Scrub) batch(ctx context.Context, id cairn.NodeID, above cairn.PackID, most int) (out []index.PackRow, err error) {
	n := 0
	for row, err := range s.c.Store.Packs(above) {
		if err != nil {
			return nil, err
		}
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if row.State == index.Spread && slices.ContainsFunc(row.At, func(l cairn.Location) bool { return l.Node == id }) {
			if out = append(out, row); len(out) == most {
				break
			}
		}
	}
	return out, nil
}

// ahead is how far the walk of a node is ahead of its schedule. Time during
// which this process did not run does not count, so coming back makes no rush.
func (s *Scrub) ahead(ctx context.Context, id cairn.NodeID) time.Duration {
	c, err := s.recent(ctx, 10*time.Minute, tookLong, healthMost)
	if err != nil || c == nil {
		return time.Minute
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.memory(id)
	if m.Began == 0 {
		m.Began = now
	}
	l := c.nodes[id]
	if l == nil || l.bytes == 0 {
		return min(s.c.List, time.Hour)
	}
	due := time.Duration(float64(m.Done) / float64(l.bytes) * walkAhead * float64(s.c.Every))
	return due - now.since(m.Began)
}

// walkBatch reads shards until the walk is ahead again.
func (s *Scrub) walkBatch(ctx context.Context, id cairn.NodeID, batch []index.PackRow, saved *time.Time) {
	for _, row := range batch {
		for _, l := range row.At {
			if l.Node != id {
				continue
			}
			if !s.walkShard(ctx, row, l) {
				return
			}
		}
		// Only now, when every shard of the pack is proven or was given up for this
		// round, does the cursor pass it.
		s.mu.Lock()
		s.memory(id).Cursor = packText(row.Params.ID)
		s.mu.Unlock()
		if time.Since(*saved) >= saveEvery {
			*saved = time.Now()
			s.save(ctx)
		}
		if s.ahead(ctx, id) > 0 || ctx.Err() != nil {
			return
		}
	}
}

// walkShard reads one shard whole; false when the walk has to wait for it.
func (s *Scrub) walkShard(ctx context.Context, row index.PackRow, l cairn.Location) bool {
	size := row.Params.FileSize()
	start := s.now()
	if err := s.c.Nodes.Spend(ctx, l.Node, size); err != nil {
		pause := time.Minute
		if errors.Is(err, cairn.ErrFull) {
			pause = time.Hour // the month's budget is used up
		}
		s.wait(ctx, pause, nil, nil)
		s.waited(l.Node, start)
		return false
	}
	s.waited(l.Node, start)
	x := s.look(ctx, place{row.Params.ID, l}, 0)
	s.m.bytes.WithLabelValues("walk").Add(float64(x.moved.Read))
	s.mu.Lock()
	m := s.memory(l.Node)
	if x.is == sawNothing && ctx.Err() == nil {
		m.fails++
	} else {
		m.fails = 0
		m.Done += size
	}
	again := m.fails > 0 && m.fails < walkTries
	if m.fails >= walkTries {
		m.fails = 0
	}
	s.mu.Unlock()
	if again {
		s.wait(ctx, time.Minute, nil, nil)
	}
	return !again && ctx.Err() == nil
}

// waited counts time that the budget of a node cost its walk.
func (s *Scrub) waited(id cairn.NodeID, start moment) {
	d := s.now().since(start)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.memory(id).budget += d
}

// roundEnds begins the next round of a node.
func (s *Scrub) roundEnds(ctx context.Context, id cairn.NodeID) {
	now := s.now()
	s.mu.Lock()
	m := s.memory(id)
	if m.Done == 0 { // there was nothing to read
		s.mu.Unlock()
		s.wait(ctx, time.Minute, nil, nil)
		return
	}
	m.Took = now.since(m.Began)
	m.Began, m.Done, m.Cursor, m.budget = now, 0, packText{}, 0
	m.Rounds++
	took := m.Took
	s.mu.Unlock()
	s.c.Log.Info("every byte of a node was read", "node", s.name(id), "took", took.Round(time.Minute))
	s.save(ctx)
}
