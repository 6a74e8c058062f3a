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
// fresh read of its tail. Those in have stand already. Where a node fails
// another takes its place. intend is called with the places of every round and
// must make them durable before any shard of it is put, so that a crash leaves
// nothing on a node that is not known here.
//
// It returns every place where a shard stands; the error is nil only when all n
// do, and otherwise ErrUnavailable naming the nodes and causes. A name is never
// used twice, so an answer that never came costs a stray file and no doubt.
func (f *Fleet) Scatter(ctx context.Context, s *pack.Sealed, have []cairn.Location, intend func([]cairn.Location) error) ([]cairn.Location, error) {
	at := slices.Clone(have)
	avoid := make(map[cairn.NodeID]bool)
	var why []error
	for {
		stand := make([]cairn.NodeID, s.Coding.N())
		for _, l := range at {
			stand[l.Index] = l.Node
		}
		if !slices.Contains(stand, cairn.NodeID{}) {
			return at, nil
		}
		picked, err := f.pick(s.Coding, stand, avoid)
		if err != nil {
			return at, errors.Join(append([]error{fmt.Errorf("fleet: %d of %d shards of %v stand: %w", len(at), s.Coding.N(), s.ID, err)}, why...)...)
		}
		var round []cairn.Location
		for i, id := range picked {
			if id != (cairn.NodeID{}) {
				round = append(round, cairn.Location{Index: uint8(i), Node: id, Write: rand.Uint32()})
			}
		}
		if err := intend(round); err != nil {
			return at, fmt.Errorf("fleet: intent: %w", err)
		}
		errs := make([]error, len(round))
		done := make(chan int, len(round)) // room for all: no putter is left blocked
		for i, l := range round {
			go func() {
				errs[i] = f.place(ctx, s, l)
				done <- i
			}()
		}
		for range round {
			i := <-done
			if errs[i] == nil {
				at = append(at, round[i])
				continue
			}
			avoid[round[i].Node] = true
			why = append(why, errs[i])
		}
		if ctx.Err() != nil {
			return at, errors.Join(append([]error{fmt.Errorf("fleet: scatter %v: %w: %w", s.ID, ctx.Err(), cairn.ErrUnavailable)}, why...)...)
		}
	}
}

// place puts one shard and believes it only after its tail was read back. A put
// that failed may have worked all the same: the read tells.
func (f *Fleet) place(ctx context.Context, s *pack.Sealed, l cairn.Location) error {
	n := f.node(l.Node)
	if n == nil {
		return fmt.Errorf("fleet: node %v left: %w", l.Node, cairn.ErrUnavailable)
	}
	name := layout.Path(l.Name(s.ID))
	putErr := n.put(ctx, name, s.Files[l.Index])
	if errors.Is(putErr, cairn.ErrFull) || errors.Is(putErr, errDown) {
		return putErr
	}
	tail, err := f.readTail(ctx, n, s.Params, l)
	if err != nil {
		return errors.Join(putErr, err)
	}
	if tail.SealHash() != s.SealHash() {
		return fmt.Errorf("fleet: node %s shows another sealing of %v: %w", n.Name, s.ID, cairn.ErrCorrupt)
	}
	if size, err := n.stat(ctx, name); err != nil || size != s.FileSize() {
		return errors.Join(fmt.Errorf("fleet: node %s holds %d bytes of a shard of %d: %w", n.Name, size, s.FileSize(), cairn.ErrUnavailable), err)
	}
	f.tails.Add(tailKey{s.ID, l.Index}, tail)
	f.m.placed.WithLabelValues(n.Name).Inc()
	return nil
}

// Verify returns those of at whose shard stands: its tail reads back, verifies
// and belongs to the pack that p describes.
func (f *Fleet) Verify(ctx context.Context, p pack.Params, at []cairn.Location) []cairn.Location {
	good := make([]bool, len(at))
	done := make(chan struct{}, len(at)) // room for all
	for i, l := range at {
		go func() {
			if n := f.node(l.Node); n != nil {
				_, err := f.readTail(ctx, n, p, l)
				good[i] = err == nil
			}
			done <- struct{}{}
		}()
	}
	for range at {
		<-done
	}
	var out []cairn.Location
	for i, l := range at {
		if good[i] && !slices.ContainsFunc(out, func(o cairn.Location) bool { return o.Index == l.Index || o.Node == l.Node }) {
			out = append(out, l)
		}
	}
	return out
}
