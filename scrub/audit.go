package scrub

import (
	"context"
	"errors"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
)

// auditLoop asks for random ranges at random times, until ctx ends. They look
// like reads of objects: one block at a time, whichever node, never in a rhythm.
func (s *Scrub) auditLoop(ctx context.Context) {
	if s.c.Audits <= 0 {
		return
	}
	for ctx.Err() == nil {
		nodes := 0.0
		v := s.view()
		for _, id := range v.order {
			if v.nodes[id].is == here {
				nodes++
			}
		}
		mean := float64(24*time.Hour) / (max(1, nodes) * s.c.Audits)
		s.wait(ctx, time.Duration(s.dice.ExpFloat64()*mean), nil, nil)
		if ctx.Err() == nil && nodes > 0 {
			s.audit(ctx)
		}
	}
}

// audit reads one random block of a random shard of a random pack.
func (s *Scrub) audit(ctx context.Context) {
	c, err := s.recent(ctx, time.Hour, tookLong, healthMost)
	if err != nil || c == nil || c.packs == 0 {
		return
	}
	row, ok := s.anyPack(ctx, c.last)
	if !ok || len(row.At) == 0 {
		return
	}
	l := row.At[s.dice.IntN(len(row.At))]
	if s.view().of(l.Node).is != here {
		return
	}
	off, n := s.anyBlock(row.Params.Length)
	p := place{row.Params.ID, l}
	if err := s.c.Nodes.Spend(ctx, l.Node, int64(n)); err != nil {
		return
	}
	// The row may have changed while the budget was waited for.
	if now, err := s.c.Store.Pack(p.pack); err != nil || now.State != index.Spread || !recorded(now, l) {
		return
	}
	moved, err := s.c.Nodes.Examine(ctx, row.Params, l, off, n)
	s.m.bytes.WithLabelValues("audit").Add(float64(moved.Read))
	if errors.Is(err, cairn.ErrNotExist) {
		if now, e := s.c.Store.Pack(p.pack); e != nil || !recorded(now, l) {
			return // it moved meanwhile
		}
	}
	s.conclude(ctx, p, err, false)
}

// anyPack draws a pack: the first row above a random place among the sequences.
func (s *Scrub) anyPack(ctx context.Context, last cairn.PackID) (index.PackRow, bool) {
	var random [10]byte
	above := cairn.NewPackID(s.dice.Uint64N(last.Seq()+1), random)
	for range 2 {
		n := 0
		for row, err := range s.c.Store.Packs(above) {
			if n++; err != nil || n > 1024 || ctx.Err() != nil {
				break
			}
			if row.State == index.Spread {
				return row, true
			}
		}
		above = cairn.PackID{} // from the beginning
	}
	return index.PackRow{}, false
}
