package engine

import (
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/scrub"
)

// rows gives n packs of a coding; at lists, for each shard, the nodes with a file
// of it: "a", or "ab" for two.
func rows(n int, coding string, at ...string) iter.Seq2[index.PackRow, error] {
	c, err := cairn.ParseCoding(coding)
	if err != nil {
		panic(err)
	}
	return func(yield func(index.PackRow, error) bool) {
		for i := range n {
			r := index.PackRow{Params: pack.Params{ID: cairn.NewPackID(uint64(i+1), [10]byte{}), Coding: c}, Bytes: 100, State: index.Spread}
			for shard, nodes := range at {
				for _, name := range nodes {
					r.At = append(r.At, cairn.Location{Index: uint8((shard + i) % len(at)), Node: nodeID(name)})
				}
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

func all(of ...iter.Seq2[index.PackRow, error]) iter.Seq2[index.PackRow, error] {
	return func(yield func(index.PackRow, error) bool) {
		for _, rows := range of {
			for r, err := range rows {
				if !yield(r, err) {
					return
				}
			}
		}
	}
}

func nodeID(name rune) (id cairn.NodeID) { id[0] = byte(name); return id }

// states are nodes of one letter each in a state, of operators of their own
// names: "a:ok b:down".
func states(text string) (out []NodeState) {
	for _, word := range strings.Fields(text) {
		name, state, _ := strings.Cut(word, ":")
		operator, state2, ok := strings.Cut(state, "@")
		if ok {
			operator, state = state2, operator
		} else {
			operator = name
		}
		out = append(out, NodeState{ID: nodeID(rune(name[0])), Name: name, Operator: operator, State: state, Why: "because", Free: 1 << 40})
	}
	return out
}

// handMade is a fleet and an index of which nothing is asked but what they hold.
type handMade struct {
	scrub.Nodes
	packs iter.Seq2[index.PackRow, error]
	nodes []NodeState
}

func (h handMade) Status() (out []fleet.NodeStatus, alarm string) {
	for _, n := range h.nodes {
		out = append(out, fleet.NodeStatus{ID: n.ID, Name: n.Name, Operator: n.Operator, State: n.State})
	}
	return out, ""
}

func (h handMade) recorded() (out []pack.Node) {
	for _, n := range h.nodes {
		r := pack.Node{ID: n.ID, Name: n.Name, Operator: n.Operator}
		if n.State == "gone" { // by a person
			r.State = "gone"
		}
		out = append(out, r)
	}
	return out
}

// rowsOnly keeps the two interfaces apart.
type rowsOnly struct {
	scrub.Store
	h handMade
}

func (r rowsOnly) Packs(cairn.PackID) iter.Seq2[index.PackRow, error] { return r.h.packs }
func (r rowsOnly) Nodes() ([]pack.Node, error)                        { return r.h.recorded(), nil }

type stillClock struct{}

func (stillClock) Now() time.Duration { return time.Hour }

// standing tells how packs stand on nodes, without some of them.
func standing(t *testing.T, packs iter.Seq2[index.PackRow, error], nodes []NodeState) func(...cairn.NodeID) scrub.Bearing {
	t.Helper()
	h := handMade{packs: packs, nodes: nodes}
	s, err := scrub.New(t.Context(), scrub.Config{Nodes: h, Store: rowsOnly{h: h}, Clock: stillClock{}, FS: durable.NewMem(), Dir: "/scrub",
		Idle: func(index.PackRow) (bool, error) { return true, nil }})
	must(t, err)
	n, err := s.Count(t.Context())
	must(t, err)
	return func(without ...cairn.NodeID) scrub.Bearing { return s.Stand(n, h.recorded(), without...).Bears }
}

func TestDurability(t *testing.T) {
	for _, c := range []struct {
		name               string
		packs              iter.Seq2[index.PackRow, error]
		nodes              string
		lost, unreadable   int64
		lacking            int64
		mayFail, whenWhole int
	}{
		{"all is well", rows(9, "2+1", "a", "b", "c"), "a:ok b:ok c:ok", 0, 0, 0, 1, 1},
		{"one is down", rows(9, "2+1", "a", "b", "c"), "a:ok b:down c:ok", 0, 0, 9, 0, 1},
		{"two are", rows(9, "2+1", "a", "b", "c"), "a:ok b:down c:offline", 0, 9, 9, -1, 1},
		{"a liar can be read from and does not count", rows(9, "2+1", "a", "b", "c"), "a:ok b:down c:quarantined", 0, 0, 9, -1, 1},
		{"two are given up", rows(9, "2+1", "a", "b", "c"), "a:ok b:gone c:gone", 9, 9, 9, -1, -1},
		{"two were removed", rows(9, "2+1", "a", "b", "c"), "a:ok", 9, 9, 9, -1, -1},
		{"a shard is in no row", rows(9, "2+1", "a", "b", ""), "a:ok b:ok c:ok", 0, 0, 9, 0, 0},
		{"a shard has two files, one of them away", rows(9, "2+1", "a", "bd", "c"), "a:ok b:down c:ok d:ok", 0, 0, 0, 1, 1},
		{"the worst pack counts", all(rows(9, "2+2", "a", "b", "c", "d"), rows(1, "1+1", "a", "b")), "a:ok b:ok c:down d:ok", 0, 0, 9, 1, 1},
		{"an operator with two nodes fails with both", rows(9, "2+2", "a", "b", "c", "d"), "a:ok@x b:ok@x c:ok@y d:ok@z", 0, 0, 0, 1, 1},
		{"with two operators the nodes are what fails", rows(9, "2+2", "a", "b", "c", "d"), "a:ok@x b:ok@x c:ok@y d:ok@y", 0, 0, 0, 2, 2},
	} {
		d := durability(standing(t, c.packs, states(c.nodes))(), "2+2")
		if d.Lost.Packs != c.lost || d.Unreadable.Packs != c.unreadable || d.lacking() != c.lacking || d.MayFail != c.mayFail || d.MayFailWhole != c.whenWhole {
			t.Errorf("%s: lost %d, unreadable %d, lacking %d, %d may fail (%d when whole): %+v", c.name, d.Lost.Packs, d.Unreadable.Packs, d.lacking(), d.MayFail, d.MayFailWhole, d)
		}
	}
}

// TestWhatPacksLackInNumbers: a store made by hand, in packs and bytes.
func TestWhatPacksLackInNumbers(t *testing.T) {
	packs := all(rows(4, "2+2", "a", "b", "c", "d"), rows(3, "2+1", "a", "b", "c"), rows(2, "1+1", "c", "d"), rows(1, "2+2", "a", "b", "c", ""))
	for _, c := range []struct {
		nodes            string
		missing          []int64 // packs, by lacking shards
		unreadable, lost int64
		mayFail, back    int
		older            int64
		domain           string
	}{
		{"a:ok b:ok c:ok d:ok", []int64{9, 1}, 0, 0, 1, 1, 5, "operator"},
		{"a:ok b:ok c:ok d:down", []int64{3, 7}, 0, 0, 0, 1, 5, "operator"},
		{"a:ok b:down c:down d:ok", []int64{0, 2, 7, 1}, 4, 0, -1, 1, 5, "operator"},
		{"a:ok b:ok c:gone d:gone", []int64{0, 3, 7}, 2, 2, -1, -1, 5, "node"},
	} {
		d := durability(standing(t, packs, states(c.nodes))(), "2+2")
		var missing []int64
		var sum scrub.Sum
		for _, m := range d.Missing {
			missing = append(missing, m.Packs)
			sum.Packs += m.Packs
			sum.Bytes += m.Bytes
		}
		if sum != d.Sum || sum != (scrub.Sum{Packs: 10, Bytes: 1000}) {
			t.Errorf("%s: %+v in all, %+v by what they lack", c.nodes, d.Sum, sum)
		}
		if fmt.Sprint(missing) != fmt.Sprint(c.missing) || d.Unreadable != (scrub.Sum{Packs: c.unreadable, Bytes: 100 * c.unreadable}) || d.Lost != (scrub.Sum{Packs: c.lost, Bytes: 100 * c.lost}) ||
			d.MayFail != c.mayFail || d.MayFailWhole != c.back || d.Older != (scrub.Sum{Packs: c.older, Bytes: 100 * c.older}) || d.Domain != c.domain {
			t.Errorf("%s: missing %v: %+v", c.nodes, missing, d)
		}
	}
}

// TestFullInDays at the pace of what was noted.
func TestFullInDays(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return begin.AddDate(0, 0, n) }
	for _, c := range []struct {
		what   string
		noted  []grown
		now    grown
		usable int64
		days   float64
	}{
		{"nothing was noted", nil, grown{day(9), 900}, 1000, 0},
		{"for a day only", []grown{{day(0), 100}}, grown{day(1), 200}, 1000, 0},
		{"100 bytes a day", []grown{{day(0), 100}, {day(5), 350}}, grown{day(10), 1100}, 2000, 20},
		{"it shrinks", []grown{{day(0), 1100}}, grown{day(10), 100}, 2000, 0},
		{"it stands", []grown{{day(0), 100}}, grown{day(10), 100}, 2000, 0},
		{"it is full", []grown{{day(0), 100}}, grown{day(10), 1100}, -5, 0},
	} {
		if got := fullIn(c.noted, c.now, c.usable); got != c.days {
			t.Errorf("%s: full in %v days, want %v", c.what, got, c.days)
		}
	}
}

func TestWithout(t *testing.T) {
	lost := rows(3, "2+2", "a")
	packs := all(rows(8, "2+2", "a", "b", "c", "d"), lost, rows(2, "1+1", "c", "d"))
	for _, c := range []struct {
		nodes, names string
		unreadable   int64
		writes       string
		mayFail      int
	}{
		{"a:ok b:ok c:ok d:ok", "a", 0, "2+1", 1},
		{"a:ok b:ok c:ok d:ok", "a,b", 0, "1+1", 0},
		{"a:ok b:ok c:ok d:ok", "c,d", 2, "1+1", -1},
		{"a:ok b:ok c:ok d:ok", "a,b,c", 8, "", -1},
		{"a:down b:ok c:ok d:ok", "b", 0, "1+1", 0},
		{"a:ok@x b:ok@x c:ok@y d:ok@z", "x", 0, "1+1", 0},
		{"a:ok b:ok c:draining d:ok", "a", 0, "1+1", 1},
	} {
		w, err := without(states(c.nodes), "auto", strings.Split(c.names, ","), standing(t, packs, states(c.nodes)))
		must(t, err)
		if w.Unreadable.Packs != c.unreadable || w.Readable.Packs != 10-c.unreadable || w.Coding != c.writes || w.Writable != (c.writes != "") || w.MayFail != c.mayFail {
			t.Errorf("%s without %s: %+v", c.nodes, c.names, w)
		}
	}
	_, err := without(states("a:ok b:ok"), "auto", []string{"zoe"}, nil)
	wantErr(t, err, cairn.ErrNotExist, "zoe", "a, b")
}

func TestJudge(t *testing.T) {
	three := rows(9, "2+1", "a", "b", "c")
	for _, c := range []struct {
		name    string
		packs   iter.Seq2[index.PackRow, error]
		nodes   string
		change  func(*Status)
		state   string
		summary string
		do      string // the first thing to do, command or text
	}{
		{"all is well", three, "a:ok b:ok c:ok", nil, Whole, "every object is readable and writes go on; any 1 operator may fail", ""},
		{"nothing there yet", nil, "a:ok b:ok c:ok", nil, Whole, "no pack is there yet", ""},
		{"no nodes", nil, "", nil, Local, "this disk only", "cairn node add"},
		{"one of three is down", three, "a:ok b:down c:ok", nil, AtRisk, "no operator may fail (1 when whole)", "bring back b, or add a node"},
		{"one of four is down", rows(9, "2+2", "a", "b", "c", "d"), "a:ok b:down c:ok d:ok", nil, Degraded, "any 1 operator may fail (2 when whole)", ""},
		{"a marker is missing", rows(9, "2+2", "a", "b", "c", "d"), "a:ok b:offline c:ok d:ok", func(s *Status) { s.Nodes[1].Unmarked = true }, Degraded, "any 1 operator may fail (2 when whole)", "cairn node check b --mark"},
		{"one is suspect", three, "a:ok b:suspect c:ok", nil, Degraded, "any 1 operator may fail", ""},
		{"two of three are down", three, "a:ok b:down c:offline", nil, AtRisk, "9 of 9 packs cannot be read now", "bring back b or c"},
		{"two of three were given up", three, "a:ok b:gone c:gone", nil, Lost, "9 packs are lost", "cairn repair --dry-run"},
		{"no node takes shards", three, "a:ok b:ok c:ok", func(s *Status) { s.Fleet.Coding = "" }, AtRisk, "no node takes shards", "cairn node list"},
		{"the stage is full", three, "a:ok b:ok c:ok", func(s *Status) { s.StagedBytes = 97 }, AtRisk, "writes wait", "cairn flush"},
		{"bytes are here only for too long", three, "a:ok b:ok c:ok", func(s *Status) { s.HereOnly, s.OldestHere = 1<<20, 1000 }, Degraded, "every object is readable", "cairn flush"},
		{"bytes are here only for a moment", three, "a:ok b:ok c:ok", func(s *Status) { s.HereOnly, s.OldestHere = 1<<20, 30 }, Whole, "every object is readable", ""},
		{"the disk hangs", three, "a:ok b:ok c:ok", func(s *Status) { s.Silent = 12 }, AtRisk, "this machine's disk does not answer", "cairn events"},
		{"the disk is slow", three, "a:ok b:ok c:ok", func(s *Status) { s.Silent, s.Hangs = 2, "sync stage/3" }, Degraded, "this machine's disk does not answer", "cairn events"},
		{"nothing was ever read of this machine", three, "a:ok b:ok c:ok", func(s *Status) { s.AsOf, s.Silent, s.Durability = time.Time{}, 2, Durability{} }, AtRisk, "how the packs stand is not known", "cairn events"},
		{"nodes were asked only just now", three, "a:held b:held c:held", func(s *Status) { s.Uptime, s.Fleet.Coding = 2, "" }, Degraded, "asked only just now", "cairn status"},
		{"nodes are held for long", three, "a:held b:held c:held", func(s *Status) { s.Fleet.Coding = "" }, AtRisk, "no node takes shards", "cairn node list"},
		{"another gateway writes", three, "a:ok b:ok c:ok", func(s *Status) { s.Recoverable.Forks = []string{"x"} }, AtRisk, "another gateway", "two gateways"},
		{"several lied at once", three, "a:ok b:ok c:ok", func(s *Status) { s.Alarm = "several" }, Degraded, "every object", "cairn events"},
		{"the stage was damaged", three, "a:ok b:ok c:ok", func(s *Status) { s.Damage = []string{"a hole"} }, AtRisk, "not well", ""},
		{"the kit could not be written", three, "a:ok b:ok c:ok", func(s *Status) { s.Recoverable.Kit.Error = "x" }, Degraded, "every object", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.packs == nil {
				c.packs = rows(0, "1+0")
			}
			s := Status{Nodes: states(c.nodes), Fleet: FleetReport{Coding: "2+1"}, AsOf: time.Now(), Uptime: 600}
			s.Durability = durability(standing(t, c.packs, s.Nodes)(), s.Fleet.Coding)
			s.StageLimit = 100
			if c.change != nil {
				c.change(&s)
			}
			judge(&s, 30*time.Second)
			first := ""
			if len(s.Do) > 0 {
				first = s.Do[0].Command + s.Do[0].Text
			}
			if s.State != c.state || !strings.Contains(s.Summary, c.summary) || !strings.Contains(first, c.do) || c.do == "" && first != "" {
				t.Errorf("%s: %s; do %q", s.State, s.Summary, first)
			}
			if (s.State == Whole) != (len(s.Wrong) == 0) {
				t.Errorf("%s with %q", s.State, fmt.Sprint(s.Wrong))
			}
		})
	}
}
