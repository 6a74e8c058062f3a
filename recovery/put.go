package recovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/layout"
)

// ensure makes name hold data, proven by reading it. What stands there already
// is left alone; what stands there with other bytes is replaced, since the name
// says which bytes are right. ErrUnavailable where the node shows no marker.
func ensure(ctx context.Context, r backends.Remote, name string, data []byte) error {
	found := holds(ctx, r, name, data)
	if found == nil {
		return nil
	}
	if !errors.Is(found, cairn.ErrNotExist) && !errors.Is(found, cairn.ErrCorrupt) {
		return found
	}
	if errors.Is(found, cairn.ErrCorrupt) {
		if err := r.Delete(ctx, name); err != nil {
			return err
		}
	}
	// What is not found may lie on a disk that is not mounted: whatever is below
	// the mount point is not the node, and is never written to.
	if err := mounted(ctx, r); err != nil {
		return err
	}
	// A put that failed may have worked all the same: the read tells.
	put := r.Put(ctx, name, data)
	err := holds(ctx, r, name, data)
	switch {
	case err == nil:
		return nil
	case put != nil:
		return put
	case errors.Is(err, cairn.ErrNotExist):
		return fmt.Errorf("%s was put and is not there: %w", name, cairn.ErrCorrupt)
	}
	return err
}

// mounted returns nil when the node shows its marker now.
func mounted(ctx context.Context, r backends.Remote) error {
	_, err := r.Stat(ctx, layout.MarkerName)
	if errors.Is(err, cairn.ErrNotExist) {
		return fmt.Errorf("its %s is missing: is its disk mounted?: %w", layout.MarkerName, cairn.ErrUnavailable)
	}
	return err
}

// holds returns nil when name holds exactly data, ErrCorrupt when it holds
// anything else.
func holds(ctx context.Context, r backends.Remote, name string, data []byte) error {
	size, err := r.Stat(ctx, name)
	if err != nil {
		return err
	}
	if size != int64(len(data)) {
		return fmt.Errorf("%s has %d bytes, not %d: %w", name, size, len(data), cairn.ErrCorrupt)
	}
	got := make([]byte, len(data))
	if err := r.ReadAt(ctx, name, got, 0); err != nil {
		return err
	}
	if !bytes.Equal(got, data) {
		return fmt.Errorf("%s holds other bytes than were put: %w", name, cairn.ErrCorrupt)
	}
	return nil
}
