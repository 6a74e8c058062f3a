package index

import (
	"fmt"
	"sync"

	"github.com/cairn-storage/cairn"
)

// gate lets calls in until it is closed, and the closer past when all are out.
type gate struct {
	mu     sync.Mutex
	in     int
	closed bool
	empty  chan struct{} // made by close when calls are in
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.in++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.in--
	if g.in == 0 && g.empty != nil {
		close(g.empty)
		g.empty = nil
	}
}

// close waits until all are out; false when it was closed before.
func (g *gate) close() bool {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return false
	}
	g.closed = true
	var wait chan struct{}
	if g.in > 0 {
		wait = make(chan struct{})
		g.empty = wait
	}
	g.mu.Unlock()
	if wait != nil {
		<-wait // every call has a way out of its own
	}
	return true
}

func errClosed() error { return fmt.Errorf("index: closed: %w", cairn.ErrUnavailable) }
