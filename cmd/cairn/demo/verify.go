package demo

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/cairn-storage/cairn/fleet"
)

// verified is the answer of verify.
type verified struct {
	head
	Objects int     `json:"objects"` // that load put
	Exact   int     `json:"exact"`
	Refused int     `json:"refused"` // answered with 503
	Wrong   int     `json:"wrong"`   // the one number that must be 0, whatever the nodes do
	Missing int     `json:"missing"` // answered with 404 although the PUT was acknowledged
	Failed  int     `json:"failed"`  // any other end
	Bytes   int64   `json:"bytes"`   // compared and exact
	Seconds float64 `json:"seconds"`
	Liars   []liar  `json:"liars,omitempty"` // nodes that sent wrong bytes meanwhile
	Killed  []int   `json:"killed,omitempty"`
	Nodes   int     `json:"nodes"`
	Left    int     `json:"nodes_left"` // neither killed nor lying
	Staged  int     `json:"staged"`     // packs that were read from this machine, not from nodes
	K       int     `json:"k"`          // shards that rebuild a read
}

// liar is a node that sent wrong bytes while verify read.
type liar struct {
	Number int    `json:"node"`
	Name   string `json:"name"`
	Lies   uint64 `json:"lies"`   // SFTP replies with wrong bytes
	Caught int    `json:"caught"` // reads of the gateway in which that was noticed
	State  string `json:"state"`  // what the gateway makes of the node
}

// verify reads every object that load ever put and compares every byte.
func (d *demo) verify(ctx context.Context) (reply, error) {
	out := &verified{Nodes: len(d.nodes), K: d.coding.K}
	if len(d.state.Loads) == 0 {
		return out, nil
	}
	var err error
	if out.Staged, err = d.staged(); err != nil {
		return nil, err
	}
	lies, caught := d.lies(), d.known()
	var mu sync.Mutex // guards out and first
	var first error
	started := time.Now()
	for _, b := range d.state.Loads {
		err := each(ctx, b.N, func(i int) {
			i += b.First
			got, err := d.client.get(ctx, d.objects.key(i))
			want := d.objects.body(i)
			mu.Lock()
			defer mu.Unlock()
			switch code := status(err); {
			case code == http.StatusNotFound && !b.promised(i):
				return // never acknowledged, and nothing half there
			case err == nil && bytes.Equal(got, want):
				out.Exact++
				out.Bytes += int64(len(got))
			case err == nil:
				out.Wrong++
				err = fmt.Errorf("%s came back with other bytes", d.objects.key(i))
			case code == http.StatusServiceUnavailable:
				out.Refused++
				err = nil
			case code == http.StatusNotFound:
				out.Missing++
				err = fmt.Errorf("%s is not there", d.objects.key(i))
			default:
				out.Failed++
			}
			out.Objects++
			if first == nil {
				first = err
			}
		})
		if err != nil {
			return nil, err
		}
	}
	out.Seconds = time.Since(started).Seconds()
	now := d.known()
	for i, n := range d.nodes {
		if !n.alive() {
			out.Killed = append(out.Killed, n.number)
		} else if n.tap.lie.Load() == 0 {
			out.Left++
		}
		if sent := n.tap.lies.Load() - lies[i]; sent > 0 {
			out.Liars = append(out.Liars, liar{n.number, n.name, sent, max(0, now[n.name].Wrong-caught[n.name].Wrong), now[n.name].State})
		}
	}
	if first != nil {
		return out, fmt.Errorf("%s wrong, %s missing, %s failed, the first: %w", count(out.Wrong), count(out.Missing), count(out.Failed), first)
	}
	return out, nil
}

func (d *demo) lies() []uint64 {
	out := make([]uint64, len(d.nodes))
	for i, n := range d.nodes {
		out[i] = n.tap.lies.Load()
	}
	return out
}

// known is what the gateway knows of the nodes, by name.
func (d *demo) known() map[string]fleet.NodeStatus {
	out := make(map[string]fleet.NodeStatus)
	nodes, _ := d.engine.Fleet.Status()
	for _, n := range nodes {
		out[n.Name] = n
	}
	return out
}
