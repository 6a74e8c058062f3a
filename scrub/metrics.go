package scrub

import (
	"errors"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what is found and mended.
type metrics struct {
	looks                                  *prometheus.CounterVec
	bytes                                  *prometheus.CounterVec
	listings, lost, made, removed, adopted prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, s *Scrub) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "cairn_scrub_" + name, Help: help})
	}
	m := &metrics{
		looks:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cairn_scrub_looks_total", Help: "Direct looks at shards, by what they came to."}, []string{"class"}),
		bytes:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cairn_scrub_bytes_total", Help: "Bytes moved: walk and audit read them, repair_read is read for what is made."}, []string{"op"}),
		listings: counter("listings_total", "Nodes listed whole."),
		lost:     counter("shards_lost_total", "Shards that were not there at two looks an hour apart."),
		made:     counter("shards_made_total", "Shards made again or moved."),
		removed:  counter("extras_removed_total", "Extra copies of shards removed."),
		adopted:  counter("packs_adopted_total", "Packs that the index did not know and that were taken up."),
	}
	if reg == nil {
		return m, nil
	}
	if err := errors.Join(reg.Register(m.looks), reg.Register(m.bytes), reg.Register(m.listings), reg.Register(m.lost), reg.Register(m.made),
		reg.Register(m.removed), reg.Register(m.adopted), reg.Register(gauges{s})); err != nil {
		return nil, fmt.Errorf("scrub: metrics: %w: %w", err, cairn.ErrInvalid)
	}
	return m, nil
}

// gauges are what Health says, asked for when somebody scrapes.
type gauges struct{ s *Scrub }

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("cairn_scrub_"+name, help, labels, nil)
}

// Describe is left unchecked: the set is fixed, but it is made anew each time.
func (g gauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- gauge("age_seconds", "Age of the bytes proven longest ago; -1 while some never were.")
}

// Collect sends the figures of now.
func (g gauges) Collect(ch chan<- prometheus.Metric) {
	h := g.s.Health()
	send := func(name, help string, v float64) {
		ch <- prometheus.MustNewConstMetric(gauge(name, help), prometheus.GaugeValue, v)
	}
	send("age_seconds", "Age of the bytes proven longest ago; -1 while some never were.", h.Oldest)
	send("packs", "Packs on nodes.", float64(h.Packs))
	send("packs_unreadable", "Packs of which fewer than k shards can be read now.", float64(h.Unreadable))
	send("packs_lost", "Packs of which fewer than k shards exist.", float64(h.Lost))
	send("spare_operators", "Operators that may fail, whichever, with every object readable; -1 when one is not.", float64(h.Worst))
	send("backlog_packs", "Packs with shards to be made again.", float64(h.BacklogPacks))
	send("backlog_bytes", "Bytes of shards to be made again.", float64(h.BacklogBytes))
	send("stuck_packs", "Packs that cannot be mended now.", float64(int64(len(h.Stuck))+h.StuckMore))
	state := gauge("shards", "Shards by what is known of them.", "state")
	for _, x := range []struct {
		state string
		n     int64
	}{{"good", h.Shards.Good}, {"leaving", h.Shards.Leaving}, {"away", h.Shards.Away}, {"suspect", h.Shards.Suspect}, {"quarantined", h.Shards.Quarantined},
		{"wrong", h.Shards.Wrong}, {"missing", h.Shards.Missing}, {"unknown", h.Shards.Unknown}} {
		ch <- prometheus.MustNewConstMetric(state, prometheus.GaugeValue, float64(x.n), x.state)
	}
	round := gauge("round_days", "Days in which every byte of a node is read; 0 while unknown.", "node")
	for _, c := range h.Coverage {
		ch <- prometheus.MustNewConstMetric(round, prometheus.GaugeValue, c.Days, c.Name)
	}
}
