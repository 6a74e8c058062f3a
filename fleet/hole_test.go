package fleet

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// hole is a node that, once set, neither answers nor heeds its context until
// end is closed.
type hole struct {
	backends.Remote

	mu  sync.Mutex
	end chan struct{}
}

func (h *hole) set(end chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.end = end
}

func (h *hole) fall() error {
	h.mu.Lock()
	end := h.end
	h.mu.Unlock()
	if end == nil {
		return nil
	}
	select {
	case <-end:
		return nil
	default:
	}
	<-end
	return fmt.Errorf("much too late: %w", cairn.ErrUnavailable)
}

func (h *hole) Put(ctx context.Context, name string, b []byte) error {
	if err := h.fall(); err != nil {
		return err
	}
	return h.Remote.Put(ctx, name, b)
}

func (h *hole) ReadAt(ctx context.Context, name string, b []byte, off int64) error {
	if err := h.fall(); err != nil {
		return err
	}
	return h.Remote.ReadAt(ctx, name, b, off)
}

func (h *hole) Stat(ctx context.Context, name string) (int64, error) {
	if err := h.fall(); err != nil {
		return 0, err
	}
	return h.Remote.Stat(ctx, name)
}

func (h *hole) List(ctx context.Context, dir string) iter.Seq2[backends.Entry, error] {
	return func(yield func(backends.Entry, error) bool) {
		if err := h.fall(); err != nil {
			yield(backends.Entry{}, err)
			return
		}
		h.Remote.List(ctx, dir)(yield)
	}
}
