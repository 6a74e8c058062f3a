package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/erasure"
	"github.com/cairn-storage/cairn/pack"
)

// helper is one other shard that may help to decode.
type helper struct {
	n *node
	l cairn.Location
}

// reconstruct decodes blocks [lo, hi) of shard want from the same blocks of k
// other shards, each verified under its own signed root. The shard's own node
// is asked too when nothing else is left. Nodes that fail are replaced by
// others as long as there are any.
func (f *Fleet) reconstruct(ctx context.Context, p pack.Params, at []cairn.Location, want uint8, lo, hi int, why error) ([][]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	todo := f.helpers(at, want, why == nil)
	type answer struct {
		h      helper
		blocks [][]byte
		err    error
	}
	answers := make(chan answer, len(todo)) // room for all
	running := 0
	start := func() bool {
		if len(todo) == 0 {
			return false
		}
		h := todo[0]
		todo = todo[1:]
		running++
		go func() {
			b, err := f.direct(ctx, h.n, p, h.l, lo, hi)
			answers <- answer{h, b, err}
		}()
		return true
	}
	for range p.Coding.K {
		start()
	}
	got := make(map[uint8][][]byte)
	errs := []error{}
	if why != nil {
		errs = append(errs, why)
	}
	for running > 0 {
		a := <-answers
		running--
		switch {
		case a.err != nil:
			errs = append(errs, a.err)
			start()
		case a.h.l.Index == want:
			return a.blocks, nil // its own node answered after all
		default:
			got[a.h.l.Index] = a.blocks
		}
		if len(got) == p.Coding.K {
			cancel()
			for range running {
				<-answers // they end at once: every call honours ctx
			}
			f.m.decoded.Inc()
			return decode(p, got, want, lo, hi)
		}
	}
	return nil, fmt.Errorf("fleet: %d of the %d shards needed of pack %v can be read now: %w", len(got), p.Coding.K, p.ID, errors.Join(append(errs, cairn.ErrUnavailable)...))
}

// helpers lists the shards to ask, best first, one place for each index; own
// includes the wanted shard itself, last.
func (f *Fleet) helpers(at []cairn.Location, want uint8, own bool) []helper {
	best := make(map[uint8]helper)
	for _, l := range at {
		n := f.node(l.Node)
		if n == nil || l.Index == want && !own {
			continue
		}
		if h, ok := best[l.Index]; !ok || n.rank() > h.n.rank() {
			best[l.Index] = helper{n, l}
		}
	}
	var hs []helper
	for _, h := range best {
		hs = append(hs, h)
	}
	slices.SortFunc(hs, func(a, b helper) int {
		return cmp.Or(
			cmp.Compare(bit(a.l.Index == want), bit(b.l.Index == want)),
			cmp.Compare(b.n.rank(), a.n.rank()),
			cmp.Compare(a.n.link.p95(), b.n.link.p95()),
			cmp.Compare(a.l.Index, b.l.Index))
	})
	return hs
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// decode makes blocks [lo, hi) of shard want from k others.
func decode(p pack.Params, got map[uint8][][]byte, want uint8, lo, hi int) ([][]byte, error) {
	code, err := erasure.New(p.Coding)
	if err != nil {
		return nil, err
	}
	out := make([][]byte, 0, hi-lo)
	for n := range hi - lo {
		shards := make([][]byte, p.Coding.N())
		for i, blocks := range got {
			shards[i] = blocks[n]
		}
		if err := code.Reconstruct(shards, []int{int(want)}); err != nil {
			return nil, fmt.Errorf("fleet: decode pack %v: %w", p.ID, err)
		}
		out = append(out, shards[want])
	}
	return out, nil
}
