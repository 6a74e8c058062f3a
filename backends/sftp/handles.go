package sftp

import (
	"container/list"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pkg/sftp"

	"github.com/cairn-storage/cairn/backends"
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
	look   *backends.Look // that it was opened for; nil for none

	users int           // guarded by handles.mu, as below
	kept  *list.Element // its place in handles.order; nil when it is not held
}

// handles holds files open, the most recently read ones, each at most once on
// a channel. Its zero value holds none.
type handles struct {
	max int // never changes

	mu      sync.Mutex
	epoch   uint64 // guarded by mu, as all below; counts drop
	byName  map[string][]*handle
	opening map[spot]chan struct{} // closed when the attempt to open it ended
	order   list.List              // of *handle, the most recently used in front
}

// spot is where a file is open, or being opened.
type spot struct {
	name string
	ch   *channel
}

// choose returns the channel on which to read size bytes of a file, and counts
// them there: a channel that has the file open or opens it, unless that would
// overfill its window and another has less to do.
func (h *handles) choose(l *link, name string, size int) *channel {
	h.mu.Lock()
	defer h.mu.Unlock()
	var best *channel
	better := func(ch *channel) {
		if best == nil || ch.load.Load() < best.load.Load() {
			best = ch
		}
	}
	for _, e := range h.byName[name] {
		if e.ch.l == l && time.Since(e.opened) <= maxHeld {
			better(e.ch)
		}
	}
	for at := range h.opening {
		if at.name == name && at.ch.l == l {
			better(at.ch)
		}
	}
	least := l.bulk()
	if best == nil || best.load.Load()+int64(size) > inFlight && least.load.Load() < best.load.Load() {
		best = least
	}
	best.load.Add(int64(size))
	return best
}

// take returns the file of that name if it is held open on ch for look; it must
// be released. Else it returns a channel to wait for, since another call is
// opening it, or nil: the caller opens it, and then calls opened.
func (h *handles) take(ch *channel, name string, look *backends.Look) (*handle, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.find(ch, name, look); e != nil {
		return e, nil
	}
	at := spot{name, ch}
	if wait := h.opening[at]; wait != nil {
		return nil, wait
	}
	if h.opening == nil {
		h.opening = make(map[spot]chan struct{})
	}
	h.opening[at] = make(chan struct{})
	return nil, nil
}

// get returns the file of that name if it is held open on ch for look, or nil;
// it must be released.
func (h *handles) get(ch *channel, name string, look *backends.Look) *handle {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.find(ch, name, look)
}

// find is called with mu held. A file that a Look may not believe is held for
// nobody any more: those who read it next get the one that the Look opens.
func (h *handles) find(ch *channel, name string, look *backends.Look) *handle {
	if look != nil {
		for _, e := range slices.Clone(h.byName[name]) {
			if e.look != look {
				h.unkeep(e)
			}
		}
	}
	i := slices.IndexFunc(h.byName[name], func(e *handle) bool { return e.ch == ch })
	if i < 0 {
		return nil
	}
	e := h.byName[name][i]
	if time.Since(e.opened) > maxHeld {
		h.unkeep(e)
		return nil
	}
	e.users++
	h.order.MoveToFront(e.kept)
	return e
}

// opened ends the wait of others for a file that take told the caller to open.
func (h *handles) opened(ch *channel, name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := spot{name, ch}
	close(h.opening[at])
	delete(h.opening, at)
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
	if h.max <= 0 || h.epoch != epoch || !strings.Contains(e.name, "/") ||
		slices.ContainsFunc(h.byName[e.name], func(o *handle) bool { return o.ch == e.ch }) {
		return e
	}
	if h.byName == nil {
		h.byName = make(map[string][]*handle)
	}
	h.byName[e.name] = append(h.byName[e.name], e)
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
	for _, e := range slices.Clone(h.byName[name]) {
		h.unkeep(e)
	}
}

// expire closes what has been open for too long.
func (h *handles) expire() {
	h.unkeepAll(func(e *handle) bool { return time.Since(e.opened) > maxHeld })
}

// forget drops the files of a link that is gone.
func (h *handles) forget(l *link) {
	h.unkeepAll(func(e *handle) bool { return e.ch.l == l })
}

func (h *handles) unkeepAll(which func(*handle) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for at := h.order.Front(); at != nil; {
		e := at.Value.(*handle)
		at = at.Next()
		if which(e) {
			h.unkeep(e)
		}
	}
}

// unkeep is called with mu held.
func (h *handles) unkeep(e *handle) {
	if e.kept != nil {
		h.order.Remove(e.kept)
		e.kept = nil
		left := slices.DeleteFunc(h.byName[e.name], func(o *handle) bool { return o == e })
		if h.byName[e.name] = left; len(left) == 0 {
			delete(h.byName, e.name)
		}
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
