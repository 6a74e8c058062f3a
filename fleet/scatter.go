package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// Scatter makes all n shards of s stand, each on its own node and verified by a
// fresh read of its tail. Those in have stand already, unless their node left
// the fleet. Where a node fails another takes its place at once. intend is
// called with the places of every round, never two calls at a time, and must
// make them durable before any shard of it is put, so that a crash leaves
// nothing on a node that is not known here.
//
// It returns every place where a shard stands; the error is nil only when all n
// do, and otherwise ErrUnavailable naming the nodes and causes, or that of
// intend. A name is never used twice, so an answer that never came costs a
// stray file and no doubt.
func (f *Fleet) Scatter(ctx context.Context, s *pack.Sealed, have []cairn.Location, intend func([]cairn.Location) error) ([]cairn.Location, error) {
	var at []cairn.Location
	taken := make([]cairn.NodeID, s.Coding.N()) // where each shard stands or is being put
	avoid := make(map[cairn.NodeID]bool)        // holds a shard, also a second copy of one, or failed
	for _, l := range have {
		if int(l.Index) < len(taken) && f.node(l.Node) != nil {
			at = append(at, l)
			taken[l.Index], avoid[l.Node] = l.Node, true
		}
	}
	type answer struct {
		l   cairn.Location
		err error
	}
	answers := make(chan answer, len(taken)) // room for all: no more are under way at a time
	var causes []error
	var stop error // no more is begun
	for running := 0; ; running-- {
		if stop == nil && ctx.Err() == nil && slices.Contains(taken, cairn.NodeID{}) {
			var round []cairn.Location
			round, stop = f.round(s, taken, avoid, intend)
			for _, l := range round {
				taken[l.Index] = l.Node
				running++
				go func() { answers <- answer{l, f.place(ctx, s, l)} }()
			}
		}
		if running == 0 {
			break
		}
		a := <-answers // each ends when its node answers, at its deadline, or with ctx
		avoid[a.l.Node] = true
		if a.err != nil {
			taken[a.l.Index] = cairn.NodeID{}
			causes = join(causes, a.err)
			continue
		}
		at = append(at, a.l)
	}
	switch {
	case !slices.Contains(taken, cairn.NodeID{}):
		return at, nil
	case stop != nil:
		return at, stop
	}
	stand := 0
	for _, id := range taken {
		stand += bit(id != cairn.NodeID{})
	}
	return at, &failure{what: fmt.Sprintf("%d of %d shards of %v stand, and no node is left for the others: wait for one, or add one", stand, len(taken), s.ID),
		class: cairn.ErrUnavailable, ended: ctx.Err(), causes: causes}
}

// round chooses places for the shards that have none, as far as there are
// nodes, and makes them known.
func (f *Fleet) round(s *pack.Sealed, taken []cairn.NodeID, avoid map[cairn.NodeID]bool, intend func([]cairn.Location) error) ([]cairn.Location, error) {
	picked, err := f.pick(s.ID, s.Coding, taken, avoid)
	switch {
	case errors.Is(err, errNoNode):
		return nil, nil // one may come back while others are being put
	case err != nil:
		return nil, fmt.Errorf("fleet: scatter %v: %w", s.ID, err)
	}
	var round []cairn.Location
	for i, id := range picked {
		if id != (cairn.NodeID{}) {
			round = append(round, cairn.Location{Index: uint8(i), Node: id, Write: rand.Uint32()})
		}
	}
	if err := intend(slices.Clone(round)); err != nil {
		return nil, fmt.Errorf("fleet: intent to place %v: %w", s.ID, err)
	}
	return round, nil
}

// place puts one shard and believes it only after its tail was read back and
// the node still shows its marker. A put that failed may have worked all the
// same: the read tells.
func (f *Fleet) place(ctx context.Context, s *pack.Sealed, l cairn.Location) error {
	n := f.node(l.Node)
	if n == nil {
		return fmt.Errorf("node %v: %w", l.Node, errLeft)
	}
	name := layout.Path(l.Name(s.ID))
	putErr := n.put(ctx, name, s.Files[l.Index])
	if errors.Is(putErr, cairn.ErrFull) || errors.Is(putErr, errDown) || putErr != nil && ctx.Err() != nil {
		return putErr
	}
	// One turn for all three. The length matters too: recovery finds a tail by
	// the end of the file.
	var tail *pack.Tail
	var size int64
	checks := [...]func() error{
		func() (err error) { tail, err = f.readTail(ctx, n, s.Params, l); return err },
		func() (err error) { size, err = n.stat(ctx, name); return err },
		func() error { return n.present(ctx) },
	}
	errs := make(chan error, len(checks)) // room for all
	for _, check := range checks {
		go func() { errs <- check() }()
	}
	var err error
	for range checks {
		err = errors.Join(err, <-errs)
	}
	switch {
	case err != nil:
		return errors.Join(putErr, err)
	case tail.SealHash() != s.SealHash():
		return n.fault("read", name, fmt.Errorf("it shows another sealing of the pack: %w", cairn.ErrCorrupt))
	case size != s.FileSize():
		return n.fault("stat", name, fmt.Errorf("%d bytes were put and %d are there: %w", s.FileSize(), size, cairn.ErrCorrupt))
	}
	f.tails.put(tail)
	n.link.took(size)
	f.m.placed.WithLabelValues(n.Name).Inc()
	return nil
}
