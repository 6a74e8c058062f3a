package store

import (
	"context"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// recheck is how long it counts that a shard was read back. Shards that waited
// longer for their siblings, or for a restart, are looked for again wherever
// they were meant to stand.
const recheck = time.Hour

// scatter spreads files and records where they stand.
func (s *Store) scatter(ctx context.Context, p *staged, files *pack.Sealed) error {
	now := time.Now()
	if now.Sub(p.checked) >= recheck {
		at := s.c.Nodes.Verify(ctx, files.Params, newest(p.file.Intents()))
		s.mu.Lock()
		p.at, p.checked = at, now
		s.mu.Unlock()
	}
	at, err := s.c.Nodes.Scatter(s.placing(ctx, p), files, p.at, p.file.AddIntent)
	s.mu.Lock()
	p.at = at
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if err := s.list(p); err != nil {
		return err
	}
	s.mu.Lock()
	p.phase, p.since = spread, time.Now()
	dropped := p.drop
	s.mu.Unlock()
	if dropped { // its write failed meanwhile
		s.retire(p.id())
	}
	if p.file.Kind == pack.Log {
		s.jour.stood(p.id())
		s.jour.retire(p.file.Number)
	}
	s.m.spread.Inc()
	s.c.Log.Info("pack spread", "pack", p.id(), "kind", p.file.Kind, "coding", files.Coding, "bytes", p.length)
	return nil
}

// row is p's row in the index.
func (s *Store) row(p *staged, state index.PackState) index.PackRow {
	seal := p.file.Sealed()
	return index.PackRow{Params: seal.Trailer.Params, Kind: p.file.Kind, Bytes: seal.Length, Number: p.file.Number,
		SealHash: seal.Trailer.SealHash(), First: p.first, Last: p.last, State: state, At: slices.Clone(p.at)}
}

// newest is the last layout.MaxPerNode of at on each node, in their order. A node
// that never keeps what it is given is tried again as long as a pack waits for it,
// each time under a new name; a file of an old name that stands all the same is
// found by a listing.
func newest(at []cairn.Location) (out []cairn.Location) {
	held := make(map[cairn.NodeID]int)
	for _, l := range slices.Backward(at) {
		if held[l.Node]++; held[l.Node] <= layout.MaxPerNode {
			out = append(out, l)
		}
	}
	slices.Reverse(out)
	return out
}

// discard ends an abandoned data pack. Where nodes may hold shards of it a row
// says so, for collection.
func (s *Store) discard(p *staged) error {
	if at := newest(p.file.Intents()); len(at) > 0 {
		s.mu.Lock()
		p.at = at
		row := s.row(p, index.Retiring)
		s.mu.Unlock()
		if err := s.idx.SetPack(row); err != nil {
			s.fail(err)
			return err
		}
		s.mu.Lock()
		s.account(row, p.counted)
		p.counted = row.At
		s.mu.Unlock()
		if err := s.idx.Flush(); err != nil {
			s.fail(err)
			return err
		}
	}
	s.mu.Lock()
	s.forget(p)
	if p.listed {
		s.nSpread--
	}
	s.mu.Unlock()
	s.unlink(p)
	return nil
}
