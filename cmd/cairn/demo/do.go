package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/cmd/cairn/spoken"
)

// do carries out one command. A reply beside an error tells how far it came.
func (d *demo) do(ctx, life context.Context, c spoken.Command) (reply, error) {
	var n *node
	if c.Node > 0 {
		n = d.nodes[c.Node-1]
	}
	switch c.Verb {
	case "load":
		return d.load(ctx, c.N)
	case "verify":
		return d.verify(ctx)
	case "flush":
		return d.flush(ctx)
	case "status":
		return d.status(ctx)
	case "help":
		return &said{Text: help}, nil
	case "quit":
		return &said{Text: d.farewell()}, nil
	case "kill":
		if err := n.stop(); err != nil {
			return nil, err
		}
	case "lose":
		if err := d.lose(ctx, n); err != nil {
			return nil, err
		}
	case "lie":
		n.tap.lie.Store(int32(c.N))
	case "slow":
		n.tap.slow.Store(int64(time.Duration(c.N) * time.Millisecond))
	case "revive":
		if err := d.revive(ctx, life, n); err != nil {
			return nil, err
		}
	}
	return d.about(n), nil
}

// touched is the answer of kill, lie, slow and revive.
type touched struct {
	head
	nodeInfo
}

// nodeInfo is one node as the demo made it.
type nodeInfo struct {
	Number    int    `json:"node"`
	Name      string `json:"name"`
	Operator  string `json:"operator"`
	Address   string `json:"address"`
	Behaviour string `json:"behaviour"` // "killed", "lost", "lie 100 %", "slow 20ms" with commas between; empty for none

	killed bool
	lost   bool
	lie    int // percent
	slow   time.Duration
}

func (d *demo) about(n *node) *touched { return &touched{nodeInfo: n.info()} }

func (n *node) info() nodeInfo {
	i := nodeInfo{Number: n.number, Name: n.name, Operator: n.name, Address: n.address,
		killed: !n.alive(), lost: n.lost, lie: int(n.tap.lie.Load()), slow: time.Duration(n.tap.slow.Load())}
	var words []string
	if i.lost {
		words = append(words, "lost")
	} else if i.killed {
		words = append(words, "killed")
	}
	if i.lie > 0 {
		words = append(words, fmt.Sprintf("lie %d %%", i.lie))
	}
	if i.slow > 0 {
		words = append(words, fmt.Sprintf("slow %v", i.slow))
	}
	i.Behaviour = strings.Join(words, ", ")
	return i
}

// lose kills n and tells the store, as `cairn node set NAME --state gone` does,
// that it comes back never.
func (d *demo) lose(ctx context.Context, n *node) error {
	if err := n.stop(); err != nil {
		return err
	}
	n.lost = true
	gone := "gone"
	_, err := d.engine.SetNode(ctx, n.name, engine.NodeChange{State: &gone})
	return err
}

// revive ends all misbehaviour of n and lets the gateway begin anew with it.
func (d *demo) revive(ctx, life context.Context, n *node) error {
	n.tap.lie.Store(0)
	n.tap.slow.Store(0)
	n.lost = false
	if !n.alive() {
		if err := n.start(life); err != nil {
			return err
		}
	}
	if err := d.recordNodes(ctx); err != nil {
		return err
	}
	return d.forgive(ctx, n)
}

// backTime bounds how long revive waits until the gateway has reached the node.
const backTime = 15 * time.Second

// forgive lets the fleet forget what it holds against n, that it did not answer
// or lied, and waits until it answers, so that the next command finds it there.
func (d *demo) forgive(ctx context.Context, n *node) error {
	late := time.NewTimer(backTime)
	defer late.Stop()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		if err := d.engine.Fleet.Reset(n.id); err != nil {
			return err
		}
		if d.known()[n.name].State != "down" {
			return nil
		}
		select {
		case <-again.C:
		case <-late.C:
			return fmt.Errorf("node %d is up and the gateway has not reached it yet: %w", n.number, cairn.ErrUnavailable)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// statusReply is the answer of status.
type statusReply struct {
	head
	State    string       `json:"state"`
	Summary  string       `json:"summary"`
	Objects  int64        `json:"objects"`
	Bytes    int64        `json:"bytes"`
	Packs    int          `json:"packs"`
	HereOnly int64        `json:"staged_bytes"`
	Fsyncs   int64        `json:"fsyncs"`
	Nodes    []nodeStatus `json:"nodes"`
}

type nodeStatus struct {
	nodeInfo
	State string  `json:"state"` // what the gateway makes of it
	Why   string  `json:"why,omitempty"`
	Files int     `json:"files"` // shards in its directory
	P95   float64 `json:"p95_ms"`
	Wrong int     `json:"wrong"` // reads that did not verify
}

func (d *demo) status(ctx context.Context) (reply, error) {
	s, err := d.engine.Status(ctx)
	if err != nil {
		return nil, err
	}
	out := &statusReply{State: s.State, Summary: s.Summary, Objects: s.Objects, Bytes: s.Bytes, Packs: s.Packs, HereOnly: s.HereOnly, Fsyncs: s.Fsyncs}
	for _, n := range d.nodes {
		files, err := n.shards()
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(s.Nodes, func(o engine.NodeState) bool { return o.Name == n.name })
		if i < 0 {
			return nil, fmt.Errorf("node %d is not in the store: %w", n.number, cairn.ErrNotExist)
		}
		o := s.Nodes[i]
		out.Nodes = append(out.Nodes, nodeStatus{n.info(), o.State, o.Why, files, o.P95, o.Wrong})
	}
	return out, nil
}
