package fleet

import (
	"context"
	"time"

	"github.com/cairn-storage/cairn/backends"
)

// spaceEvery is how often a node is asked for its free space.
const spaceEvery = time.Minute

// watch looks after nodes until ctx ends: those that failed are tried again, so
// that packs waiting for them go on, and free space is asked for.
func (f *Fleet) watch(ctx context.Context) {
	t := time.NewTicker(f.c.Watch)
	defer t.Stop()
	asked := make(map[*link]time.Time)
	for {
		select {
		case <-t.C:
		case <-f.poked:
		case <-ctx.Done():
			return
		}
		done := make(chan struct{})
		nodes := f.all()
		now := time.Now()
		running := 0
		for _, n := range nodes {
			up, _ := n.link.up()
			if up && now.Sub(asked[n.link]) < spaceEvery {
				continue
			}
			asked[n.link] = now
			running++
			go func() {
				n.refresh(ctx)
				done <- struct{}{}
			}()
		}
		for range running {
			<-done
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

// refreshTime bounds one look at a node.
const refreshTime = 20 * time.Second

// refresh tries the node, which also reads its marker, and asks for its space.
func (n *node) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, refreshTime)
	defer cancel()
	_ = n.do(ctx, "stat", func(ctx context.Context, r backends.Remote) error { // do keeps and logs the outcome
		if err := n.checkMarker(ctx, r); err != nil {
			return err
		}
		c, ok := backends.As[backends.Capacity](r)
		if !ok {
			return nil
		}
		free, total, err := c.Free(ctx)
		if err != nil {
			return nil // not every server tells
		}
		n.link.mu.Lock()
		n.link.free, n.link.total, n.link.known, n.link.full = free, total, total > 0, false
		n.link.mu.Unlock()
		return nil
	})
}
