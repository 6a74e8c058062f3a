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

// checkMarker returns nil when the marker is this node's. A node whose marker
// is missing is offline, not empty: its disk may be unmounted, and nothing may
// be written below the mount point. It is one request once the marker was seen.
func (n *node) checkMarker(ctx context.Context, r backends.Remote) error {
	n.link.mu.Lock()
	size := n.link.marker
	n.link.mu.Unlock()
	m, size, err := readMarker(ctx, r, size)
	reached := err == nil || backends.Class(err) != cairn.ErrUnavailable
	missing := errors.Is(err, cairn.ErrNotExist)
	switch {
	case missing:
		err = fmt.Errorf("its %s is missing, so it counts as offline: is its disk mounted? %w", layout.MarkerName, cairn.ErrUnavailable)
	case err == nil && (m.Store != n.f.c.Store || m.Node != n.ID):
		err = fmt.Errorf("its %s is of store %s node %s; the address leads to another node: %w", layout.MarkerName, m.Store.Short(), m.Node, cairn.ErrUnavailable)
	}
	if reached {
		n.setUnmounted(err, missing)
	} else if ctx.Err() == nil {
		n.setUnmounted(nil, false)
	}
	n.link.mu.Lock()
	defer n.link.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil {
			n.link.marked = false
		}
		return err
	}
	n.link.marker = size
	return nil
}

// doubt looks at the marker after a "not found": without it, or when it cannot
// be read, the node is offline and nothing is missing.
func (n *node) doubt(ctx context.Context, r backends.Remote, notFound error) error {
	if err := n.checkMarker(ctx, r); err != nil {
		return err
	}
	return notFound
}

// present returns nil when the node shows its marker now.
func (n *node) present(ctx context.Context) error {
	return n.do(ctx, backends.OpRead, layout.MarkerName, n.checkMarker)
}

// ReadMarker reads and parses the marker of a remote; ErrNotExist where there
// is none, ErrInvalid where it is not as cairn writes it.
func ReadMarker(ctx context.Context, r backends.Remote) (layout.Marker, error) {
	m, _, err := readMarker(ctx, r, 0)
	return m, err
}

// readMarker reads a marker of size bytes, or of whatever size where that is 0
// or no longer right.
func readMarker(ctx context.Context, r backends.Remote, size int) (layout.Marker, int, error) {
	if size > 0 {
		b := make([]byte, size)
		if err := r.ReadAt(ctx, layout.MarkerName, b, 0); err == nil {
			if m, err := layout.ParseMarker(b); err == nil {
				return m, size, nil
			}
		} else if !errors.Is(err, cairn.ErrCorrupt) {
			return layout.Marker{}, 0, err
		}
	}
	told, err := r.Stat(ctx, layout.MarkerName)
	if err != nil {
		return layout.Marker{}, 0, err
	}
	if told < 0 || told > maxMarker {
		return layout.Marker{}, 0, fmt.Errorf("%s has %d bytes: %w", layout.MarkerName, told, cairn.ErrInvalid)
	}
	b := make([]byte, told)
	if err := r.ReadAt(ctx, layout.MarkerName, b, 0); err != nil {
		return layout.Marker{}, 0, err
	}
	m, err := layout.ParseMarker(b)
	return m, int(told), err
}
