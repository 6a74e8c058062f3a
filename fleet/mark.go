package fleet

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/layout"
)

// maxMarker bounds what is read of a marker, bytes.
const maxMarker = 4 << 10

// ready returns the node's remote, connected, with its marker seen since the
// last doubt. A node whose marker is missing is offline, not empty: its disk
// may be unmounted, and nothing may be written below the mount point.
func (n *node) ready(ctx context.Context) (backends.Remote, error) {
	l := n.link
	l.mu.Lock()
	r, marked, ended := l.remote, l.marked, l.ended
	l.mu.Unlock()
	if r != nil && marked {
		return r, nil
	}
	if ended {
		return nil, fmt.Errorf("no longer in the store: %w", cairn.ErrUnavailable)
	}
	select {
	case <-l.turn:
		defer func() { l.turn <- struct{}{} }()
	case <-ctx.Done():
		return nil, fmt.Errorf("connecting: %w: %w", ctx.Err(), cairn.ErrUnavailable)
	}
	l.mu.Lock()
	r, marked = l.remote, l.marked
	l.mu.Unlock()
	if r == nil {
		var err error
		if r, err = n.f.c.Open(ctx, n.Node); err != nil {
			return nil, err
		}
		l.mu.Lock()
		if l.ended {
			l.mu.Unlock()
			if c, ok := backends.As[backends.Closer](r); ok {
				_ = c.Close() // the node left the store while it was connected
			}
			return nil, fmt.Errorf("no longer in the store: %w", cairn.ErrUnavailable)
		}
		l.remote = r
		l.mu.Unlock()
	}
	if marked {
		return r, nil
	}
	if err := n.checkMarker(ctx, r); err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.marked = true
	l.mu.Unlock()
	return r, nil
}

func (n *node) checkMarker(ctx context.Context, r backends.Remote) error {
	m, err := ReadMarker(ctx, r)
	if errors.Is(err, cairn.ErrNotExist) {
		return fmt.Errorf("its %s is missing, so it counts as offline: is its disk mounted? %w", layout.MarkerName, cairn.ErrUnavailable)
	}
	if err != nil {
		return err
	}
	if m.Store != n.f.c.Store || m.Node != n.ID {
		return fmt.Errorf("its %s is of store %s node %s; the address leads to another node: %w", layout.MarkerName, m.Store.Short(), m.Node, cairn.ErrUnavailable)
	}
	return nil
}

// ReadMarker reads and parses the marker of a remote; ErrNotExist where there
// is none.
func ReadMarker(ctx context.Context, r backends.Remote) (layout.Marker, error) {
	size, err := r.Stat(ctx, layout.MarkerName)
	if err != nil {
		return layout.Marker{}, err
	}
	if size > maxMarker {
		return layout.Marker{}, fmt.Errorf("%s has %d bytes: %w", layout.MarkerName, size, cairn.ErrInvalid)
	}
	b := make([]byte, size)
	if err := r.ReadAt(ctx, layout.MarkerName, b, 0); err != nil {
		return layout.Marker{}, err
	}
	return layout.ParseMarker(b)
}

// doubt looks at the marker after a "not found": without it, or when it cannot
// be read, the node is offline and nothing is missing.
func (n *node) doubt(ctx context.Context, notFound error) error {
	n.link.mu.Lock()
	n.link.marked = false
	n.link.mu.Unlock()
	if _, err := n.ready(ctx); err != nil {
		return err
	}
	return notFound
}
