package engine

import (
	"fmt"

	"github.com/cairn-storage/cairn/fleet"
)

// ResetNode forgets what is held against a node: quarantine, suspicion, failures
// and reputation. What a person set stays. The evidence stays too.
func (e *Engine) ResetNode(name string) (NodeState, error) {
	n, err := e.Store.Node(name)
	if err != nil {
		return NodeState{}, fmt.Errorf("%w; `cairn node list` shows them", err)
	}
	if err := e.Fleet.Reset(n.ID); err != nil {
		return NodeState{}, err
	}
	for _, s := range e.Nodes() {
		if s.ID == n.ID {
			return s, nil
		}
	}
	return NodeState{Name: n.Name, Operator: n.Operator}, nil
}

// Evidence is what a node sent that was not what was signed, newest first.
func (e *Engine) Evidence(name string) ([]fleet.Evidence, error) {
	n, err := e.Store.Node(name)
	if err != nil {
		return nil, fmt.Errorf("%w; `cairn node list` shows them", err)
	}
	out, err := e.Fleet.Evidence(n.ID)
	if out == nil {
		out = []fleet.Evidence{} // encodes as [] and not as null
	}
	return out, err
}
