package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// claim looks whose directory r is and returns the id that a node there has or
// gets. A directory that another store marked, or that holds shards and no
// marker, is ErrDenied: nothing may be written there.
func (e *Engine) claim(ctx context.Context, r backends.Remote, n pack.Node) (cairn.NodeID, error) {
	m, err := markerOf(ctx, r)
	if errors.Is(err, cairn.ErrNotExist) {
		for entry, err := range r.List(ctx, layout.PacksDir) {
			if err != nil {
				return n.ID, err
			}
			return n.ID, fmt.Errorf("the directory has no %s and yet holds %s: it is of a store that is not this one, or lost its marker; give an empty directory: %w",
				layout.MarkerName, entry.Name, cairn.ErrDenied)
		}
		return n.ID, nil
	}
	if err != nil {
		return n.ID, err
	}
	if m.Store != e.ID {
		return n.ID, fmt.Errorf("the directory belongs to another store, %s; this is store %s: give an empty directory: %w", m.Store.Short(), e.ID.Short(), cairn.ErrDenied)
	}
	nodes, err := e.Store.Nodes()
	if err != nil {
		return n.ID, err
	}
	if i := slices.IndexFunc(nodes, func(o pack.Node) bool { return o.ID == m.Node }); i >= 0 {
		return n.ID, fmt.Errorf("the directory is node %s of this store already; change it with `cairn node set %s`: %w", nodes[i].Name, nodes[i].Name, cairn.ErrPrecondition)
	}
	return m.Node, nil
}

// markerOf reads the marker of r, whose directory is made where it is not there;
// ErrNotExist where there is no marker.
func markerOf(ctx context.Context, r backends.Remote) (layout.Marker, error) {
	m, err := fleet.ReadMarker(ctx, r)
	var where *backends.Error
	if errors.Is(err, cairn.ErrUnavailable) && errors.As(err, &where) && where.Op != backends.OpConnect {
		// The node answers and its directory does not: a transport may make it
		// no sooner than it writes, and calls a missing one away. One that
		// stands answered above, so nothing is written into what is not ours.
		name := scratch("new-")
		if err := r.Put(ctx, name, nil); err != nil {
			return m, err
		}
		if err := r.Delete(ctx, name); err != nil {
			return m, err
		}
		return fleet.ReadMarker(ctx, r)
	}
	return m, err
}

// prepare writes what stands on every node, the marker last.
func (e *Engine) prepare(ctx context.Context, r backends.Remote, n pack.Node) error {
	for _, k := range e.secretsNow().keys {
		if err := ensure(ctx, r, k.path, k.data); err != nil {
			return err
		}
	}
	if err := e.writeTexts(ctx, r, n); err != nil {
		return err
	}
	return e.mark(ctx, r, n)
}

// mark writes the marker, unless it is there.
func (e *Engine) mark(ctx context.Context, r backends.Remote, n pack.Node) error {
	if m, err := fleet.ReadMarker(ctx, r); err == nil && m.Store == e.ID && m.Node == n.ID {
		return nil
	}
	m, err := e.marker(n).Encode()
	if err != nil {
		return err
	}
	return r.Put(ctx, layout.MarkerName, m)
}

// marker is what says that a directory is n.
func (e *Engine) marker(n pack.Node) layout.Marker {
	return layout.Marker{Version: layout.MarkerVersion, Store: e.ID, Node: n.ID, Note: "cairn node " + n.Name + ", see " + layout.ReadmeName}
}

// writeTexts writes the files for the node's owner.
func (e *Engine) writeTexts(ctx context.Context, r backends.Remote, n pack.Node) error {
	if err := replace(ctx, r, layout.ReadmeName, readme(e.ID, n)); err != nil {
		return err
	}
	return replace(ctx, r, layout.StatusName, statusText(n, "was added to the store"))
}

// ensure puts a file that never changes, unless it stands there as it should.
func ensure(ctx context.Context, r backends.Remote, name string, data []byte) error {
	size, err := r.Stat(ctx, name)
	if errors.Is(err, cairn.ErrNotExist) {
		return r.Put(ctx, name, data)
	}
	if err != nil {
		return err
	}
	got := make([]byte, len(data))
	if size == int64(len(data)) {
		if err := r.ReadAt(ctx, name, got, 0); err != nil {
			return err
		}
	}
	if !bytes.Equal(got, data) {
		return fmt.Errorf("%s stands there with other bytes: remove it: %w", name, cairn.ErrPrecondition)
	}
	return nil
}

// replace writes a text for people that may be there already. Where the node
// does not let it be replaced, the one that stands there stays.
func replace(ctx context.Context, r backends.Remote, name string, data []byte) error {
	_, err := r.Stat(ctx, name)
	if errors.Is(err, cairn.ErrNotExist) {
		return r.Put(ctx, name, data)
	}
	if err != nil {
		return err
	}
	if p, ok := backends.As[backends.Replacer](r); ok {
		if err := p.Replace(ctx, name, data); err != nil {
			_, err = r.Stat(ctx, name)
			return err
		}
	}
	return nil
}
