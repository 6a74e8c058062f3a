package recovery

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// A node that is behind is tried again after retryFirst, then after twice as
// long each time, up to Config.Check; sooner when the fleet says that it came
// back. Two looks are lookPause apart, so that a node that comes and goes does
// not keep all others busy.
const (
	retryFirst = time.Minute
	lookPause  = time.Second
)

// Start begins to look after nodes in the background, until Close. A fork that
// an earlier run saw is told to Config.Fork again.
func (k *Keeper) Start() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.started || k.closed {
		return
	}
	k.started = true
	fork := k.fork
	k.wg.Go(func() {
		if fork != nil && k.c.Fork != nil {
			k.c.Fork(fork)
		}
		k.kitNow(k.life)
		k.run(k.life)
	})
}

// Close ends the background and waits for what still runs, or for ctx. Roots
// that were asked for and not begun are ErrUnavailable.
func (k *Keeper) Close(ctx context.Context) error {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.cancel()
	done := make(chan struct{})
	go func() {
		k.wg.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("recovery: close: %w: %w", ctx.Err(), cairn.ErrUnavailable)
	}
	k.mu.Lock()
	waiting := k.waiting
	k.waiting = nil
	k.mu.Unlock()
	for _, r := range waiting {
		r.done <- errClosed
	}
	k.save(ctx)
	k.unregister()
	return err
}

func (k *Keeper) run(ctx context.Context) {
	tick := time.NewTicker(k.c.Check)
	defer tick.Stop()
	glance := time.NewTicker(k.c.Glance)
	defer glance.Stop()
	retry := time.NewTimer(retryFirst)
	defer retry.Stop()
	patience := retryFirst
	for {
		changed := k.c.Nodes.Changed() // before the look: what changes during it counts
		k.look(ctx)
		if k.behind() {
			retry.Reset(patience)
			patience = min(2*patience, k.c.Check)
		} else {
			retry.Stop()
			patience = retryFirst
		}
		select {
		case <-time.After(lookPause):
		case <-ctx.Done():
			return
		}
		select {
		case <-tick.C:
		case <-glance.C:
			k.glance()
		case <-changed:
		case <-retry.C:
		case <-k.poked:
		case <-ctx.Done():
			return
		}
	}
}

// behind reports whether a node lacks the newest root.
func (k *Keeper) behind() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.chain.newest == nil || k.fork != nil {
		return false
	}
	return slices.ContainsFunc(k.present, func(id cairn.NodeID) bool { return k.nodes[id].confirmed < k.chain.newest.Sequence })
}

// poke makes the background look now.
func (k *Keeper) poke() {
	select {
	case k.poked <- struct{}{}:
	default: // it will
	}
}

// kitChanged reports whether a kit of the one body is out of date by the other;
// both were read from roots.
func kitChanged(old, body pack.RootBody) bool {
	part := func(b pack.RootBody) pack.RootBody {
		part := pack.RootBody{Gateways: slices.Clone(b.Gateways), Nodes: b.Nodes, Epochs: b.Epochs, Owners: b.Owners, Identity: b.Identity}
		for i := range part.Gateways {
			part.Gateways[i].Until = pack.CutOff{}
		}
		return part
	}
	return !reflect.DeepEqual(part(old), part(body))
}

// tellKit hands the root that was just written to Config.Kit; the caller holds
// the turn to write.
func (k *Keeper) tellKit(r pack.Root, body pack.RootBody) {
	if k.c.Kit != nil {
		k.c.Kit(r, body)
	}
}

// kitNow tells Config.Kit of the newest root.
func (k *Keeper) kitNow(ctx context.Context) {
	select {
	case k.writing <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-k.writing }()
	if newest := k.newest(); newest != nil {
		if body, err := k.copyBody(); err == nil {
			k.tellKit(newest.Root, body)
		}
	}
}
