package engine

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// NodeChange is what to change of a node; nil leaves a field as it is.
type NodeChange struct {
	Name     *string `json:"name"` // a new name
	Operator *string `json:"operator"`
	Site     *string `json:"site"`
	Remote   *string `json:"remote"`
	HostKey  *string `json:"host_key"`
	Key      *string `json:"key"`      // "" with an empty Password: the gateway's own key from now on
	Password *string `json:"password"` // ends a key given before, and the other way round
	Capacity *uint64 `json:"capacity"`
	State    *string `json:"state"` // ok or paused
}

func (c NodeChange) reaches() bool {
	return c.Remote != nil || c.HostKey != nil || c.Key != nil || c.Password != nil
}

// SetNode changes a node. A new address, host key or login is tried first, and
// recorded only when it leads to the node's own marker; otherwise everything
// stays as it was.
func (e *Engine) SetNode(ctx context.Context, name string, c NodeChange) (pack.Node, error) {
	n, err := e.Store.Node(name)
	if err != nil {
		return n, fmt.Errorf("%w; `cairn node list` shows them", err)
	}
	set(&n.Name, c.Name)
	set(&n.Operator, c.Operator)
	set(&n.Site, c.Site)
	set(&n.Remote, c.Remote)
	set(&n.HostKey, c.HostKey)
	set(&n.Capacity, c.Capacity)
	if c.State != nil {
		if *c.State != "ok" && *c.State != "paused" {
			return n, fmt.Errorf("node %s: state %q: a person can set ok and paused: %w", name, *c.State, cairn.ErrInvalid)
		}
		n.State = *c.State
	}
	if c.Key != nil || c.Password != nil {
		var login credential
		set(&login.Key, c.Key)
		set(&login.Password, c.Password)
		if err := e.setLogin(&n, login); err != nil {
			return n, fmt.Errorf("node %s: %w", name, err)
		}
	}
	if err := e.check(n); err != nil {
		return n, err
	}
	if c.reaches() {
		if err := e.tryNode(ctx, n); err != nil {
			return n, fmt.Errorf("node %s stays as it was: %w", name, err)
		}
	}
	return n, e.Store.SetNode(ctx, n)
}

// tryNode connects to n once and looks at its marker.
func (e *Engine) tryNode(ctx context.Context, n pack.Node) error {
	r, err := e.openOnce(ctx, n, false)
	if err != nil {
		return err
	}
	err = e.isNode(ctx, r, n)
	if cerr := closeRemote(r); err == nil {
		err = cerr
	}
	return err
}

func set[T any](to *T, v *T) {
	if v != nil {
		*to = *v
	}
}
