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

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
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
		reg.Register(m.removed), reg.Register(m.adopted)); err != nil {
		return nil, fmt.Errorf("scrub: metrics: %w: %w", err, cairn.ErrInvalid)
	}
	return m, nil
}

// figure is one gauge without labels.
type figure struct {
	name, help string
	of         func(Health) float64
}

func figuresShown() []figure {
	return []figure{
		{"age_seconds", "Age of the bytes proven longest ago; -1 while some never were.", func(h Health) float64 { return h.Oldest }},
		{"backlog_packs", "Packs with shards to be made again.", func(h Health) float64 { return float64(h.BacklogPacks) }},
		{"backlog_shards", "Shards to be made again.", func(h Health) float64 { return float64(h.BacklogShards) }},
		{"backlog_bytes", "Bytes of shards to be made again.", func(h Health) float64 { return float64(h.BacklogBytes) }},
		{"backlog_seconds", "How long that takes at the rate of now; -1 while unknown.", func(h Health) float64 { return h.ETA }},
		{"made_bytes_per_second", "Bytes of shards made a second lately.", func(h Health) float64 { return h.Rate }},
		{"stuck_packs", "Packs that cannot be mended now.", func(h Health) float64 { return float64(int64(len(h.Stuck)) + h.StuckMore) }},
		{"nines", "How safe a pack is for a year, -log10 of the chance to lose it.", func(h Health) float64 { return h.Nines }},
	}
}

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("cairn_scrub_"+name, help, labels, nil)
}

// Collect sends what h says, as gauges, to a registry that whoever made h has
// put itself into: h must not be made anew while somebody scrapes a gateway whose
// disk hangs.
func (h Health) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, f := range figuresShown() {
		send(gauge(f.name, f.help), f.of(h))
	}
	shards := gauge("shards", "Shards by what is known of them.", "state")
	for _, x := range []struct {
		state string
		n     int64
	}{{"good", h.Shards.Good}, {"leaving", h.Shards.Leaving}, {"away", h.Shards.Away}, {"suspect", h.Shards.Suspect}, {"quarantined", h.Shards.Quarantined},
		{"wrong", h.Shards.Wrong}, {"missing", h.Shards.Missing}, {"unknown", h.Shards.Unknown}} {
		send(shards, float64(x.n), x.state)
	}
	round := gauge("round_days", "Days in which every byte of a node is read; 0 while unknown.", "node")
	proven := gauge("node_age_seconds", "Age of the bytes of a node proven longest ago; -1 while some never were.", "node")
	listed := gauge("node_listed_seconds", "How long ago the files of a node were listed; -1 for never.", "node")
	for _, c := range h.Coverage {
		send(round, c.Days, c.Name)
		send(proven, c.Oldest, c.Name)
		send(listed, c.Listed, c.Name)
	}
}
