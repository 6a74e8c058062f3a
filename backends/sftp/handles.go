package sftp

import (
	"container/list"
	"strings"
	"sync"
	"time"

	"github.com/pkg/sftp"
)

// maxHeld is how long a file stays open at most. A file that its operator
// removed must not seem to be there for long, and an open file keeps a disk
// from being unmounted.
const maxHeld = time.Minute

// handle is a file open for reading.
type handle struct {
	name   string
	ch     *channel
	f      *sftp.File
	opened time.Time

	users int           // guarded by handles.mu, as below
	kept  *list.Element // its place in handles.order; nil when it is not held
}

// handles holds files open, the most recently read ones. Its zero value holds
// none.
type handles struct {
	max int // never changes

	mu     sync.Mutex
	epoch  uint64 // guarded by mu, as all below; counts drop
	byName map[string]*handle
	order  list.List // of *handle, the most recently used in front
}

// take returns the file of that name if it is held on l; it must be released.
func (h *handles) take(l *link, name string) *handle {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.byName[name]
	if e == nil {
		return nil
	}
	if e.ch.l != l || time.Since(e.opened) > maxHeld {
		h.unkeep(e)
		return nil
	}
	e.users++
	h.order.MoveToFront(e.kept)
	return e
}

// now is the epoch to give to add.
func (h *handles) now() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.epoch
}

// add holds e, which was opened after now returned epoch, unless something was
// replaced or deleted meanwhile: it may be the old file. Files at the top are
// never held, since others replace them too. e must be released either way.
func (h *handles) add(e *handle, epoch uint64) *handle {
	h.mu.Lock()
	defer h.mu.Unlock()
	e.users, e.opened = 1, time.Now()
	if h.max <= 0 || h.epoch != epoch || !strings.Contains(e.name, "/") || h.byName[e.name] != nil {
		return e
	}
	if h.byName == nil {
		h.byName = make(map[string]*handle)
	}
	h.byName[e.name] = e
	e.kept = h.order.PushFront(e)
	if h.order.Len() > h.max {
		h.unkeep(h.order.Back().Value.(*handle))
	}
	return e
}

// release ends one use. A file that is not good is not held any more.
func (h *handles) release(e *handle, good bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e.users--
	if !good {
		h.unkeep(e)
	}
	e.close()
}

// drop forgets a file that changed.
func (h *handles) drop(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.epoch++
	if e := h.byName[name]; e != nil {
		h.unkeep(e)
	}
}

// expire closes what has been open for too long.
func (h *handles) expire() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.byName {
		if time.Since(e.opened) > maxHeld {
			h.unkeep(e)
		}
	}
}

// forget drops the files of a link that is gone.
func (h *handles) forget(l *link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.byName {
		if e.ch.l == l {
			h.unkeep(e)
		}
	}
}

// unkeep is called with mu held.
func (h *handles) unkeep(e *handle) {
	if e.kept != nil {
		h.order.Remove(e.kept)
		delete(h.byName, e.name)
		e.kept = nil
	}
	e.close()
}

// close is called with mu held. It closes a file that is neither held nor in
// use, once, and does not wait for the node's answer: nobody wants it.
func (e *handle) close() {
	if e.kept != nil || e.users > 0 || e.f == nil {
		return
	}
	f := e.f
	e.f = nil
	e.ch.l.tend(func() { _ = f.Close() })
}
