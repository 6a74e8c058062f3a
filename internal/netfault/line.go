package netfault

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// Line is a listener in memory with a long line to it: what either end writes
// arrives after a delay, however much is under way. In a synctest bubble
// nothing else takes time, so a time divided by Turn is an exact number of
// turns. It is safe for concurrent use.
type Line struct {
	calls chan net.Conn // to be accepted
	done  chan struct{} // closed by Close
	wg    sync.WaitGroup

	mu     sync.Mutex
	turn   time.Duration // guarded by mu, as all below
	ends   []*end
	closed bool
}

// NewLine makes a line on which a question and its answer take turn, which is
// positive.
func NewLine(turn time.Duration) *Line {
	return &Line{calls: make(chan net.Conn), done: make(chan struct{}), turn: turn}
}

// Turn is how long a question and its answer take.
func (l *Line) Turn() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.turn
}

// SetTurn changes it for what is written from now on.
func (l *Line) SetTurn(turn time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn = turn
}

// Dial makes a connection; it fails when ctx or the line ends.
func (l *Line) Dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	a, b := l.end(near), l.end(far)
	if a == nil || b == nil {
		return nil, fmt.Errorf("netfault: %w", net.ErrClosed)
	}
	var err error
	select {
	case l.calls <- b:
		return a, nil
	case <-l.done:
		err = net.ErrClosed
	case <-ctx.Done():
		err = ctx.Err()
	}
	_, _ = a.Close(), b.Close() // in memory
	return nil, fmt.Errorf("netfault: %w", err)
}

// end is nil when the line is closed.
func (l *Line) end(c net.Conn) *end {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	e := &end{Conn: c, line: l, news: make(chan struct{}, 1), done: make(chan struct{})}
	l.ends = append(l.ends, e)
	l.wg.Go(e.deliver)
	return e
}

// Accept returns the next connection.
func (l *Line) Accept() (net.Conn, error) {
	select {
	case c := <-l.calls:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends all connections and waits for every goroutine of the line.
func (l *Line) Close() error {
	l.mu.Lock()
	ends := l.ends
	if !l.closed {
		l.closed = true
		close(l.done)
	}
	l.mu.Unlock()
	for _, e := range ends {
		_ = e.Close() // in memory
	}
	l.wg.Wait()
	return nil
}

// Addr is the same for all lines.
func (l *Line) Addr() net.Addr { return &net.UnixAddr{Name: "line", Net: "unix"} }

// end is one end of a connection.
type end struct {
	net.Conn
	line *Line
	news chan struct{} // room for one: the queue is not empty
	done chan struct{} // closed by Close

	mu     sync.Mutex
	queue  []parcel // under way; guarded by mu
	closed bool     // guarded by mu
}

// Write puts p on its way and does not wait.
func (e *end) Write(p []byte) (int, error) {
	due := time.Now().Add(e.line.Turn() / 2)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return 0, net.ErrClosed
	}
	e.queue = append(e.queue, parcel{due, append([]byte(nil), p...)})
	select {
	case e.news <- struct{}{}:
	default: // deliver knows
	}
	return len(p), nil
}

func (e *end) deliver() {
	for {
		e.mu.Lock()
		queue := e.queue
		e.queue = nil
		e.mu.Unlock()
		for _, p := range queue {
			select {
			case <-time.After(time.Until(p.due)):
			case <-e.done:
				return
			}
			if _, err := e.Conn.Write(p.data); err != nil {
				return // the other end is closed
			}
		}
		select {
		case <-e.news:
		case <-e.done:
			return
		}
	}
}

// Close loses what is under way.
func (e *end) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.closed = true
		close(e.done)
	}
	return e.Conn.Close()
}
