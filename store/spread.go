package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/erasure"
	"github.com/cairn-storage/cairn/pack"
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
		if p.gentle && s.moving != nil && !p.drop { // one of them at a time, or clients' packs would wait for a turn
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
	if p.gentle && s.moving == nil {
		s.moving = p
	}
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
	if s.moving == p {
		s.moving = nil
	}
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
