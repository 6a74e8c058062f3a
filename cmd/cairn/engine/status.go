package engine

import (
	"cmp"
	"context"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/scrub"
	"github.com/cairn-storage/cairn/store"
)

// Status is all that a person or a monitor wants to know of a gateway now.
type Status struct {
	StoreID    string   `json:"store"`
	StoreKey   string   `json:"store_id"`    // in full
	GatewayKey string   `json:"gateway_key"` // that signs for the store now, hex
	State      string   `json:"state"`       // one of the States
	Summary    string   `json:"summary"`     // the same as a sentence
	Wrong      []string `json:"wrong"`       // what keeps it from being whole
	Do         []Todo   `json:"do_now"`      // what a person is to do, the most urgent first
	Wait       []string `json:"can_wait"`    // what goes on by itself, and what has time
	store.Status
	HereOnly   int64          `json:"staged_bytes"` // of packs that not enough nodes hold yet: lost with this machine
	Fsyncs     int64          `json:"fsyncs"`       // of files and directories, by this process
	Disk       durable.Counts `json:"disk"`
	Nodes      []NodeState    `json:"nodes"`
	Alarm      string         `json:"alarm,omitempty"`
	Fleet      FleetReport    `json:"fleet"`
	Durability Durability     `json:"durability"`
	// Care is how the shards are looked after; nil for a look at the store.
	Care *scrub.Health `json:"care,omitempty"`
	// FullIn is in how many days the nodes are full at the pace of the last weeks;
	// 0 while nobody knows.
	FullIn      float64     `json:"full_in_days"`
	CacheHits   float64     `json:"cache_hits"` // share of block reads, 0 to 1
	Uptime      float64     `json:"uptime_s"`
	Recoverable Recoverable `json:"recovery"`
	// Silent is for how long this machine's disk has not answered, seconds, and
	// Hangs the call it does not answer, if known; 0 and empty while it does.
	Silent float64 `json:"disk_silent_s"`
	Hangs  string  `json:"disk_hangs,omitempty"`
	// AsOf is when the figures of packs, objects and recovery were read from this
	// machine; zero when they never could be, and then all of them are.
	AsOf time.Time `json:"as_of"`
}

// Todo is one thing for a person to do.
type Todo struct {
	Command string `json:"command,omitempty"`
	Text    string `json:"text"` // why, and what comes of it
}

// The states of a gateway.
const (
	Whole    = "ok"       // every node is well and has what it should
	Degraded = "degraded" // everything is served, with less in reserve
	Local    = "local"    // there are no nodes: this disk is all there is
	AtRisk   = "at-risk"  // some objects cannot be read now, no further operator may fail, or writes wait
	Lost     = "lost"     // some objects are gone for good as far as anyone knows
)

// NodeState is one node in Status.
type NodeState struct {
	ID       cairn.NodeID `json:"-"`
	Name     string       `json:"name"`
	Kind     string       `json:"kind"`
	Operator string       `json:"operator"`
	Site     string       `json:"site,omitempty"`
	Remote   string       `json:"remote"`
	State    string       `json:"state"`
	Why      string       `json:"why,omitempty"`
	Unmarked bool         `json:"unmarked,omitempty"` // it answers and its marker is missing
	Since    float64      `json:"since_s"`            // seconds in this state
	Used     int64        `json:"used_bytes"`         // by shards, as the store's index has it
	Free     int64        `json:"free_bytes"`         // meaningful when Known
	Total    int64        `json:"total_bytes"`
	Quota    int64        `json:"quota_bytes"` // that a person set; 0 for none
	Known    bool         `json:"space_known"`
	P95      float64      `json:"p95_ms"` // of reads; 0 while unknown
	Wrong    int          `json:"wrong"`  // replies that did not verify
	// Good is its reputation: the share of looks at it that went well, 0 to 1, and
	// Looks how many that stands on.
	Good  float64 `json:"good"`
	Looks int     `json:"looks"`
	// Traffic is what went to and from it this month, bytes, and TrafficLimit what
	// may; 0 for no limit.
	Traffic      int64 `json:"traffic_bytes"`
	TrafficLimit int64 `json:"traffic_limit_bytes"`
	// WipeProof says what keeps a stolen gateway from wiping it, in its owner's
	// words; empty where nobody said.
	WipeProof string `json:"wipe_proof,omitempty"`
}

// Status returns the present figures. It asks no node, and it waits for this
// machine's disk for a second at most: then it goes on with what was known.
func (e *Engine) Status(ctx context.Context) (Status, error) {
	l, silent, err := e.glance(ctx)
	if err != nil {
		return Status{}, err
	}
	st := l.store
	key := e.c.Identity.Sign().Public()
	out := Status{StoreID: e.ID.Short(), StoreKey: e.ID.String(), GatewayKey: hex.EncodeToString(key[:]), Status: st, HereOnly: st.OnlyHere,
		Fleet: e.fleetReport(cmp.Or(st.Coding, e.c.File.Store.Coding.String())), Uptime: time.Since(e.started).Seconds(), AsOf: l.at}
	silent, out.Hangs = e.silent(silent)
	out.Silent = silent.Seconds()
	if e.c.Counts != nil {
		out.Disk = e.c.Counts.Counts()
		out.Fsyncs = out.Disk.Fsyncs()
	}
	if c := l.cache; c.MemoryHits+c.DiskHits+c.Misses > 0 {
		hits := c.MemoryHits + c.DiskHits
		out.CacheHits = float64(hits) / float64(hits+c.Misses)
	}
	out.Nodes, out.Alarm = e.nodeStates(l)
	if l.count != nil {
		care := e.scrub.Stand(l.count, l.nodes)
		out.Care, out.Durability = &care, durability(care.Bears, out.Fleet.Coding)
		out.FullIn = fullIn(l.growth, grown{l.at, l.count.Sum().Bytes}, out.Fleet.Usable)
	}
	out.Recoverable = l.rec
	out.Recoverable.Checkpoint, out.Recoverable.CheckpointAge = st.Checkpoint > 0, st.CheckpointAge
	judge(&out, time.Duration(e.c.File.Store.Flush.Max))
	return out, nil
}

// Without is what would be left of the store if nodes were gone: named one by
// one, or by their operators.
func (e *Engine) Without(ctx context.Context, names []string) (Without, error) {
	l, silent, err := e.glance(ctx)
	if err != nil {
		return Without{}, err
	}
	if l.at.IsZero() {
		return Without{}, e.errSilent(silent)
	}
	if l.count == nil {
		return Without{}, e.needCare()
	}
	nodes, _ := e.nodeStates(l)
	return without(nodes, l.store.Coding, names, func(gone ...cairn.NodeID) scrub.Bearing { return e.scrub.Stand(l.count, l.nodes, gone...).Bears })
}

// lookPatience bounds Look; a node that takes longer is shown as new.
const lookPatience = 2 * time.Second

// LookAtStart is Look for an engine that has just begun; later on nothing new is
// known to come, and it returns at once.
func (e *Engine) LookAtStart(ctx context.Context) {
	ctx, cancel := context.WithDeadline(ctx, e.started.Add(lookPatience*3/4))
	defer cancel()
	e.Look(ctx)
}

// Look waits until every node has been looked at once and has told its space,
// so that what is said of the nodes is true of now. It does not wait long.
func (e *Engine) Look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	for {
		nodes, _ := e.Fleet.Status()
		if !slices.ContainsFunc(nodes, func(n fleet.NodeStatus) bool {
			return n.State == "new" || n.State == "held" || n.State == "ok" && !n.Known
		}) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookPatience / 100): // space told is no change that anybody else waits for
		}
	}
}

// Healthy returns nil while requests are served.
func (e *Engine) Healthy(ctx context.Context) error {
	_, err := e.Store.Buckets(ctx)
	return err
}

// Nodes is the part of Status about nodes.
func (e *Engine) Nodes() []NodeState {
	var l local
	if nodes, err := e.Store.Nodes(); err == nil { // else everything else fails too, and says so
		l.nodes, l.used = nodes, make(map[cairn.NodeID]int64, len(nodes))
		for _, n := range nodes {
			l.used[n.ID] = e.Store.Used(n.ID)
		}
	}
	nodes, _ := e.nodeStates(l)
	return nodes
}

// nodeStates is what the fleet says of its nodes now, with what this machine
// has written down of them.
func (e *Engine) nodeStates(l local) ([]NodeState, string) {
	seen, alarm := e.Fleet.Status()
	records := make(map[cairn.NodeID]pack.Node, len(l.nodes))
	for _, n := range l.nodes {
		records[n.ID] = n
	}
	out := []NodeState{} // encodes as [] and not as null
	for _, n := range seen {
		out = append(out, nodeState(n, records[n.ID], l.used[n.ID]))
	}
	slices.SortFunc(out, func(a, b NodeState) int { return strings.Compare(a.Name, b.Name) })
	return out, alarm
}

func nodeState(n fleet.NodeStatus, of pack.Node, used int64) NodeState {
	s := NodeState{ID: n.ID, Name: n.Name, Kind: kindOf(n.Remote), Operator: n.Operator, Site: of.Site, Remote: n.Remote, State: n.State, Why: n.Why, Unmarked: n.Unmarked,
		Used: used, Quota: int64(min(of.Capacity, 1<<62)), Free: n.Free, Total: n.Total, Known: n.Known, P95: float64(n.P95.Microseconds()) / 1000,
		Wrong: n.Wrong, Good: n.Good, Looks: n.Looks, Traffic: n.Traffic, TrafficLimit: n.TrafficLimit, WipeProof: of.Option[optionWipeProof]}
	if !n.StateSince.IsZero() {
		s.Since = max(time.Since(n.StateSince).Seconds(), 0)
	}
	return s
}
