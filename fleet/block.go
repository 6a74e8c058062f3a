package fleet

import (
	"context"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// Hedging: a read that takes longer than its node's own p95 is raced against a
// reconstruction. A hedge costs k reads, so each read earns hedgeShare of one
// and at most hedgeBurst are saved up.
const (
	hedgeShare = 0.05
	hedgeBurst = 8
	hedgeLeast = 30 * time.Millisecond
	hedgeBlind = 500 * time.Millisecond // while a node's p95 is not known
)

// fetch returns blocks [lo, hi) of shard i, verified: from the node that holds
// it, or decoded from others where that node is down, wrong or late.
func (f *Fleet) fetch(ctx context.Context, p pack.Params, at []cairn.Location, i uint8, lo, hi int) ([][]byte, error) {
	n, l, ok := f.best(at, i)
	if !ok {
		return f.reconstruct(ctx, p, at, i, lo, hi, nil)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		blocks [][]byte
		err    error
		direct bool
	}
	answers := make(chan answer, 2) // room for both: none is left blocked
	go func() {
		b, err := f.direct(ctx, n, p, l, lo, hi)
		answers <- answer{b, err, true}
	}()
	running := 1
	raced := false
	race := func(why error) {
		raced = true
		running++
		go func() {
			b, err := f.reconstruct(ctx, p, at, i, lo, hi, why)
			answers <- answer{b, err, false}
		}()
	}
	late := time.NewTimer(hedgeAfter(n.link.p95()))
	defer late.Stop()
	var first error
	for {
		select {
		case a := <-answers:
			running--
			if a.err == nil {
				cancel()
				for range running {
					<-answers // they end at once: every call honours ctx
				}
				return a.blocks, nil
			}
			if !a.direct || first == nil {
				first = a.err
			}
			if a.direct && !raced && ctx.Err() == nil {
				race(a.err)
			}
			if running == 0 {
				return nil, first
			}
		case <-late.C:
			if !raced && f.hedge() {
				f.m.hedges.Inc()
				race(nil)
			}
		}
	}
}

func hedgeAfter(p95 time.Duration) time.Duration {
	if p95 == 0 {
		return hedgeBlind
	}
	return max(p95+p95/4, hedgeLeast)
}

// hedge spends one hedge of the budget.
func (f *Fleet) hedge() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.budget < 1 {
		return false
	}
	f.budget--
	return true
}

func (f *Fleet) earn() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.budget = min(f.budget+hedgeShare, hedgeBurst)
}

// best returns the node to ask for shard i: one that answers before one that
// does not, one in good standing before one in quarantine. ok is false where
// none is worth trying first.
func (f *Fleet) best(at []cairn.Location, i uint8) (*node, cairn.Location, bool) {
	var found *node
	var where cairn.Location
	rank := 0
	for _, l := range at {
		if l.Index != i {
			continue
		}
		if n := f.node(l.Node); n != nil {
			if r := n.rank(); r > rank {
				found, where, rank = n, l, r
			}
		}
	}
	return found, where, rank > 1
}

// rank orders nodes for reads: 3 answers, 2 answers but is draining or slow to
// be believed (quarantined: 1), 1 may be tried when nothing else is left.
func (n *node) rank() int {
	up, _ := n.link.up()
	switch {
	case !up, n.link.isQuarantined():
		return 1
	case n.State != "" && n.State != "ok":
		return 2
	}
	return 3
}

// direct reads blocks [lo, hi) of the shard at l from its node, with its tail
// in the same turn unless that is known, and verifies each.
func (f *Fleet) direct(ctx context.Context, n *node, p pack.Params, l cairn.Location, lo, hi int) ([][]byte, error) {
	f.earn()
	type tailAnswer struct {
		t   *pack.Tail
		err error
	}
	tails := make(chan tailAnswer, 1) // room for the answer
	go func() {
		t, err := f.tail(ctx, n, p, l)
		tails <- tailAnswer{t, err}
	}()
	end := min(uint64(hi)*pack.BlockSize, p.Length)
	b := make([]byte, end-uint64(lo)*pack.BlockSize)
	err := n.readAt(ctx, layout.Path(l.Name(p.ID)), b, int64(lo)*pack.BlockSize)
	ta := <-tails
	if err != nil {
		return nil, err
	}
	if ta.err != nil {
		return nil, ta.err
	}
	blocks, err := verify(ta.t, b, lo, hi)
	if err != nil {
		f.wrong(n, err)
		f.suspect(n, p, l, ta.t, lo, hi)
		return nil, n.fault("read", err)
	}
	return blocks, nil
}

// verify cuts b into blocks [lo, hi) and checks each.
func verify(t *pack.Tail, b []byte, lo, hi int) ([][]byte, error) {
	blocks := make([][]byte, 0, hi-lo)
	for i := lo; i < hi; i++ {
		n := pack.BlockLength(t.Length, i)
		if err := t.Check(i, b[:n]); err != nil {
			return nil, fmt.Errorf("fleet: %w", err)
		}
		blocks = append(blocks, b[:n:n])
		b = b[n:]
	}
	return blocks, nil
}
