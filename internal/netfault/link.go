package netfault

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Directions of a link.
const (
	up   = iota // client to target
	down        // target to client
)

// inFlight bounds the parcels that wait for their time in one direction: at
// 64 KiB each, more than any TCP window in a test.
const inFlight = 256

// link is one connection through the proxy.
type link struct {
	p      *Proxy
	client net.Conn

	black atomic.Bool // lost bytes: silent for the rest of its life
	heard atomic.Bool // the client was given data since its last burst

	mu     sync.Mutex
	server net.Conn      // guarded by mu; nil before and without a target
	done   chan struct{} // closed by reset
	over   bool          // done is closed
}

// parcel is what was read at once.
type parcel struct {
	due  time.Time
	data []byte
}

// run forwards until both ends are finished or the link is reset.
func (l *link) run(target string) {
	defer l.close()
	if l.black.Load() {
		l.swallow(l.client)
		return
	}
	server, err := net.Dial("tcp", target)
	if err != nil {
		l.reset()
		return
	}
	l.mu.Lock()
	l.server = server
	over := l.over
	l.mu.Unlock()
	if over {
		cut(server)
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { l.pump(up, l.client, server) })
	wg.Go(func() { l.pump(down, server, l.client) })
	wg.Wait()
}

// pump carries one direction: this goroutine reads, another writes in time.
func (l *link) pump(dir int, from, to net.Conn) {
	parcels := make(chan parcel, inFlight)
	var wg sync.WaitGroup
	wg.Go(func() { l.deliver(dir, parcels, to) })
	defer wg.Wait()
	defer close(parcels)
	for {
		buf := make([]byte, 64<<10)
		n, err := from.Read(buf)
		if n > 0 {
			l.count(dir, n)
			due, black := l.p.plan(dir, n)
			if black {
				l.black.Store(true)
			}
			if !l.black.Load() {
				select {
				case parcels <- parcel{due, buf[:n]}:
				case <-l.done:
					return
				}
			}
		}
		if err != nil {
			return
		}
	}
}

// deliver writes parcels when they are due, then passes on the end. A parcel
// that is under way when the hole opens is lost as well.
func (l *link) deliver(dir int, parcels <-chan parcel, to net.Conn) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for p := range parcels {
		timer.Reset(time.Until(p.due))
		select {
		case <-timer.C:
		case <-l.done:
			continue // drain, so that the reader is never stuck
		}
		if _, black := l.p.plan(dir, 0); black {
			l.black.Store(true)
		}
		if l.black.Load() {
			continue
		}
		if dir == down {
			l.heard.Store(true) // before the write: the answer to it may be quick
		}
		if _, err := to.Write(p.data); err != nil {
			l.reset()
		}
	}
	if _, black := l.p.plan(dir, 0); black {
		l.black.Store(true)
	}
	if l.black.Load() {
		return
	}
	if tcp, ok := to.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // the other direction notices if this fails
	}
}

// swallow reads from a connection that leads nowhere until it ends.
func (l *link) swallow(from net.Conn) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			l.count(up, n)
		}
		if err != nil {
			return
		}
	}
}

func (l *link) count(dir, n int) {
	if dir == down {
		l.p.received.Add(int64(n))
	} else {
		if l.heard.CompareAndSwap(true, false) {
			l.p.turns.Add(1)
		}
		l.p.sent.Add(int64(n))
	}
	l.p.tell()
}

// reset ends both ends with a TCP reset. It may be called more than once.
func (l *link) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.over = true
		close(l.done)
	}
	cut(l.client)
	if l.server != nil {
		cut(l.server)
	}
}

// close ends both ends in order: what was delivered stays readable.
func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.client.Close() // closing twice is fine
	if l.server != nil {
		_ = l.server.Close()
	}
}

// cut closes c so that its peer sees a reset.
func cut(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // fails on a closed connection only
	}
	_ = c.Close()
}
