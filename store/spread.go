package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/erasure"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store/stage"
)

// spreaders is how many packs are coded and scattered at a time; each holds
// about three packs of memory.
const spreaders = 2

// A pack that could not be spread is tried again after retryFirst, then twice
// as long each time up to retryMost, and at once when nodes change.
const (
	retryFirst = 500 * time.Millisecond
	retryMost  = 30 * time.Second
)

// spreader seals and scatters closed stages until ctx ends.
func (s *Store) spreader(ctx context.Context) {
	for ctx.Err() == nil {
		changed := s.c.Nodes.Changed()
		p, wait := s.pick(time.Now())
		if p != nil {
			s.kick() // there may be work for another
			s.process(ctx, p)
			continue
		}
		t := time.NewTimer(wait)
		select {
		case <-s.kicked:
		case <-t.C:
		case <-changed:
			s.retryNow()
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// pick returns the next pack to work on, marked busy, or how long to wait.
//
// Log packs are sealed in the order of their numbers, since each names the
// seal hash of the one before, and scattered only after every pack that their
// records name, since a reader of nodes alone must never find a record whose
// bytes exist nowhere.
func (s *Store) pick(now time.Time) (*staged, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := time.Hour
	if s.writable() != nil {
		return nil, wait // what is in the stage may not be what the records say
	}
	var ready []*staged
	for _, p := range s.packs {
		if p.busy || p.phase != closed && p.phase != sealed || !s.allowed(p) {
			continue
		}
		if d := p.retry.Sub(now); d > 0 && !p.drop {
			wait = min(wait, d)
			continue
		}
		ready = append(ready, p)
	}
	if len(ready) == 0 {
		return nil, wait
	}
	p := slices.MinFunc(ready, func(a, b *staged) int {
		if a.wanted != b.wanted {
			return map[bool]int{true: -1, false: 1}[a.wanted]
		}
		return cmp.Compare(a.id().Seq(), b.id().Seq())
	})
	p.busy = true
	return p, 0
}

// allowed says whether the order of packs lets p go on; s.mu is held.
func (s *Store) allowed(p *staged) bool {
	if p.file.Kind != pack.Log || p.drop {
		return true
	}
	if p.phase == closed {
		return p.file.Number == s.chain.done+1
	}
	for id := range p.deps {
		if q := s.packs[id]; q != nil && q.phase < spread {
			return false
		}
	}
	return true
}

func (s *Store) retryNow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.packs {
		p.retry = time.Time{}
	}
}

// process takes p as far as it goes.
func (s *Store) process(ctx context.Context, p *staged) {
	err := s.advance(ctx, p)
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.ease()
	p.busy, p.why = false, err
	if err == nil {
		p.tries = 0
		return
	}
	if ctx.Err() != nil {
		return
	}
	p.tries++
	d := min(retryFirst<<min(p.tries-1, 10), retryMost)
	p.retry = time.Now().Add(d)
	if !errors.Is(err, cairn.ErrUnavailable) {
		s.c.Log.Error("a pack cannot leave this machine", "pack", p.id(), "err", err)
		return
	}
	s.c.Log.Info("a pack waits for nodes", "pack", p.id(), "again_in", d, "err", err)
}

func (s *Store) advance(ctx context.Context, p *staged) error {
	s.mu.Lock()
	drop, phase := p.drop, p.phase
	s.mu.Unlock()
	if drop {
		return s.discard(p)
	}
	if phase == closed {
		files, err := s.seal(p)
		if err != nil {
			return fmt.Errorf("store: seal %v: %w", p.id(), err)
		}
		s.mu.Lock()
		ok := s.allowed(p)
		s.mu.Unlock()
		if !ok {
			return nil // its turn comes when what it names is spread
		}
		return s.scatter(ctx, p, files)
	}
	seal := p.file.Sealed()
	code, err := erasure.New(seal.Trailer.Coding)
	if err != nil {
		return err
	}
	b, err := p.file.Bytes(seal.Length)
	if err != nil {
		return err
	}
	files, err := pack.Reseal(code, p.key, seal.Trailer, b, seal.Contents)
	if err != nil {
		return err
	}
	return s.scatter(ctx, p, files)
}

// seal fixes the pack's files: contents and trailer are durable in the stage
// when it returns nil, before any shard leaves. A log pack's seal hash is the
// next one's Prev.
func (s *Store) seal(p *staged) (*pack.Sealed, error) {
	coding, err := s.c.Nodes.Coding(s.Coding())
	if err != nil {
		return nil, err
	}
	h := p.file.Header
	c := pack.Contents{Kind: h.Kind, Length: p.length, Runs: p.runs, Records: p.records}
	if h.Kind == pack.Log {
		s.mu.Lock()
		c.Number, c.Prev = h.Number, s.chain.seal
		s.mu.Unlock()
		c.First, c.Last = p.records[0].Stamp, p.records[len(p.records)-1].Stamp
	}
	c.Part, c.Total, c.CutOff = p.part, p.total, p.cutOff
	params := pack.Params{Store: h.Store, ID: h.Pack, Epoch: h.Epoch, Prefix: h.Prefix, Coding: coding, Length: pack.ShardLength(uint64(p.length), coding)}
	contents, err := c.Seal(p.key, params)
	if err != nil {
		return nil, err
	}
	params.Contents = uint32(len(contents))
	b, err := p.file.Bytes(p.length)
	if err != nil {
		return nil, err
	}
	code, err := erasure.New(coding)
	if err != nil {
		return nil, err
	}
	files, err := pack.Seal(code, p.key, params, b, contents, s.c.Sign, column())
	if err != nil {
		return nil, err
	}
	if err := p.file.WriteSeal(stage.Seal{Length: p.length, Contents: contents, Trailer: files.Trailer}); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.phase, p.since = sealed, time.Now()
	if h.Kind == pack.Log {
		s.chain.seal, s.chain.done = files.SealHash(), h.Number
		s.ckpt.sealed(h.Number, s.chain.seal)
	}
	return files, nil
}

// column is where the seal's decode check looks.
func column() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	return binary.BigEndian.Uint64(b[:])
}

// recheck is how long it counts that a shard was read back. Shards that waited
// longer for their siblings, or for a restart, are looked for again wherever
// they were meant to stand.
const recheck = time.Hour

// scatter spreads files and records where they stand.
func (s *Store) scatter(ctx context.Context, p *staged, files *pack.Sealed) error {
	now := time.Now()
	if now.Sub(p.checked) >= recheck {
		at := s.c.Nodes.Verify(ctx, files.Params, p.file.Intents())
		s.mu.Lock()
		p.at, p.checked = at, now
		s.mu.Unlock()
	}
	at, err := s.c.Nodes.Scatter(p.within(ctx), files, p.at, p.file.AddIntent)
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

// discard ends an abandoned data pack. Where nodes may hold shards of it a row
// says so, for collection.
func (s *Store) discard(p *staged) error {
	if at := p.file.Intents(); len(at) > 0 {
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
