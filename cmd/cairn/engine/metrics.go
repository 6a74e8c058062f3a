package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/cairn-storage/cairn"
	"github.com/prometheus/client_golang/prometheus"
)

// figures are what Status says, for whoever scrapes. They ask no node, and wait
// for this machine's disk no longer than Status does.
type figures struct {
	e   *Engine
	ctx context.Context // lends its values
}

// nodeStatesShown are the states of nodes, as fleet.NodeStatus has them.
var nodeStatesShown = []string{"new", "held", "ok", "suspect", "quarantined", "full", "paused", "draining", "offline", "down", "gone"}

// nodeLabels name the figures of one node.
var nodeLabels = []string{"node"}

func figure(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("cairn_"+name, help, labels, nil)
}

// registerFigures puts them into the registry; the engine takes them out again
// when it closes, since they would keep it alive.
func (e *Engine) registerFigures(ctx context.Context) error {
	if e.c.Registry == nil {
		return nil
	}
	e.figures = figures{e, context.WithoutCancel(ctx)}
	if err := e.c.Registry.Register(e.figures); err != nil {
		return fmt.Errorf("metrics: %w", errors.Join(err, cairn.ErrInvalid))
	}
	return nil
}

// Describe tells one of them: the set depends on the nodes there are.
func (f figures) Describe(ch chan<- *prometheus.Desc) {
	ch <- figure("store_state", "0 ok, 1 degraded or local, 2 at risk, 3 lost.")
}

// Collect sends the figures of now; none when there is no status.
func (f figures) Collect(ch chan<- prometheus.Metric) {
	s, err := f.e.Status(f.ctx)
	if err != nil {
		return
	}
	send := func(name, help string, v float64) {
		ch <- prometheus.MustNewConstMetric(figure(name, help), prometheus.GaugeValue, v)
	}
	d := s.Durability
	send("store_state", "0 ok, 1 degraded or local, 2 at risk, 3 lost.", float64(levelOf(s.State)))
	send("store_packs_degraded", "Packs that have less than all of their shards on nodes that are well.", float64(d.lacking()))
	send("store_packs_unreadable", "Packs of which fewer than k shards can be reached now.", float64(d.Unreadable.Packs))
	send("store_packs_lost", "Packs of which fewer than k shards are left when every node comes back.", float64(d.Lost.Packs))
	send("store_packs_older", "Packs coded for fewer failures than new ones.", float64(d.Older.Packs))
	send("store_staged_bytes", "Bytes of packs that not enough nodes hold yet.", float64(s.HereOnly))
	send("store_staged_age_seconds", "Age of the oldest of them.", s.OldestHere)
	send("store_disk_silent_seconds", "For how long this machine's disk has not answered.", s.Silent)
	send("fleet_may_fail", "Operators that may fail, whichever, and every object stays readable; -1 when one is not.", float64(d.MayFail))
	send("fleet_usable_bytes", "Bytes of packs that still fit.", float64(s.Fleet.Usable))
	send("fleet_full_days", "In how many days the nodes are full; 0 while unknown.", s.FullIn)
	for i, m := range d.Missing {
		ch <- prometheus.MustNewConstMetric(figure("store_packs_lacking", "Packs by how many of their shards are not on nodes that are well.", "shards"), prometheus.GaugeValue, float64(m.Packs), strconv.Itoa(i))
	}
	if s.Care != nil {
		s.Care.Collect(ch)
	}
	for _, n := range s.Nodes {
		for _, state := range nodeStatesShown {
			is := 0.0
			if n.State == state {
				is = 1
			}
			ch <- prometheus.MustNewConstMetric(figure("fleet_node_state", "1 for the state that the node is in.", "node", "state"), prometheus.GaugeValue, is, n.Name, state)
		}
		node := func(name, help string, v float64) {
			ch <- prometheus.MustNewConstMetric(figure(name, help, nodeLabels...), prometheus.GaugeValue, v, n.Name)
		}
		up := 0.0
		if wellState(n.State) {
			up = 1
		}
		node("fleet_node_well", "1 while what stands there counts in full.", up)
		node("fleet_node_used_bytes", "Bytes of shards there.", float64(n.Used))
		node("fleet_node_good_ratio", "Share of looks at the node that went well.", n.Good)
		node("fleet_node_looks", "Looks that the share stands on.", float64(n.Looks))
		node("fleet_node_wrong", "Replies of it that did not verify: `cairn node evidence` lists them.", float64(n.Wrong))
		node("fleet_node_traffic_bytes", "What went to and from it this month.", float64(n.Traffic))
		node("fleet_node_traffic_limit_bytes", "What background work may move there a month; 0 for no limit.", float64(n.TrafficLimit))
	}
}

// levelOf is a state as a number, as status --check has it.
func levelOf(state string) int {
	switch state {
	case Whole:
		return whole
	case AtRisk:
		return atRisk
	case Lost:
		return lost
	}
	return degraded
}
