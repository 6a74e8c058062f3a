package backends

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cairn-storage/cairn"
)

// Metrics are the counters of all nodes of this process.
type Metrics struct {
	seconds        *prometheus.HistogramVec // node, op, class
	sent, received *prometheus.CounterVec   // node, op
}

// NewMetrics registers cairn_backends_op_seconds{node,op,class},
// cairn_backends_sent_bytes_total{node,op} and
// cairn_backends_received_bytes_total{node,op}. class is "ok", an error class,
// or "cancelled" when the caller gave up. Bytes are those of calls that
// succeeded.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "cairn_backends_op_seconds",
			Help: "Time that calls to nodes took, tries and waiting included.",
			// From a local disk to the deadline of a large put.
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 100},
		}, []string{"node", "op", "class"}),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cairn_backends_sent_bytes_total",
			Help: "Bytes of content that nodes took.",
		}, []string{"node", "op"}),
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cairn_backends_received_bytes_total",
			Help: "Bytes of content that nodes gave.",
		}, []string{"node", "op"}),
	}
	for _, c := range []prometheus.Collector{m.seconds, m.sent, m.received} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("backends: metrics: %w", err)
		}
	}
	return m, nil
}

// Meter counts and times the calls to r under the name node, and makes every
// error an *Error with a class: one that has none becomes ErrUnavailable, for
// a node's failure is never taken for our own bug. errors.Is still finds what
// it was, so a caller tells its own cancelled context from a failing node.
// Without m it only does the latter.
func Meter(r Remote, node string, m *Metrics) Remote {
	w := &meter{node: node, metrics: m}
	w.Around = Around{Inner: r, Do: w.do}
	return w
}

type meter struct {
	Around
	node    string
	metrics *Metrics
}

func (w *meter) do(ctx context.Context, c Call, run func(context.Context) error) error {
	began := time.Now()
	err := w.classed(c, run(ctx))
	w.count(ctx, c, time.Since(began), err)
	return err
}

func (w *meter) count(ctx context.Context, c Call, took time.Duration, err error) {
	if w.metrics == nil {
		return
	}
	class := cairn.ClassName(err)
	if err != nil && ctx.Err() != nil {
		class = "cancelled"
	}
	w.metrics.seconds.WithLabelValues(w.node, c.Op, class).Observe(took.Seconds())
	if err != nil {
		return
	}
	switch c.Op {
	case OpPut, OpReplace:
		w.metrics.sent.WithLabelValues(w.node, c.Op).Add(float64(c.Bytes))
	case OpRead:
		w.metrics.received.WithLabelValues(w.node, c.Op).Add(float64(c.Bytes))
	}
}

// classed makes err an *Error with a class.
func (w *meter) classed(c Call, err error) error {
	if err == nil {
		return nil
	}
	if cairn.Class(err) == nil {
		err = fmt.Errorf("%w: %w", cairn.ErrUnavailable, err)
	}
	if known := (*Error)(nil); errors.As(err, &known) {
		return err
	}
	return &Error{Op: c.Op, Node: w.node, Name: c.Name, Err: err}
}

// List counts the time that the node took, not its consumer's.
func (w *meter) List(ctx context.Context, dir string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		c := Call{Op: OpList, Name: dir}
		began, theirs := time.Now(), time.Duration(0)
		for e, err := range w.Inner.List(ctx, dir) {
			if err != nil {
				err = w.classed(c, err)
				w.count(ctx, c, time.Since(began)-theirs, err)
				yield(Entry{}, err)
				return
			}
			handed := time.Now()
			more := yield(e, nil)
			theirs += time.Since(handed)
			if !more {
				break
			}
		}
		w.count(ctx, c, time.Since(began)-theirs, nil)
	}
}
