package fleet

import (
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/layout"
)

// NodeStatus is what is known of one node now. Its state is new (never answered
// yet), ok, suspect (something is held against it, or its reputation is low),
// quarantined (sent wrong bytes twice), draining or as a person set it, offline
// (answers, but shows no marker: a disk that is not mounted), down (does not
// answer), held (waits for a root), full, or gone (given up by a person, or away
// for Config.GoneAfter).
type NodeStatus struct {
	ID       cairn.NodeID
	Name     string
	Operator string
	Remote   string
	State    string    // one of the words below
	Why      string    // empty when new or ok
	Since    time.Time // it answers, or does not
	// Unmarked: it answers and its marker is missing.
	Unmarked bool
	// StateSince is since when it has this state, also before this process.
	StateSince time.Time
	Free       int64 // bytes; meaningful when Known
	Total      int64
	Known      bool
	P95        time.Duration // of reads up to 256 KiB; zero while unknown
	Wrong      int           // replies that did not verify
	Good       float64       // reputation, 0 to 1
	Looks      int           // that it stands on
	// Traffic is what went to and from it this month, and TrafficLimit what may,
	// in bytes; 0 for no limit.
	Traffic, TrafficLimit int64
}

// Change is a state that a node has come to.
type Change struct {
	Node  cairn.NodeID
	Name  string
	State string // as in NodeStatus
	Why   string // empty when it is ok
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
	n.show(time.Now())
	_, since := n.link.up()
	s := NodeStatus{ID: n.ID, Name: n.Name, Operator: n.Operator, Remote: n.Remote, Since: since, P95: n.link.p95(0)}
	s.Free, s.Total, s.Known = n.space()
	l := n.link
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Wrong = l.wrong
	s.Good, s.Looks = l.good(), l.looks
	l.ledger.add(time.Now(), 0)
	s.Traffic, s.TrafficLimit = l.moved, n.budget.traffic
	s.State, s.Why = n.word()
	s.Unmarked = l.unmarked
	if s.StateSince = l.born; s.State == l.shown {
		s.StateSince = l.shownFrom
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
