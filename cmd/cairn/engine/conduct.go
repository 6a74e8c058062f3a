package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/fleet"
)

// ResetNode forgets what is held against a node: quarantine, suspicion, failures
// and reputation, and that it showed an older root than it confirmed. What a
// person set stays. The evidence stays too. With emptied its disk was replaced by
// an empty one, which becomes the node; see restart.
func (e *Engine) ResetNode(ctx context.Context, name string, emptied bool) (NodeState, error) {
	n, err := e.Store.Node(name)
	if err != nil {
		return NodeState{}, fmt.Errorf("%w; `cairn node list` shows them", err)
	}
	if emptied {
		if err := e.restart(ctx, n); err != nil {
			return NodeState{}, fmt.Errorf("node %s: %w", name, err)
		}
	}
	// Before the fleet forgets: it is told again of what the keeper remembers.
	if err := e.keeper.Forgive(ctx, n.ID, emptied); err != nil && !errors.Is(err, cairn.ErrNotExist) {
		return NodeState{}, err
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
