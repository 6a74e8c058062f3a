package fleet

import (
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what goes on over nodes. What a node is like now is in Status,
// and whoever shows that shows it as figures, too.
type metrics struct {
	bad     *prometheus.CounterVec
	placed  *prometheus.CounterVec
	hedges  prometheus.Counter
	decoded prometheus.Counter
	repair  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		bad:     counters("cairn_fleet_shards_bad_total", "Replies of nodes that did not verify.", "node", "class"),
		placed:  counters("cairn_fleet_shards_placed_total", "Shards put and read back.", "node"),
		hedges:  prometheus.NewCounter(prometheus.CounterOpts{Name: "cairn_fleet_hedges_total", Help: "Reads raced because their node was late."}),
		decoded: prometheus.NewCounter(prometheus.CounterOpts{Name: "cairn_fleet_decoded_total", Help: "Reads rebuilt from other shards."}),
		repair:  counters("cairn_fleet_repair_bytes_total", "Bytes that making shards again, and moving them, read and put.", "node", "op"),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.bad, m.placed, m.hedges, m.decoded, m.repair} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("fleet: metrics: %w: %w", err, cairn.ErrInvalid)
		}
	}
	return m, nil
}
