package fleet

import (
	"context"
	"time"

	"github.com/cairn-storage/cairn/backends"
)

// turnMost is how long a turn keeps the next from its own: a node that takes a
// shard as slowly as that bursts nothing, whether disk or line, and one that hangs
// must not keep the others from theirs. No rest after a turn is longer either.
const turnMost = 500 * time.Millisecond

// turn is one of the puts of a pack that nobody waits for. Each begins when the
// one before has ended and a rest is over, or turnMost after it began: all
// shards of a pack at once are an fsync of so many bytes on each node, and where
// nodes and gateway share a disk or a line, whatever a client does is behind them.
// A nil turn waits for none.
type turn struct {
	before *turn         // nil for the first
	begun  chan struct{} // closed when start is set
	ended  chan struct{} // closed when took is set
	start  time.Time
	took   time.Duration
}

// next is the turn after t.
func (t *turn) next() *turn {
	return &turn{before: t, begun: make(chan struct{}), ended: make(chan struct{})}
}

// take waits for the turn; the error is that of ctx, and then neither it nor any
// after it comes. Else end ends it.
func (t *turn) take(ctx context.Context) (end func(), err error) {
	if t == nil {
		return func() {}, nil
	}
	if err := t.before.over(ctx); err != nil {
		return nil, err
	}
	t.before = nil // nothing is kept of what is over
	t.start = time.Now()
	close(t.begun)
	return func() {
		t.took = time.Since(t.start)
		close(t.ended)
	}, nil
}

// over waits until the turn after t may begin.
func (t *turn) over(ctx context.Context) error {
	if t == nil {
		return ended(ctx)
	}
	select {
	case <-t.begun:
	case <-ctx.Done():
		return ended(ctx)
	}
	long := time.NewTimer(turnMost - time.Since(t.start))
	defer long.Stop()
	select {
	case <-t.ended:
		backends.Rest(ctx, t.took, turnMost)
		return ended(ctx)
	case <-long.C:
		return nil
	case <-ctx.Done():
		return ended(ctx)
	}
}
