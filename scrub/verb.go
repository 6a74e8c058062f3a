package scrub

import (
	"context"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"golang.org/x/sync/errgroup"
)

// running is a verb under way.
type running struct {
	cut  context.CancelFunc // nil for one that a person began
	done chan struct{}      // closed at its end
}

// begin lets one verb of a kind run at a time, and returns the context it runs
// in; the caller calls end. A person's verb cuts one off that runs in the
// background and takes its place, since each can be cut off and goes on.
func (s *Scrub) begin(ctx context.Context, verb string, background bool) (_ context.Context, end func(), err error) {
	for {
		s.mu.Lock()
		other := s.verbs[verb]
		if other == nil {
			r := &running{done: make(chan struct{})}
			ctx, cancel := context.WithCancel(ctx)
			if background {
				r.cut = cancel
			}
			s.verbs[verb] = r
			s.mu.Unlock()
			return ctx, func() {
				cancel()
				s.mu.Lock()
				defer s.mu.Unlock()
				delete(s.verbs, verb)
				close(r.done)
			}, nil
		}
		s.mu.Unlock()
		if background || other.cut == nil {
			return nil, nil, fmt.Errorf("scrub: %s is running already: %w", verb, cairn.ErrUnavailable)
		}
		other.cut()
		select {
		case <-other.done:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// chosen is the nodes that a request names: one, or all that are not given up.
func (s *Scrub) chosen(v *view, name string) (out []cairn.NodeID, err error) {
	for _, id := range v.order {
		n := v.nodes[id]
		if name == "" && n.is != gone || name != "" && (n.Name == name || id.String() == name) {
			out = append(out, id)
		}
	}
	if len(out) == 0 && name != "" {
		return nil, fmt.Errorf("scrub: node %q: %w", name, cairn.ErrNotExist)
	}
	return out, nil
}

// rows gives do every row that has something to do with a node, a few at a time,
// in order of id above a pack. passed is called with the last pack of every
// batch that is through.
func (s *Scrub) rows(ctx context.Context, id cairn.NodeID, above cairn.PackID, do func(context.Context, index.PackRow) error, passed func(cairn.PackID, int)) error {
	for {
		batch, err := s.batch(ctx, id, above, walkBatch)
		if err != nil || len(batch) == 0 {
			return err
		}
		g, one := errgroup.WithContext(ctx)
		g.SetLimit(s.c.Parallel)
		for _, row := range batch {
			g.Go(func() error { return do(one, row) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		above = batch[len(batch)-1].Params.ID
		passed(above, len(batch))
	}
}

// resume is the cursor of a verb that was cut off, zero for none.
func (s *Scrub) resume(key string) (cairn.PackID, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.kept.Jobs[key]
	if j == nil {
		return cairn.PackID{}, false
	}
	return cairn.PackID(j.Cursor), true
}

// reached keeps how far a verb is; all below was done before.
func (s *Scrub) reached(ctx context.Context, key string, id cairn.PackID, packs int) {
	s.mu.Lock()
	j := s.kept.Jobs[key]
	if j == nil {
		j = &job{}
		s.kept.Jobs[key] = j
	}
	j.Cursor = packText(id)
	j.Packs += int64(packs)
	s.mu.Unlock()
	s.save(ctx)
}

// finished forgets a verb that came to its end.
func (s *Scrub) finished(ctx context.Context, key string) {
	s.mu.Lock()
	delete(s.kept.Jobs, key)
	s.mu.Unlock()
	s.save(ctx)
}

// loadOf is what stands on a node, by a census of now.
func (s *Scrub) loadOf(ctx context.Context, id cairn.NodeID) (load, error) {
	c, err := s.take(ctx, s.view(), byGrace, func(cairn.PackID) bool { return true }, 0)
	if err != nil {
		return load{}, err
	}
	s.note(c)
	if l := c.nodes[id]; l != nil {
		return *l, nil
	}
	return load{}, nil
}

// indexOn lists the shards that a row has on a node.
func indexOn(row index.PackRow, id cairn.NodeID) (out []uint8) {
	for _, l := range row.At {
		if l.Node == id && int(l.Index) < row.Params.Coding.N() && !slices.Contains(out, l.Index) {
			out = append(out, l.Index)
		}
	}
	return out
}
