package scrub

import (
	"context"
	"hash/fnv"
	"time"

	"github.com/cairn-storage/cairn"
	"golang.org/x/sync/errgroup"
)

const (
	// looksAtOnce is how many direct looks at shards are under way at a time.
	looksAtOnce = 8
	// listingsAtOnce is how many nodes are listed at a time.
	listingsAtOnce = 4
)

// presenceLoop lists every node once in List, one after another, and settles
// what listings raised, until ctx ends.
func (s *Scrub) presenceLoop(ctx context.Context) {
	visited := moment(0)
	var g errgroup.Group // a node that lists for hours keeps no other from its turn
	g.SetLimit(listingsAtOnce)
	for ctx.Err() == nil {
		changed := s.c.Nodes.Changed()
		if now := s.now(); s.c.Visit != nil && (visited == 0 || now.since(visited) >= s.c.List) {
			visited = now
			if err := s.visit(ctx); err != nil {
				s.c.Log.Warn("markers, roots and keys could not be brought up to date everywhere", "err", err)
			}
		}
		for _, id := range s.dueNodes(s.view()) {
			if !s.beginListing(id) {
				continue
			}
			if !g.TryGo(func() error {
				defer s.endListing(id)
				if _, err := s.presence(ctx, id); err == nil {
					s.sweep(ctx, id)
				}
				return nil
			}) {
				s.endListing(id) // in a minute
			}
		}
		s.settleMarks(ctx, true)
		s.save(ctx)
		s.wait(ctx, time.Minute, changed, nil)
	}
	_ = g.Wait() // they return none
}

func (s *Scrub) beginListing(id cairn.NodeID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listing[id] {
		return false
	}
	s.listing[id] = true
	return true
}

func (s *Scrub) endListing(id cairn.NodeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listing, id)
}

// dueNodes lists the nodes whose listing is due: never listed, back after an
// absence, or a day ago. Each node has its own time of the day.
func (s *Scrub) dueNodes(v *view) (out []cairn.NodeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range v.order {
		m := s.memory(id)
		h := fnv.New32a()
		h.Write(id[:])
		early := s.c.List / 8 * time.Duration(h.Sum32()%1024) / 1024
		if v.nodes[id].answers() && (m.Listed == 0 || m.Due || v.now.since(m.Listed) >= s.c.List-early) && v.now >= s.tried[id] {
			out = append(out, id)
		}
	}
	return out
}

// presence lists a node and compares with the rows. Nothing is concluded from
// the listing alone: each difference is looked at directly, and changes nothing
// before a second look.
func (s *Scrub) presence(ctx context.Context, id cairn.NodeID) (r Report, err error) {
	f, err := s.compare(ctx, id)
	if err != nil {
		s.mu.Lock()
		s.tried[id] = s.now() + moment(5*time.Minute)
		s.mu.Unlock()
		if ctx.Err() == nil {
			s.c.Log.Warn("node could not be listed", "node", s.name(id), "err", err)
		}
		return r, err
	}
	r.Packs, r.Shards, r.Unknown, r.Extra = f.files, f.shards, int64(len(f.strangers)), int64(len(f.extras))
	s.raise(f)
	s.lookAll(ctx, f.absent, &r)
	now := s.now()
	s.mu.Lock()
	m := s.memory(id)
	m.Due = f.more // there was more than fits: again, when that is settled
	if ctx.Err() == nil {
		m.Listed = now
		s.tried[id] = 0
		if f.more {
			s.tried[id] = now + moment(s.c.Again)
		}
	}
	s.mu.Unlock()
	s.m.listings.Inc()
	if r.Wrong+r.Lost > 0 {
		s.kick()
	}
	return r, ctx.Err()
}

// raise marks what was listed and is in no row, as far as there is room.
func (s *Scrub) raise(f *found) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range f.extras {
		if _, ok := s.marks.add(extra, p, now); !ok {
			f.more = true
		}
	}
	for _, p := range f.strangers {
		if _, ok := s.marks.add(stranger, p, now); !ok {
			f.more = true
		}
	}
}

// lookAll looks at absences directly, a few at a time.
func (s *Scrub) lookAll(ctx context.Context, all []absence, r *Report) {
	var g errgroup.Group
	g.SetLimit(looksAtOnce)
	results := make(chan sight, len(all)) // room for all
	for _, p := range all {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			n := uint64(1)
			if p.whole {
				n = 0
			}
			results <- s.look(ctx, p.place, n)
			return nil
		})
	}
	_ = g.Wait() // they return none
	close(results)
	for x := range results {
		r.count(x)
	}
}

func (r *Report) count(x sight) {
	r.Read += x.moved.Read
	r.Requests += int64(x.moved.Requests)
	switch x.is {
	case sawWrong:
		r.Wrong++
	case sawNone:
		r.Missing++
	case sawLost:
		r.Lost++
	case sawNothing:
		r.Unread++
	}
}
