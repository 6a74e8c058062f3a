package fleet

import (
	"errors"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/layout"
	"github.com/prometheus/client_golang/prometheus"
)

// NodeStatus is what is known of one node now.
type NodeStatus struct {
	ID       cairn.NodeID
	Name     string
	Operator string
	Remote   string
	State    string    // new (never answered yet), ok, down, quarantined, suspect, held, full, or as a person set it
	Why      string    // empty when new or ok
	Since    time.Time // it answers, or does not
	Free     int64     // bytes; meaningful when Known
	Total    int64
	Known    bool
	P95      time.Duration // of reads up to 256 KiB; zero while unknown
	Wrong    int           // replies that did not verify
}

// Status lists the nodes in order of id, and an alarm over all of them if any.
func (f *Fleet) Status() ([]NodeStatus, string) {
	var out []NodeStatus
	for _, n := range f.all() {
		out = append(out, n.status())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.several() > 1 {
		return out, alarmText
	}
	return out, ""
}

func (n *node) status() NodeStatus {
	up, since := n.link.up()
	s := NodeStatus{ID: n.ID, Name: n.Name, Operator: n.Operator, Remote: n.Remote, Since: since, P95: n.link.p95(0)}
	s.Free, s.Total, s.Known = n.space()
	l := n.link
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Wrong = l.wrong
	switch {
	case !up:
		s.State, s.Why = "down", l.why
	case l.quarantined:
		s.State, s.Why = "quarantined", "sent wrong bytes twice"
	case !n.inService():
		s.State, s.Why = n.State, "set by a person"
	case l.suspected != "":
		s.State, s.Why = "suspect", l.suspected
	case l.held:
		s.State, s.Why = "held", whyHeld
	case l.full:
		s.State, s.Why = "full", "refused a shard for lack of space"
	case !l.answered:
		s.State = "new"
	default:
		s.State = "ok"
	}
	return s
}

// Fatal names the operators whose loss alone would lose packs coded c.
func (f *Fleet) Fatal(c cairn.Coding) []string {
	return layout.Fatal(c, f.candidates(false, time.Now()))
}

// Usable is how many bytes of packs still fit with coding c.
func (f *Fleet) Usable(c cairn.Coding) float64 {
	return layout.Usable(c, f.candidates(false, time.Now()))
}

// metrics counts what goes on over nodes.
type metrics struct {
	bad     *prometheus.CounterVec
	placed  *prometheus.CounterVec
	hedges  prometheus.Counter
	decoded prometheus.Counter
	repair  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		bad:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cairn_fleet_shards_bad_total", Help: "Replies of nodes that did not verify."}, []string{"node", "class"}),
		placed:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cairn_fleet_shards_placed_total", Help: "Shards put and read back."}, []string{"node"}),
		hedges:  prometheus.NewCounter(prometheus.CounterOpts{Name: "cairn_fleet_hedges_total", Help: "Reads raced because their node was late."}),
		decoded: prometheus.NewCounter(prometheus.CounterOpts{Name: "cairn_fleet_decoded_total", Help: "Reads rebuilt from other shards."}),
		repair:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cairn_fleet_repair_bytes_total", Help: "Bytes that making shards again, and moving them, read and wrote."}, []string{"node", "op"}),
	}
	if reg == nil {
		return m, nil
	}
	if err := errors.Join(reg.Register(m.bad), reg.Register(m.placed), reg.Register(m.hedges), reg.Register(m.decoded), reg.Register(m.repair)); err != nil {
		return nil, fmt.Errorf("fleet: metrics: %w: %w", err, cairn.ErrInvalid)
	}
	return m, nil
}
