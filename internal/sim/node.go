package sim

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// remote is what every node of a simulation offers.
type remote interface {
	backends.Remote
	backends.Capacity
	backends.Replacer
}

// Node is one storage box: an honest backendtest.Mem behind whatever it ails
// from. It is safe for concurrent use.
type Node struct {
	pack.Node
	number int // from 0
	seed   uint64
	mem    *backendtest.Mem

	mu    sync.Mutex
	ills  []*sickness    // guarded by mu
	front remote         // mem behind the ills; guarded by mu
	tries map[string]int // calls by operation and plain name; guarded by mu
}

// newNode makes node number of a store, empty but for its marker.
func newNode(ctx context.Context, seed uint64, number int, operator string, store cairn.StoreID) (*Node, error) {
	n := &Node{number: number, seed: seed, mem: &backendtest.Mem{}, tries: make(map[string]int)}
	n.Node = pack.Node{ID: cairn.NodeID{byte(number + 1)}, Name: fmt.Sprintf("n%d", number), Operator: operator, Remote: fmt.Sprintf("mem:%d", number), State: "ok"}
	marker, err := layout.Marker{Version: layout.MarkerVersion, Store: store, Node: n.ID}.Encode()
	if err != nil {
		return nil, err
	}
	n.front = n.mem
	return n, n.mem.Put(ctx, layout.MarkerName, marker)
}

// Ail makes the node misbehave in one more way, to share of its calls or files
// from 0 to 1, until Heal.
func (n *Node) Ail(ill Ill, share float64) {
	s := &sickness{node: n, ill: ill, share: share}
	if harm := ills[ill].harm; harm != nil {
		harm(s)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ills = append(n.ills, s)
	n.rebuild()
}

// Heal ends all misbehaviour. What it did to the files stays done.
func (n *Node) Heal() {
	n.mu.Lock()
	old := n.ills
	n.ills = nil
	n.rebuild()
	n.mu.Unlock()
	for _, s := range old {
		s.end()
	}
}

// Ails tells what the node ails from.
func (n *Node) Ails() []Ill {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []Ill
	for _, s := range n.ills {
		out = append(out, s.ill)
	}
	return out
}

// rebuild puts the ills around mem, the newest outermost; n.mu is held.
func (n *Node) rebuild() {
	n.front = n.mem
	for _, s := range n.ills {
		if wrap := ills[s.ill].wrap; wrap != nil {
			n.front = wrap(through{n.front, s})
		}
	}
}

// now is the node as it behaves at this moment.
func (n *Node) now() remote {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.front
}

// try counts a call of op for name and returns how many there were.
func (n *Node) try(op, name string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := op + " " + name
	n.tries[key]++
	return n.tries[key]
}

// shards lists the names of the shards on the node, those of older packs first.
func (n *Node) shards() []string {
	names := slices.DeleteFunc(n.mem.Names(), func(name string) bool {
		_, err := layout.ParsePath(name)
		return err != nil
	})
	return names // a name begins with its sequence
}

// clear loses every shard on the node.
func (n *Node) clear() {
	for _, name := range n.shards() {
		n.mem.Drop(name)
	}
}
