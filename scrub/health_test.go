package scrub

import (
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
	"github.com/prometheus/client_golang/prometheus"
)

func TestHealthSaysHowManyOperatorsMayFail(t *testing.T) {
	for _, c := range []struct {
		what                string
		do                  func(r *rig)
		worst, whole, full  int
		missing             []int64
		unreadable, backlog int64
	}{
		{"all is well", func(*rig) {}, 3, 3, 3, []int64{2}, 0, 0},
		{"one down for a moment", func(r *rig) { r.down(0) }, 2, 3, 3, []int64{0, 2}, 0, 0},
		{"two down", func(r *rig) { r.down(0, 1) }, 1, 2, 3, []int64{0, 0, 2}, 0, 0},
		{"three down", func(r *rig) { r.down(0, 1, 2) }, 0, 1, 3, []int64{0, 0, 0, 2}, 0, 0},
		{"four down", func(r *rig) { r.down(0, 1, 2, 3) }, -1, 0, 3, []int64{0, 0, 0, 0, 2}, 2, 0},
		{"one given up", func(r *rig) { r.state(r.nodes[0], "gone") }, 2, 3, 3, []int64{0, 2}, 0, 2},
		{"one leaves", func(r *rig) { r.state(r.nodes[0], "draining") }, 3, 3, 3, []int64{2}, 0, 0},
		{"two nodes of one operator", func(r *rig) { r.nodes[0].Operator = "op2"; r.set() }, 2, 2, 3, []int64{2}, 0, 0},
		{"one shard lost", func(r *rig) {
			r.rows.set(r.packs[1].ID, func(row *index.PackRow) { row.At = row.At[1:] })
		}, 2, 3, 3, []int64{1, 1}, 0, 1},
		{"one shard wrong", func(r *rig) {
			r.corrupt(r.packs[1], 6)
			r.full()
			r.pass(time.Minute)
			must(r.tb, r.fleet.Reset(r.nodes[6].ID))
		}, 2, 3, 3, []int64{1, 1}, 0, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 8)
			r.spread("4+3", 5_000)
			r.spread("4+3", 5_000)
			r.listed()
			c.do(r)
			r.touch()
			r.pass(10 * time.Second)
			h := r.Health()
			if h.Worst != c.worst || h.Whole != c.whole || h.Full != c.full || !slices.Equal(h.Missing, c.missing) || h.Unreadable != c.unreadable || h.BacklogShards != c.backlog || h.Lost != 0 {
				t.Errorf("%s: worst %d whole %d full %d missing %v unreadable %d backlog %d lost %d, want %+v", c.what,
					h.Worst, h.Whole, h.Full, h.Missing, h.Unreadable, h.BacklogShards, h.Lost, c)
			}
		})
	}
}

func TestHealthWithoutNodesShowsWhatWouldStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		r.spread("4+3", 5_000)
		r.spread("2+1", 5_000) // on the first three
		r.listed()
		if h := r.Health(r.nodes[0].ID, r.nodes[1].ID); h.Unreadable != 1 || h.Worst != -1 || h.Spare[1] != 1 {
			t.Errorf("%+v", h)
		}
		if h := r.Health(r.nodes[5].ID); h.Unreadable != 0 || h.Worst != 1 {
			t.Errorf("%+v", h)
		}
		if h := r.Health(); h.Worst != 1 || h.Missing[0] != 2 {
			t.Errorf("%+v", h)
		}
	})
}

// TestBelowThreeOperatorsTheNodesAreTheDomains, as for placement.
func TestBelowThreeOperatorsTheNodesAreTheDomains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 4)
		for _, n := range r.nodes {
			n.Operator = "me"
		}
		r.set()
		r.spread("2+2", 5_000)
		r.listed()
		if h := r.Health(); h.Worst != 2 || h.Whole != 2 {
			t.Errorf("worst %d, whole %d", h.Worst, h.Whole)
		}
	})
}

// TestHealthAnswersWhileTheDiskHangs, with what it knew before.
func TestHealthAnswersWhileTheDiskHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		r.spread("4+3", 5_000)
		r.listed()
		r.Health()
		r.pass(time.Minute)
		r.counting <- struct{}{} // a pass that never ends
		start := time.Now()
		if h := r.Health(); h.Packs != 1 || time.Since(start) > 2*healthMost {
			t.Errorf("%d packs after %v", h.Packs, time.Since(start))
		}
	})
}

func TestHealthHasNinesAndSaysOnWhatBasis(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		r.spread("4+3", 5_000)
		r.listed()
		h := r.Health()
		if want := Nines(coding(t, "4+3"), priorMTTF, day, 1).Nines; math.Abs(h.Nines-want) > 0.01 || !strings.HasPrefix(h.Basis, "4+3; a node lost in 2.0 years") {
			t.Errorf("%v nines (want %v): %s", h.Nines, want, h.Basis)
		}
		r.state(r.nodes[6], "gone")
		if again := r.Health(); again.Nines > h.Nines-0.5 {
			t.Errorf("a node was lost and the nines are %v, were %v", again.Nines, h.Nines)
		}
		if _, err := json.Marshal(h); err != nil {
			t.Error(err)
		}
	})
}

// collector sends metrics that it does not describe.
type collector func(chan<- prometheus.Metric)

func (collector) Describe(chan<- *prometheus.Desc)      {}
func (c collector) Collect(ch chan<- prometheus.Metric) { c(ch) }

func TestMetricsAreGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3)
		reg := prometheus.NewPedanticRegistry()
		r.c.Registry = reg
		r.start()
		r.spread("2+1", 5_000)
		r.find()
		r.full()
		must(t, reg.Register(collector(func(ch chan<- prometheus.Metric) { r.Health().Collect(ch) })))
		all, err := reg.Gather()
		must(t, err)
		names := make(map[string]bool)
		for _, m := range all {
			names[m.GetName()] = true
		}
		for _, n := range []string{"age_seconds", "shards", "backlog_packs", "nines", "round_days", "node_age_seconds", "node_listed_seconds", "backlog_shards", "backlog_seconds", "listings_total", "looks_total"} {
			if !names["cairn_scrub_"+n] {
				t.Errorf("no cairn_scrub_%s among %v", n, names)
			}
		}
		c := r.c
		c.Nodes, c.Store, c.Clock, c.FS, c.Dir = r.fleet, r.rows, r.clock, r.fs, "/other"
		_, err = New(t.Context(), c)
		wantClass(t, "the same registry twice", err, cairn.ErrInvalid)
		_, err = New(t.Context(), Config{})
		wantClass(t, "nothing given", err, cairn.ErrInvalid)
	})
}

// manyRows is an index of n packs that holds nothing in memory.
type manyRows struct {
	rowStore
	n     int
	nodes []cairn.NodeID
}

func (m *manyRows) Packs(above cairn.PackID) iter.Seq2[index.PackRow, error] {
	return func(yield func(index.PackRow, error) bool) {
		for i := int(above.Seq()) + 1; i <= m.n; i++ {
			row := index.PackRow{Params: pack.Params{ID: cairn.NewPackID(uint64(i), [10]byte{}), Coding: cairn.Coding{K: 4, M: 3}, Length: 4 << 20, Contents: 4096}, State: index.Spread}
			row.At = make([]cairn.Location, 7)
			for s := range row.At {
				row.At[s] = cairn.Location{Index: uint8(s), Node: m.nodes[(i*5+s)%len(m.nodes)], Write: uint32(i)}
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// stillNodes is a fleet that nothing is asked of but its state.
type stillNodes struct {
	Nodes
	status []fleet.NodeStatus
}

func (s *stillNodes) Status() ([]fleet.NodeStatus, string) { return s.status, "" }

// many makes a Scrub over n packs on ten nodes of which two are given up.
func many10(tb testing.TB, r *rig, n int) *Scrub {
	c := Config{Clock: r.clock, FS: durable.NewMem(), Dir: "/many"}
	still, rows := &stillNodes{}, &manyRows{n: n}
	for i := range 12 {
		st := fleet.NodeStatus{ID: cairn.NodeID{byte(i + 1)}, Name: fmt.Sprint(i), Operator: fmt.Sprint("op", i), State: "ok"}
		if i < 2 {
			st.State = "gone"
		}
		still.status = append(still.status, st)
		rows.nodes = append(rows.nodes, st.ID)
	}
	c.Nodes, c.Store = still, rows
	s, err := New(tb.Context(), c)
	must(tb, err)
	for _, st := range still.status {
		s.memory(st.ID).Listed = 1
	}
	return s
}

// TestACensusIsBoundedInMemory: of packs it keeps only the worst, and those few
// by the sets of nodes they stand on.
func TestACensusIsBoundedInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := many10(t, newRig(t, 0), 50_000)
		c, err := s.take(t.Context(), s.view(), byGrace, func(cairn.PackID) bool { return false }, 0)
		must(t, err)
		if c.packs != 50_000 || len(c.worst) != queueMost || !c.dropped || len(c.patterns) > 12 || len(c.stuck) > stuckMost {
			t.Errorf("%d packs, %d queued, dropped %v, %d patterns", c.packs, len(c.worst), c.dropped, len(c.patterns))
		}
		f := c.figures(s.view())
		if f.packs != 50_000 || f.worst != 1 || f.full != 3 {
			t.Errorf("%+v", f)
		}
		for _, x := range c.worst {
			if x.good != 5 {
				t.Fatalf("a pack with %d good shards is among the worst, some have 5", x.good)
			}
		}
	})
}

func BenchmarkCensus(b *testing.B) {
	r := &rig{tb: b, clock: &bubbleClock{start: time.Now()}}
	const packs = 100_000
	r.fs = durable.NewMem()
	s := many10(b, r, packs)
	for b.Loop() {
		if _, err := s.take(b.Context(), s.view(), byGrace, func(cairn.PackID) bool { return false }, 0); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(packs)*float64(b.N)/b.Elapsed().Seconds(), "packs/s")
}
