// Package netfault is a TCP proxy for tests that behaves like a bad network:
// it delays, throttles, swallows and resets, and it counts what passes.
//
// Reading order: netfault.go (the Proxy and its switches), link.go (one
// connection through it), line.go (a long line in memory, for simulated time,
// on which turns are counted exactly). It knows nothing of the protocols above TCP.
package netfault

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Proxy forwards connections from its own loopback port to a target. It is
// safe for concurrent use.
type Proxy struct {
	ln   net.Listener
	done chan struct{} // closed by Close
	wg   sync.WaitGroup

	turns, sent, received, connections atomic.Int64

	mu     sync.Mutex
	target string                 // guarded by mu, as all below
	delay  time.Duration          // one way
	rate   int64                  // bytes a second each way, 0 for no limit
	free   [2]time.Time           // when the throttled line is free again, by direction
	black  bool                   // swallow everything
	refuse bool                   // reset new connections
	links  map[*link]struct{}     // every open connection
	closed bool                   // Close was called
	wait   map[chan struct{}]bool // news waiters
}

// Counts is what passed a Proxy since it was made.
type Counts struct {
	// Turns counts the client's bursts that follow data of the server: the
	// round trips of a client that does one thing after the other. With a
	// delay set, what a client pipelines is one turn.
	Turns       int64
	Sent        int64 // bytes read from clients
	Received    int64 // bytes read from the target
	Connections int64 // accepted, refused ones included
}

// Sub is what passed between before and c.
func (c Counts) Sub(before Counts) Counts {
	return Counts{
		Turns:       c.Turns - before.Turns,
		Sent:        c.Sent - before.Sent,
		Received:    c.Received - before.Received,
		Connections: c.Connections - before.Connections,
	}
}

// New listens on a free loopback port and forwards to target, host:port.
func New(target string) (*Proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("netfault: %w", err)
	}
	p := &Proxy{
		ln:     ln,
		done:   make(chan struct{}),
		target: target,
		links:  make(map[*link]struct{}),
		wait:   make(map[chan struct{}]bool),
	}
	p.wg.Go(p.accept)
	return p, nil
}

// Addr is the proxy's own host:port.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Counts returns what passed so far.
func (p *Proxy) Counts() Counts {
	return Counts{p.turns.Load(), p.sent.Load(), p.received.Load(), p.connections.Load()}
}

// SetTarget forwards later connections to target.
func (p *Proxy) SetTarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// SetDelay holds every byte back for d in each direction; the round trip
// grows by 2d.
func (p *Proxy) SetDelay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// SetRate lets at most n bytes a second pass in each direction, all
// connections together; 0 lifts the limit.
func (p *Proxy) SetRate(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate = n
}

// BlackHole swallows what is sent in either direction, ends of connections
// too, while on. New connections are accepted and hear nothing. A connection
// that lost bytes stays silent for the rest of its life, as after a NAT that
// forgot it; only connections made after BlackHole(false) work.
func (p *Proxy) BlackHole(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.black = on
}

// Refuse resets new connections as soon as they are accepted, while on.
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = on
}

// Reset ends every open connection with a TCP reset at both ends.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.reset()
	}
}

// AfterSent returns a channel that is closed once clients have sent at least
// n more bytes than now. It stays open for ever when they never do.
func (p *Proxy) AfterSent(n int64) <-chan struct{} {
	reached := make(chan struct{})
	goal := p.sent.Load() + n
	p.wg.Go(func() {
		for {
			news := p.news()
			if p.sent.Load() >= goal {
				close(reached)
				return
			}
			select {
			case <-news:
			case <-p.done:
				return
			}
		}
	})
	return reached
}

// Close resets all connections, stops listening and waits for every
// goroutine of the proxy.
func (p *Proxy) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	close(p.done)
	for l := range p.links {
		l.reset()
	}
	p.mu.Unlock()
	err := p.ln.Close()
	p.wg.Wait()
	return err
}

// news returns a channel that is closed when bytes pass next.
func (p *Proxy) news() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	ch := make(chan struct{})
	p.wait[ch] = true
	return ch
}

func (p *Proxy) tell() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ch := range p.wait {
		close(ch)
	}
	clear(p.wait)
}

func (p *Proxy) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return // closed
		}
		p.connections.Add(1)
		p.admit(c)
	}
}

func (p *Proxy) admit(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &link{p: p, client: c, done: make(chan struct{})}
	if p.closed || p.refuse {
		l.reset()
		return
	}
	l.black.Store(p.black)
	p.links[l] = struct{}{}
	target := p.target
	p.wg.Go(func() {
		l.run(target)
		p.mu.Lock()
		delete(p.links, l)
		p.mu.Unlock()
	})
}

// plan says when n bytes that were read now may be written, and whether they
// are swallowed instead.
func (p *Proxy) plan(dir, n int) (due time.Time, black bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	due = time.Now().Add(p.delay)
	if p.rate > 0 {
		start := time.Now()
		if p.free[dir].After(start) {
			start = p.free[dir]
		}
		p.free[dir] = start.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
		due = p.free[dir].Add(p.delay)
	}
	return due, p.black
}
