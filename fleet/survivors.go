package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/erasure"
	"github.com/cairn-storage/cairn/pack"
	"golang.org/x/sync/errgroup"
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

// rebuild makes the whole files of the wanted shards, each proven by its signed
// root.
func (s *survivors) rebuild(ctx context.Context) (map[uint8][]byte, error) {
	files := make([][]byte, len(s.want))
	for j := range files {
		files[j] = make([]byte, s.FileSize())
	}
	blocks := pack.Blocks(s.Length)
	// As many windows as make each survivor give equally often.
	turns := len(s.turns)
	rounds := (blocks*pack.BlockSize + repairWindow*turns - 1) / (repairWindow * turns)
	windows := min(blocks, max(rounds, 1)*turns)
	var contents []byte
	g, end := errgroup.WithContext(ctx)
	g.SetLimit(repairAhead)
	for i := range windows {
		g.Go(func() error { return s.window(end, i, i*blocks/windows, (i+1)*blocks/windows, files) })
	}
	g.Go(func() (err error) {
		contents, err = s.contents(end)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := make(map[uint8][]byte)
	for j, i := range s.want {
		if err := s.tail.Finish(i, files[j], contents); err != nil {
			return nil, fmt.Errorf("fleet: what good shards decode to is not what was signed; suspect this machine's memory, or that which sealed the pack: %w", err)
		}
		out[i] = files[j]
	}
	return out, nil
}

// window makes blocks [lo, hi) of the wanted shards in files.
func (s *survivors) window(ctx context.Context, i, lo, hi int, files [][]byte) error {
	d := &decoder{f: s.f, Params: s.Params, want: s.want, code: s.code, lo: lo, hi: hi, far: hi, sealing: s.tail,
		todo: s.order(i, (hi-lo)*pack.BlockSize), failed: s.drop}
	d.again = func(h *helper) bool {
		s.drop(h)
		return true
	}
	d.lend = func() []byte { return s.f.lend(int(span(s.Params, lo, hi))) }
	defer func() { s.f.takeBack(d.done) }()
	if err := d.gather(ctx); errors.Is(err, errTooFew) {
		return s.f.unreadable(shard{s.Params, s.at, s.want[0]}, d.causes)
	} else if err != nil {
		return err
	}
	room := make([][]byte, len(files))
	for n := lo; n < hi; n++ {
		off := n * pack.BlockSize
		for j, file := range files {
			room[j] = file[off : off : off+pack.BlockLength(s.Length, n)]
		}
		from, _ := d.sources(n)
		if err := d.block(n, from, room); err != nil {
			return err
		}
	}
	return nil
}

// lend gives room for n bytes of a window, used before where there is some: a
// store is repaired pack by pack, and new memory costs as much as decoding.
func (f *Fleet) lend(n int) []byte {
	if p, ok := f.rooms.Get().(*[repairWindow]byte); ok {
		return p[:n]
	}
	return new([repairWindow]byte)[:n]
}

// takeBack takes room that nobody uses any more.
func (f *Fleet) takeBack(room [][]byte) {
	for _, b := range room {
		f.rooms.Put((*[repairWindow]byte)(b[:repairWindow]))
	}
}

// contents reads the contents from whichever survivor has them as signed.
func (s *survivors) contents(ctx context.Context) ([]byte, error) {
	e := &failure{what: fmt.Sprintf("contents of pack %v", s.ID), class: cairn.ErrUnavailable}
	for _, h := range s.order(len(s.turns)-1, int(s.Contents)) {
		b, err := s.f.contents(ctx, h.n, s.Params, h.l)
		if err == nil {
			return b, nil
		}
		e.causes = join(e.causes, err)
		if e.ended = ctx.Err(); e.ended != nil {
			break
		}
	}
	return nil, e
}
