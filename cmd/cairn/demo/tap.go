package demo

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cairn-storage/cairn/layout"
)

// mischief is how a node misbehaves; the zero mischief behaves well. It is a
// contribute.Tap.
type mischief struct {
	lie  atomic.Int32  // percent of the replies with data that are wrong
	slow atomic.Int64  // delay of each operation, nanoseconds
	lies atomic.Uint64 // replies that were wrong
}

// Before delays the operation.
func (m *mischief) Before(ctx context.Context, _, _ string) error {
	d := time.Duration(m.slow.Load())
	if d == 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Data flips some bits of what is sent of a shard. The marker stays true: the
// liar wants to be believed.
func (m *mischief) Data(name string, _ int64, p []byte) {
	if rand.Int32N(100) >= m.lie.Load() || !strings.HasPrefix(name, storeDir+"/"+layout.PacksDir+"/") {
		return
	}
	m.lies.Add(1)
	for range 1 + len(p)/(16<<10) {
		p[rand.IntN(len(p))] ^= byte(1 + rand.IntN(255))
	}
}
