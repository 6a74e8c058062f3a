package fleet

import (
	"context"
	"sync"
	"time"

	"github.com/cairn-storage/cairn/backends"
	"github.com/prometheus/client_golang/prometheus"
)

// Moved is what a piece of background work cost, over all nodes.
type Moved struct {
	Read, Written int64 // bytes of content
	Requests      int
}

// Add adds what other work cost.
func (m *Moved) Add(o Moved) {
	m.Read += o.Read
	m.Written += o.Written
	m.Requests += o.Requests
}

// tally counts the calls that carry it in their context.
type tally struct {
	bytes *prometheus.CounterVec // by node and op; may be nil

	mu sync.Mutex
	Moved
}

type tallyKey struct{}

// counted returns a context whose calls are counted in the tally; bytes may be
// nil.
func counted(ctx context.Context, bytes *prometheus.CounterVec) (context.Context, *tally) {
	t := &tally{bytes: bytes}
	return context.WithValue(ctx, tallyKey{}, t), t
}

func (t *tally) cost() Moved {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.Moved
}

// requested counts one call to the node.
func (n *node) requested(ctx context.Context) {
	if t, ok := ctx.Value(tallyKey{}).(*tally); ok {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.Requests++
	}
}

// carried counts the bytes of content that a call brought or took.
func (n *node) carried(ctx context.Context, op string, bytes int) {
	n.link.mu.Lock()
	n.link.ledger.add(time.Now(), int64(bytes))
	n.link.mu.Unlock()
	t, ok := ctx.Value(tallyKey{}).(*tally)
	if !ok {
		return
	}
	if t.bytes != nil {
		t.bytes.WithLabelValues(n.Name, op).Add(float64(bytes))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if op == backends.OpPut {
		t.Written += int64(bytes)
	} else {
		t.Read += int64(bytes)
	}
}
