package durable

import (
	"strings"
	"sync"
)

// Hang is a disk that stops answering when it is told to: for tests of what
// must go on without it.
type Hang struct {
	mu    sync.Mutex
	below string        // names of files that hang begin with it; guarded by mu
	on    bool          // guarded by mu
	again chan struct{} // closed when it answers again; guarded by mu
	stuck chan struct{} // has an element once somebody waited
}

// Hangs returns on, and what stops it. Every call waits while it is stopped,
// those that Pebble makes and those of files that are open included.
func Hangs(on FS) (FS, *Hang) {
	h := &Hang{stuck: make(chan struct{}, 1)}
	return disk{around{below: on.layer(), enter: h.enter}}, h
}

// Stop makes each call that begins from now on wait for Go, of files whose names
// begin with below; "" stops them all.
func (h *Hang) Stop(below string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.on, h.below, h.again = true, below, make(chan struct{})
}

// Go lets all go on that wait.
func (h *Hang) Go() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.on {
		h.on = false
		close(h.again)
	}
}

// Stuck has an element once a call waits.
func (h *Hang) Stuck() <-chan struct{} { return h.stuck }

func (h *Hang) enter(_, name string) func() {
	h.mu.Lock()
	waits, until := h.on && strings.HasPrefix(name, h.below), h.again
	h.mu.Unlock()
	if waits {
		select {
		case h.stuck <- struct{}{}:
		default:
		}
		<-until
	}
	return func() {}
}
