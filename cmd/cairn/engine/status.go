package engine

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/internal/durable"
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
	store.Status
	HereOnly    int64          `json:"staged_bytes"` // of packs that not enough nodes hold yet: lost with this machine
	Fsyncs      int64          `json:"fsyncs"`       // of files and directories, by this process
	Disk        durable.Counts `json:"disk"`
	Nodes       []NodeState    `json:"nodes"`
	Alarm       string         `json:"alarm,omitempty"`
	Fleet       FleetReport    `json:"fleet"`
	CacheHits   float64        `json:"cache_hits"` // share of block reads, 0 to 1
	Uptime      float64        `json:"uptime_s"`
	Recoverable Recoverable    `json:"recovery"`
}

// The states of a gateway.
const (
	Whole    = "ok"       // every node is well and has what it should
	Degraded = "degraded" // everything is served, with less in reserve
	Local    = "local"    // there are no nodes: this disk is all there is
	AtRisk   = "at-risk"  // no further node may fail, or this disk is full
)

// NodeState is one node in Status.
type NodeState struct {
	Name     string  `json:"name"`
	Kind     string  `json:"kind"`
	Operator string  `json:"operator"`
	Site     string  `json:"site,omitempty"`
	Remote   string  `json:"remote"`
	State    string  `json:"state"`
	Why      string  `json:"why,omitempty"`
	Since    float64 `json:"since_s"`    // seconds in this state
	Used     int64   `json:"used_bytes"` // by shards, as the store's index has it
	Free     int64   `json:"free_bytes"` // meaningful when Known
	Total    int64   `json:"total_bytes"`
	Known    bool    `json:"space_known"`
	P95      float64 `json:"p95_ms"` // of reads; 0 while unknown
	Wrong    int     `json:"wrong"`  // replies that did not verify
}

// Status returns the present figures. It asks no node.
func (e *Engine) Status(ctx context.Context) (Status, error) {
	st, err := e.Store.Status(ctx)
	if err != nil {
		return Status{}, err
	}
	key := e.c.Identity.Sign().Public()
	out := Status{StoreID: e.ID.Short(), StoreKey: e.ID.String(), GatewayKey: hex.EncodeToString(key[:]), Status: st, HereOnly: st.OnlyHere, Fleet: e.FleetReport(), Uptime: time.Since(e.started).Seconds()}
	if e.c.Counts != nil {
		out.Disk = e.c.Counts.Counts()
		out.Fsyncs = out.Disk.Fsyncs()
	}
	if c := e.Cache.Stats(); c.MemoryHits+c.DiskHits+c.Misses > 0 {
		hits := c.MemoryHits + c.DiskHits
		out.CacheHits = float64(hits) / float64(hits+c.Misses)
	}
	out.Nodes, out.Alarm = e.nodes()
	out.Recoverable = e.recoverable()
	out.Recoverable.Checkpoint, out.Recoverable.CheckpointAge = st.Checkpoint > 0, st.CheckpointAge
	e.judge(&out)
	return out, nil
}

// lookPatience bounds Look; a node that takes longer is shown as new.
const lookPatience = 2 * time.Second

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
	nodes, _ := e.nodes()
	return nodes
}

func (e *Engine) nodes() ([]NodeState, string) {
	seen, alarm := e.Fleet.Status()
	sites := make(map[cairn.NodeID]string)
	if records, err := e.Store.Nodes(); err == nil { // else everything else fails too, and says so
		for _, n := range records {
			sites[n.ID] = n.Site
		}
	}
	out := []NodeState{} // encodes as [] and not as null
	for _, n := range seen {
		s := nodeState(n)
		s.Site, s.Used = sites[n.ID], e.Store.Used(n.ID)
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b NodeState) int { return strings.Compare(a.Name, b.Name) })
	return out, alarm
}

func nodeState(n fleet.NodeStatus) NodeState {
	s := NodeState{Name: n.Name, Kind: kindOf(n.Remote), Operator: n.Operator, Remote: n.Remote, State: n.State, Why: n.Why,
		Free: n.Free, Total: n.Total, Known: n.Known, P95: float64(n.P95.Microseconds()) / 1000, Wrong: n.Wrong}
	if !n.Since.IsZero() {
		s.Since = time.Since(n.Since).Seconds()
	}
	return s
}

// judge fills in State, Summary and Wrong.
func (e *Engine) judge(s *Status) {
	sound := 0
	for _, n := range s.Nodes {
		switch n.State {
		case "new": // not looked at yet, which is no fault of its own
			sound++
			continue
		case "ok", "full", "held", "suspect":
			sound++
		}
		if n.State != "ok" {
			s.Wrong = append(s.Wrong, fmt.Sprintf("node %s: %s: %s", n.Name, n.State, n.Why))
		}
	}
	s.Wrong = append(s.Wrong, s.Damage...)
	e.advise(s)
	if s.Alarm != "" {
		s.Wrong = append(s.Wrong, s.Alarm)
	}
	// A pack waits for its turn and one try; more means that tries fail.
	if late := 2*time.Duration(e.c.File.Store.Flush.Max).Seconds() + 60; s.OldestHere > late && len(s.Nodes) > 0 {
		s.Wrong = append(s.Wrong, fmt.Sprintf("%d bytes have been on this machine only for %.0f s", s.HereOnly, s.OldestHere))
	}
	full := s.StageLimit > 0 && s.StagedBytes >= s.StageLimit/20*19
	if full {
		s.Wrong = append(s.Wrong, "the stage is full: writes wait for the nodes")
	}
	c, err := e.Fleet.Coding(e.Store.Coding())
	switch {
	case len(s.Nodes) == 0:
		s.State, s.Summary = Local, "no nodes yet: objects live on this disk only"
		s.Wrong = append(s.Wrong, "no nodes: `cairn node add`")
	case len(s.Recoverable.Forks) > 0:
		s.State, s.Summary = AtRisk, "another gateway writes to this store: nothing is written any more, reads go on"
	case err != nil || full || sound < c.K || len(s.Damage) > 0:
		s.State, s.Summary = AtRisk, "some objects may not be readable, or writes wait"
	case len(s.Wrong) > 0:
		s.State, s.Summary = Degraded, "objects are served and writes go on, with less in reserve"
	default:
		s.State, s.Summary = Whole, fmt.Sprintf("every node is well; new packs are coded %v: %s", c, mayFail(c.M))
	}
}

func mayFail(m int) string {
	switch m {
	case 0:
		return "no node may fail"
	case 1:
		return "any node may fail"
	}
	return fmt.Sprintf("any %d nodes may fail", m)
}
