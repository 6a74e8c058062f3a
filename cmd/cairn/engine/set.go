package engine

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
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
	State    *string `json:"state"` // one of those a person can set
	// Options of cairn's own; an empty one is taken away.
	Traffic   *string `json:"traffic"`
	Hours     *string `json:"hours"`
	WipeProof *string `json:"wipe_proof"`
}

// The states that a person can set.
const (
	stateOK       = "ok"
	statePaused   = "paused"   // takes no new shards; those there stay
	stateDraining = "draining" // takes none, and those there move away
	stateGone     = "gone"     // given up: what it holds is made again elsewhere
)

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
		switch *c.State {
		case stateOK, statePaused, stateDraining, stateGone:
		default:
			return n, fmt.Errorf("node %s: state %q: a person can set ok, paused, draining and gone: %w", name, *c.State, cairn.ErrInvalid)
		}
		n.State = *c.State
	}
	if n.Option, err = c.options(n.Option); err != nil {
		return n, fmt.Errorf("node %s: %w", name, err)
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

// options is old with what c changes of it.
func (c NodeChange) options(old map[string]string) (map[string]string, error) {
	out := maps.Clone(old)
	for _, o := range []struct {
		name  string
		value *string
		check func(string) error
	}{
		{optionTraffic, c.Traffic, func(s string) error { _, err := config.ParseTraffic(s); return err }},
		{optionHours, c.Hours, func(s string) error { _, err := config.ParseHours(s); return err }},
		{optionWipeProof, c.WipeProof, checkWords},
	} {
		switch {
		case o.value == nil:
		case *o.value == "":
			delete(out, o.name)
		default:
			if err := o.check(*o.value); err != nil {
				return nil, err
			}
			if out == nil {
				out = make(map[string]string)
			}
			out[o.name] = *o.value
		}
	}
	return out, nil
}

// NodeOptions are cairn's own options for a new node; empty ones are left out.
func NodeOptions(traffic, hours string) (map[string]string, error) {
	return NodeChange{Traffic: &traffic, Hours: &hours}.options(nil)
}

// checkWords refuses what does not fit a column of a table.
func checkWords(s string) error {
	if len(s) > 32 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("%q: at most 32 bytes without control characters: %w", s, cairn.ErrInvalid)
	}
	return nil
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
