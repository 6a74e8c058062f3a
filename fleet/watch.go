package fleet

import (
	"context"
	"time"

	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/layout"
)

// spaceEvery is how often a node that is well is looked at, and asked for its
// free space.
const spaceEvery = time.Minute

// probeTime bounds one look at a node.
const probeTime = 10 * time.Second

// watch looks after nodes until ctx ends: those that failed or were late are
// tried again, so that packs waiting for them go on. One that hangs keeps none
// of the others waiting.
func (f *Fleet) watch(ctx context.Context) {
	t := time.NewTicker(f.c.Watch)
	defer t.Stop()
	busy := make(map[*link]bool)
	asked := make(map[*link]time.Time) // of the nodes there are
	done := make(chan *link)
	for {
		select {
		case <-t.C:
		case <-f.poked:
		case l := <-done:
			delete(busy, l)
			continue
		case <-ctx.Done():
			for range busy {
				<-done // they end at once: every call honours ctx
			}
			return
		}
		f.observe()
		before := asked
		asked = make(map[*link]time.Time)
		for _, n := range f.all() {
			l, now := n.link, time.Now()
			at, known := before[l]
			asked[l] = at
			if busy[l] || known && now.Sub(at) < spaceEvery && !l.due(now) {
				continue
			}
			asked[l], busy[l] = now, true
			go func() {
				n.probe(ctx)
				done <- l
			}()
		}
	}
}

// poke makes the watcher look now.
func (f *Fleet) poke() {
	select {
	case f.poked <- struct{}{}:
	default: // it will
	}
}

// probe tries the node, reads its marker and asks for its space.
func (n *node) probe(ctx context.Context) {
	var free, total int64
	known := false
	err := n.do(ctx, backends.OpRead, layout.MarkerName, func(ctx context.Context, r backends.Remote) error {
		// Within do: that our patience ended is the node's failure.
		ctx, cancel := context.WithTimeout(ctx, probeTime)
		defer cancel()
		if err := n.checkMarker(ctx, r); err != nil {
			return err
		}
		if c, ok := backends.As[backends.Capacity](r); ok {
			var err error
			free, total, err = c.Free(ctx)
			known = err == nil && total > 0 // not every server tells
		}
		return nil
	})
	if err == nil && n.link.setSpace(time.Now(), free, total, known) {
		n.f.change() // do kept and logged what became of the node itself
	}
}
