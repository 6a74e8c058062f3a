package scrub

import (
	"context"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// Count is one pass over the index: where all packs stand. What that means is
// told by Stand, with the nodes as they are then.
type Count struct{ c *census }

// Sum is the packs that were counted.
func (n *Count) Sum() Sum { return Sum{n.c.packs, n.c.bytes} }

const (
	// countShare bounds what counting may cost: one part in so many of the time.
	countShare = 50
	// countQuick is what a pass may take and be made for each who asks.
	countQuick = 100 * time.Millisecond
)

// Count passes over the index, or returns the last count while another would
// take long and that is young. The error is one of the index.
func (s *Scrub) Count(ctx context.Context) (*Count, error) {
	c, err := s.recent(ctx, 0, func(c *census) bool {
		return !c.partial && c.took > countQuick && time.Since(c.at) < countShare*c.took
	}, 0)
	if c == nil {
		return nil, err
	}
	return &Count{c}, err
}

// Stand tells how the packs of a count stand, with the nodes as they are
// recorded and as the fleet sees them now, as if those named did not answer
// either. It asks no node and no disk.
func (s *Scrub) Stand(n *Count, recorded []pack.Node, without ...cairn.NodeID) Health {
	return s.healthOf(n.c, s.viewOf(recorded).without(without))
}

// Cost tells, of the packs that have a shard on a node and can be read when
// every other node comes back, which can be without it and which cannot.
func (s *Scrub) Cost(ctx context.Context, id cairn.NodeID) (weaker, lost Sum, err error) {
	v := s.view()
	c, err := s.take(ctx, v, byGrace, func(cairn.PackID) bool { return true }, 0)
	if err != nil {
		return Sum{}, Sum{}, err
	}
	for _, t := range c.patterns {
		switch t.depends(v, id) {
		case 1:
			weaker.add(t.sum)
		case -1:
			lost.add(t.sum)
		}
	}
	return weaker, lost, nil
}

// recent is a census that is at most age old, or the last one where that will
// do; a new one ends early after most, if most is not 0. nil, and no error,
// before there is any.
func (s *Scrub) recent(ctx context.Context, age time.Duration, willDo func(*census) bool, most time.Duration) (*census, error) {
	select {
	case s.counting <- struct{}{}: // one pass serves all that wait for it
	case <-ctx.Done():
		return s.newest(), ctx.Err() // a disk that hangs
	}
	defer func() { <-s.counting }()
	c := s.newest()
	if c != nil && (time.Since(c.at) < age || willDo(c)) {
		return c, nil
	}
	fresh, err := s.take(ctx, s.view(), byGrace, func(cairn.PackID) bool { return true }, most)
	if err != nil {
		return c, err
	}
	s.note(fresh)
	return s.newest(), nil
}

// tookLong is where another census would take long.
func tookLong(c *census) bool { return c.took > healthMost/4 }

// healthMost bounds the pass over the index that a look at the health may cost.
const healthMost = time.Second

// note keeps a census for Health, unless a whole one would give way to a part.
func (s *Scrub) note(c *census) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || s.last.partial || !c.partial {
		s.last = c
	}
}

func (s *Scrub) newest() *census {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}
