package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/pack"
)

// placesMost and waysMost bound how many ways one fetch tries: a few places of the
// shard, and decoding, once more where the shards moved meanwhile. A node that
// says too often that a file is not there leaves more places than that behind, so
// places never take the turn of decoding.
const (
	placesMost = 4
	waysMost   = placesMost + 2
)

// answer is what one way brought: blocks from block from on, nil for those that
// it did not bring.
type answer struct {
	from    int
	blocks  [][]byte
	err     error
	decoded bool // or tried to
}

// fetch returns blocks [lo, far) of shard s, verified, of which those before hi
// must be there or it fails; others may be nil. They come from the node that
// holds the shard, or from another place of it, or decoded from other shards
// where nodes are down, wrong or late. What one way does not bring, or brings
// late, the next is asked for.
func (f *Fleet) fetch(ctx context.Context, s shard, lo, hi, far int) ([][]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // those that lost end; Close waits for them
	w := &ways{f: f, shard: s, out: make([][]byte, far-lo), lo: lo, hi: hi, far: far, answers: make(chan answer, waysMost)}
	w.places = f.places(s.at, s.index)
	late := time.NewTimer(time.Hour)
	defer late.Stop()
	w.next(ctx, late, false)
	for w.running > 0 {
		select {
		case a := <-w.answers:
			w.running--
			w.take(a)
			if w.complete() {
				return w.out, nil
			}
			if a.err != nil && ctx.Err() == nil {
				w.resolve(a)
				w.next(ctx, late, false)
			}
		case <-late.C:
			w.late(ctx, late)
		case <-ctx.Done():
			return w.out, &failure{what: fmt.Sprintf("read of shard %d of pack %v", s.index, s.ID), class: cairn.ErrUnavailable, ended: ctx.Err(), causes: w.causes}
		}
	}
	return w.out, f.unreadable(s, w.causes)
}

// ways is one fetch: what it has, and what it may still try.
type ways struct {
	f *Fleet
	shard
	out         [][]byte // blocks [lo, far)
	lo, hi, far int
	places      []place // of the shard, still to be asked
	tried       []cairn.Location
	asked       *node // last, directly; nil when it was decoding
	decoding    bool  // begun
	resolved    bool  // the places were asked for once more
	direct      int   // places asked
	started     int
	running     int
	answers     chan answer // room for all ways
	causes      []error
}

// place is one file of a shard, on a node of the fleet.
type place struct {
	n    *node
	l    cairn.Location
	rank int
}

// places lists where shard i may be asked for first, best first.
func (f *Fleet) places(at []cairn.Location, i uint8) []place {
	var ps []place
	for _, l := range at {
		if l.Index != i {
			continue
		}
		if n := f.node(l.Node); n != nil {
			if r := n.rank(); r > 1 {
				ps = append(ps, place{n, l, r})
			}
		}
	}
	slices.SortStableFunc(ps, func(a, b place) int { return cmp.Compare(b.rank, a.rank) })
	return ps
}

// complete reports whether all that is needed is there.
func (w *ways) complete() bool {
	from, _ := w.lacking()
	return from < 0
}

// lacking is the least run that holds all needed blocks that are not there.
func (w *ways) lacking() (from, to int) {
	from = -1
	for n := w.lo; n < w.hi; n++ {
		if w.out[n-w.lo] == nil {
			if from < 0 {
				from = n
			}
			to = n + 1
		}
	}
	return from, to
}

func (w *ways) take(a answer) {
	for i, b := range a.blocks {
		if at := a.from + i - w.lo; b != nil && at >= 0 && at < len(w.out) && w.out[at] == nil {
			w.out[at] = b
		}
	}
	w.causes = join(w.causes, a.err)
}

// next tries the next way, if any is left, and sets the time from which it is
// late. A hedge asks only for what is needed; so does whoever fills gaps.
func (w *ways) next(ctx context.Context, late *time.Timer, hedge bool) bool {
	from, to := w.lacking()
	if !hedge && from == w.lo && to == w.hi {
		to = w.far
	}
	var way func() answer
	w.asked = nil
	switch {
	case w.started == waysMost:
		return false
	case len(w.places) > 0 && w.direct < placesMost:
		p := w.places[0]
		w.places = w.places[1:]
		w.direct++
		w.tried = append(w.tried, p.l)
		w.asked = p.n
		way = func() answer {
			blocks, _, err := w.f.direct(ctx, p.n, w.Params, p.l, from, to)
			return answer{from, blocks, err, false}
		}
		late.Reset(w.patience(ctx, p.n, to-from))
	case !w.decoding:
		w.decoding = true
		s, tried, need := w.shard, slices.Clone(w.tried), min(to, w.hi)
		way = func() answer {
			blocks, err := w.f.reconstruct(ctx, s, tried, from, need, to)
			return answer{from, blocks, err, true}
		}
		late.Stop()
	default:
		return false
	}
	if !w.f.spawn(func() { w.answers <- way() }) {
		w.causes = append(w.causes, errClosed)
		return false
	}
	w.started++
	w.running++
	return true
}

// patience is how long to wait for n blocks of a node. What nobody waits for goes
// behind clients there, and that says nothing of the node.
func (w *ways) patience(ctx context.Context, n *node, blocks int) time.Duration {
	after := n.link.hedgeAfter(blocks * pack.BlockSize)
	if backends.IsBackground(ctx) {
		after = max(after, lateSurvivor)
	}
	return after
}

// late notes that the node asked last takes longer than it uses to, and tries
// another way beside it where the budget allows; that of clients' reads is not
// touched by the background.
func (w *ways) late(ctx context.Context, timer *time.Timer) {
	n := w.asked
	if n == nil {
		return
	}
	if backends.IsBackground(ctx) {
		w.next(ctx, timer, true)
		return
	}
	n.link.late(time.Now())
	cost := 1
	more := len(w.places) > 0 && w.direct < placesMost
	if !more {
		cost = w.Coding.K
	}
	if (more || !w.decoding) && w.f.spend(cost) {
		w.next(ctx, timer, true)
	}
}

// resolve asks once where the shards stand by now, after a "not found" or when
// too few helped to decode: they may have moved.
func (w *ways) resolve(a answer) {
	if w.resolved || w.f.c.Where == nil || !a.decoded && !errors.Is(a.err, cairn.ErrNotExist) {
		return
	}
	w.resolved = true
	at, err := w.f.c.Where(w.ID)
	if err != nil {
		w.causes = join(w.causes, err)
		return
	}
	if slices.Equal(at, w.at) {
		return
	}
	w.at, w.decoding = at, w.decoding && !a.decoded
	w.places = slices.DeleteFunc(w.f.places(at, w.index), func(p place) bool { return slices.Contains(w.tried, p.l) })
}

// unreadable is the error of a shard that neither came from its own places nor
// could be decoded.
func (f *Fleet) unreadable(s shard, causes []error) error {
	f.mu.Lock()
	told := f.told && !f.closed
	f.mu.Unlock()
	left := make(map[uint8]bool)
	for _, l := range s.at {
		if n := f.node(l.Node); n != nil && !n.gone() {
			left[l.Index] = true
		}
	}
	if told && len(left) < s.Coding.K {
		return &failure{what: fmt.Sprintf("pack %v needs %d shards and %d are on nodes of this store", s.ID, s.Coding.K, len(left)), class: cairn.ErrLost, causes: causes}
	}
	return &failure{what: fmt.Sprintf("shard %d of pack %v", s.index, s.ID), class: cairn.ErrUnavailable, causes: causes}
}
