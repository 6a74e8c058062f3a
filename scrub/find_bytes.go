package scrub

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/index"
)

// restMost is the longest rest after a shard that was read while clients are
// served: seven nodes read at once keep two cores busy with what nobody waits for.
const restMost = time.Second

// findBytes reads shards whole, on all nodes at once, one at a time on each.
func (s *Scrub) findBytes(ctx context.Context, nodes []cairn.NodeID, r Request, m *meter) error {
	m.update(func(p *Progress, _ *Report) { p.Phase, p.Node, p.Packs = "reading", "", 0 })
	var wg sync.WaitGroup
	errs := make([]error, len(nodes))
	for i, id := range nodes {
		wg.Go(func() { errs[i] = s.findBytesOn(ctx, id, r, m) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err // a node that is through stays so for the scrub that goes on
	}
	for _, id := range nodes {
		s.finished(ctx, bytesKey(id, r))
	}
	return nil
}

// bytesKey names the reading of one node among the verbs under way.
func bytesKey(id cairn.NodeID, r Request) string { return fmt.Sprintf("scrub %v %g", id, r.Sample) }

func (s *Scrub) findBytesOn(ctx context.Context, id cairn.NodeID, r Request, m *meter) error {
	key := bytesKey(id, r)
	from, resumed := s.resume(key)
	if resumed {
		m.update(func(_ *Progress, rep *Report) { rep.Resumed = true })
		m.say("going on with node %s where the scrub before was cut off", s.name(id))
	}
	for {
		batch, err := s.batch(ctx, id, from, walkBatch)
		if err != nil {
			return err
		}
		if len(batch) == 0 {
			return nil
		}
		for _, row := range batch {
			if !chosen(row.Params.ID, id, r.Sample) {
				continue
			}
			if err := s.findShards(ctx, id, row, m); err != nil {
				return err
			}
		}
		from = batch[len(batch)-1].Params.ID
		s.reached(ctx, key, from, len(batch))
	}
}

// findShards reads what a row has on a node.
func (s *Scrub) findShards(ctx context.Context, id cairn.NodeID, row index.PackRow, m *meter) error {
	for _, l := range row.At {
		if l.Node != id {
			continue
		}
		var x sight
		s.mu.Lock()
		_, doubt := s.marks.of[doubted][place{row.Params.ID, l}]
		s.mu.Unlock()
		if s.view().of(id).answers() {
			if err := s.c.Nodes.Spend(ctx, id, row.Params.FileSize()); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				return fmt.Errorf("scrub: node %s: %w", s.name(id), err)
			}
			began := time.Now()
			x = s.look(ctx, place{row.Params.ID, l}, 0)
			s.yield(ctx, time.Since(began))
		} else {
			x.is = sawNothing
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		m.update(func(p *Progress, rep *Report) {
			p.Packs++
			p.Bytes += row.Params.FileSize()
			rep.Shards++
			rep.count(x)
			if doubt && x.is == sawNone {
				rep.Missing-- // the listing counted it
			}
		})
	}
	return nil
}

// yield rests after work that took so long, if clients are served.
func (s *Scrub) yield(ctx context.Context, took time.Duration) {
	if s.c.Clients != nil && s.c.Clients() {
		backends.Rest(ctx, took, restMost)
	}
}

// chosen draws a part of the shards, the same ones when it is asked again, so
// that a scrub that is resumed reads what it began to.
func chosen(id cairn.PackID, node cairn.NodeID, part float64) bool {
	if part >= 1 {
		return true
	}
	h := fnv.New64a()
	h.Write(id[:])
	h.Write(node[:])
	return float64(h.Sum64()>>11)/(1<<53) < part
}
