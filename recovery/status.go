package recovery

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/prometheus/client_golang/prometheus"
)

// Status is what is known of a store's roots.
type Status struct {
	Sequence uint64    // of the newest root; 0 before the first
	Written  time.Time // it was
	Stands   bool      // it is on enough nodes
	Seen     bool      // enough nodes showed no fork since the start, so that nodes are written to
	Nodes    []NodeStatus
	Forks    []string // what showed that another gateway writes; empty is good
	Err      error    // why the last root did not stand at once, nil when it did
}

// NodeStatus is what is known of one node's roots.
type NodeStatus struct {
	ID       cairn.NodeID
	Name     string
	Sequence uint64 // of the newest of our roots there; 0 for none, or not known
	State    string // ok, behind, new (not looked at since the start), rolled back
	Why      string // empty when ok
}

// Status is the state now; nodes are in order of id.
func (k *Keeper) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := Status{Seen: k.open, Forks: slices.Clone(k.forks), Err: k.last}
	if k.chain.newest != nil {
		s.Sequence, s.Written = k.chain.newest.Sequence, time.UnixMilli(int64(k.chain.body.Written))
		s.Stands = k.stands(s.Sequence)
	}
	members, _ := k.members()
	for id, at := range members {
		n := NodeStatus{ID: id, Name: at.Name, State: "new"}
		if m := k.nodes[id]; m != nil {
			n.Sequence = m.confirmed
			switch {
			case m.rolled != "":
				n.State, n.Why = "rolled back", m.rolled
			case m.confirmed < s.Sequence:
				n.State = "behind"
			case !m.listed.IsZero():
				n.State = "ok"
			}
			if m.err != nil && n.Why == "" && n.State != "ok" {
				n.Why = m.err.Error()
			}
		}
		s.Nodes = append(s.Nodes, n)
	}
	slices.SortFunc(s.Nodes, func(a, b NodeStatus) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return s
}

type metrics struct {
	roots  *prometheus.CounterVec
	gauges []prometheus.Collector
}

func (k *Keeper) newMetrics(reg prometheus.Registerer) (*metrics, error) {
	gauge := func(name, help string, value func(Status) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(k.Status()) })
	}
	m := &metrics{
		roots: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cairn_recovery_roots_total", Help: "Roots asked for, by outcome."}, []string{"class"}),
		gauges: []prometheus.Collector{
			gauge("cairn_recovery_root_sequence", "Sequence of the newest root.", func(s Status) float64 { return float64(s.Sequence) }),
			gauge("cairn_recovery_root_written_seconds", "When the newest root was written, Unix time.", func(s Status) float64 {
				if s.Sequence == 0 {
					return 0
				}
				return float64(s.Written.UnixMilli()) / 1000
			}),
			gauge("cairn_recovery_nodes_behind", "Nodes without the newest root.", func(s Status) float64 {
				behind := 0
				for _, n := range s.Nodes {
					if n.Sequence < s.Sequence {
						behind++
					}
				}
				return float64(behind)
			}),
			gauge("cairn_recovery_forks", "Roots that show another gateway writing.", func(s Status) float64 { return float64(len(s.Forks)) }),
		},
	}
	if reg == nil {
		return m, nil
	}
	err := reg.Register(m.roots)
	for _, g := range m.gauges {
		err = errors.Join(err, reg.Register(g))
	}
	if err != nil {
		return nil, fmt.Errorf("recovery: metrics: %w: %w", err, cairn.ErrInvalid)
	}
	return m, nil
}

// unregister takes the gauges away, which would keep the keeper alive.
func (k *Keeper) unregister() {
	if k.c.Registry == nil {
		return
	}
	for _, g := range append(k.m.gauges, k.m.roots) {
		k.c.Registry.Unregister(g)
	}
}
