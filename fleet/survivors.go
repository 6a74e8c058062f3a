package fleet

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/erasure"
	"github.com/cairn-storage/cairn/pack"
)

// A repair reads in windows of at most repairWindow bytes of a shard, repairAhead
// of them at once; a survivor that takes longer than lateSurvivor for one is not
// asked again while others are enough.
const (
	repairWindow = 1 << 20
	repairAhead  = 4
	lateSurvivor = 2 * time.Second
)

// survivors are the shards of a pack that others are made from.
type survivors struct {
	f *Fleet
	pack.Params
	want  []uint8 // the shards to be made
	at    []cairn.Location
	code  *erasure.Code
	tail  *pack.Tail // of one of them
	turns []place    // that take turns, one of each shard
	spare []place    // that are asked when these fail

	mu  sync.Mutex
	bad map[cairn.Location]bool // failed or late before; guarded by mu
}

// survivors looks which shards other than those wanted stand and are of one
// sealing: it reads their tails, all at once, and when k are there waits
// lateSurvivor for the others. Where there are shards of two sealings the one
// with more of them counts.
func (f *Fleet) survivors(ctx context.Context, p pack.Params, at []cairn.Location, want []uint8) (*survivors, error) {
	at = slices.DeleteFunc(slices.Clone(at), func(l cairn.Location) bool {
		return slices.Contains(want, l.Index) || int(l.Index) >= p.Coding.N()
	})
	code, err := f.code(p.Coding)
	if err != nil {
		return nil, err
	}
	s := &survivors{f: f, Params: p, want: want, at: at, code: code, bad: make(map[cairn.Location]bool)}
	good, causes, err := s.look(ctx)
	if err != nil {
		return nil, err
	}
	var most, all []uint8
	for _, group := range good {
		shards := shardsOf(group)
		all = append(all, shards...)
		if len(shards) > len(most) {
			most, s.tail = shards, group[0].tail
		}
	}
	if len(most) < p.Coding.K {
		if slices.Sort(all); len(slices.Compact(all)) >= p.Coding.K {
			return nil, &failure{what: fmt.Sprintf("pack %v stands in %d sealings, none with %d shards", p.ID, len(good), p.Coding.K), class: cairn.ErrCorrupt, causes: causes}
		}
		return nil, f.unreadable(shard{p, at, want[0]}, causes)
	}
	s.seat(good[s.tail.SealHash()])
	return s, nil
}

// survivor is a place whose tail is known.
type survivor struct {
	place
	tail *pack.Tail
}

func shardsOf(group []survivor) (shards []uint8) {
	for _, v := range group {
		if !slices.Contains(shards, v.l.Index) {
			shards = append(shards, v.l.Index)
		}
	}
	return shards
}

// look reads the tails, and groups the places by sealing.
func (s *survivors) look(ctx context.Context) (map[crypt.Hash][]survivor, []error, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // those that are late end; Close waits for them
	type answer struct {
		survivor
		err error
	}
	places := s.f.at(s.at)
	answers := make(chan answer, len(places)) // room for all
	good := make(map[crypt.Hash][]survivor)
	var causes []error
	running := 0
	for _, p := range places {
		if t := s.f.tails.get(s.Params, p.l.Index); t != nil {
			good[t.SealHash()] = append(good[t.SealHash()], survivor{p, t})
			continue
		}
		if s.f.spawn(func() {
			t, err := s.f.readTail(ctx, p.n, s.Params, p.l)
			answers <- answer{survivor{p, t}, err}
		}) {
			running++
		}
	}
	enough := func() bool {
		for _, group := range good {
			if len(shardsOf(group)) >= s.Coding.K {
				return true
			}
		}
		return false
	}
	var late <-chan time.Time // nil while too few are there
	for ; running > 0; running-- {
		if late == nil && enough() {
			t := time.NewTimer(lateSurvivor)
			defer t.Stop()
			late = t.C
		}
		select {
		case a := <-answers:
			if a.err != nil {
				causes = join(causes, a.err)
				continue
			}
			good[a.tail.SealHash()] = append(good[a.tail.SealHash()], a.survivor)
		case <-late:
			return good, causes, nil
		case <-ctx.Done():
			return nil, nil, &failure{what: fmt.Sprintf("looking for shards of pack %v", s.ID), class: cairn.ErrUnavailable, ended: ctx.Err(), causes: causes}
		}
	}
	return good, causes, nil
}

// seat lets one place of each shard take turns, those that answer well; others
// as far as k need them.
func (s *survivors) seat(group []survivor) {
	slices.SortStableFunc(group, func(a, b survivor) int {
		return cmp.Or(cmp.Compare(b.rank, a.rank), cmp.Compare(a.l.Index, b.l.Index))
	})
	seated := make(map[uint8]bool)
	for _, v := range group {
		if !seated[v.l.Index] && (v.rank > 1 || len(seated) < s.Coding.K) {
			seated[v.l.Index] = true
			s.turns = append(s.turns, v.place)
			continue
		}
		s.spare = append(s.spare, v.place)
	}
}

// order is who is asked for window i: k neighbours around the table, so that all
// give the same, then the others. Those that failed before come last.
func (s *survivors) order(i, size int) []helper {
	var hs []helper
	n := len(s.turns)
	for _, p := range slices.Concat(s.turns[i%n:], s.turns[:i%n], s.spare) {
		hs = append(hs, helper{place: p, patience: max(p.n.link.hedgeAfter(size), lateSurvivor)})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortStableFunc(hs, func(a, b helper) int { return cmp.Compare(bit(s.bad[a.l]), bit(s.bad[b.l])) })
	return hs
}

// drop puts a survivor last from now on.
func (s *survivors) drop(h *helper) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bad[h.l] = true
}
