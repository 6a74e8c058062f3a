package demo

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairn-storage/cairn/layout"
)

// mischief is how a node misbehaves; the zero mischief behaves well. It is a
// contribute.Tap.
type mischief struct {
	lie  atomic.Int32  // percent of the replies with data that are wrong
	slow atomic.Int64  // how much later whatever it sends arrives, nanoseconds
	lies atomic.Uint64 // replies that were wrong
}

// Before does nothing: to wait here would be a node that does few things at
// once, while one far away, or with a slow disk, does many, each late.
func (m *mischief) Before(context.Context, string, string) error { return nil }

// Data flips some bits of what is sent of a shard. The marker stays true: the
// liar wants to be believed.
func (m *mischief) Data(name string, _ int64, p []byte) {
	if rand.Int32N(100) >= m.lie.Load() || !strings.HasPrefix(name, storeDir+"/"+layout.PacksDir+"/") {
		return
	}
	m.lies.Add(1)
	for range 1 + len(p)/(16<<10) {
		p[rand.IntN(len(p))] ^= byte(1 + rand.IntN(255))
	}
}

// listen wraps l so that what is sent on its connections is as late as m says.
func (m *mischief) listen(l net.Listener) net.Listener { return farAway{l, m} }

type farAway struct {
	net.Listener
	m *mischief
}

// Accept waits for the next connection.
func (f farAway) Accept() (net.Conn, error) {
	c, err := f.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l := &lateConn{Conn: c, m: f.m, queue: make(chan late, maxLate), done: make(chan struct{})}
	l.wg.Go(l.deliver)
	return l, nil
}

// maxLate bounds what is under way on one connection, in writes of at most some
// 32 KiB: more than the windows of its sessions let through.
const maxLate = 512

// lateConn sends what is written to it later, in order, without keeping the
// writer waiting.
type lateConn struct {
	net.Conn
	m     *mischief
	queue chan late
	under atomic.Int64 // writes under way
	once  sync.Once
	done  chan struct{} // closed by Close
	wg    sync.WaitGroup
}

// late is one write.
type late struct {
	due  time.Time
	data []byte
}

// Write passes on at once what need not be late.
func (c *lateConn) Write(p []byte) (int, error) {
	slow := time.Duration(c.m.slow.Load())
	if slow == 0 && c.under.Load() == 0 {
		return c.Conn.Write(p)
	}
	c.under.Add(1)
	select {
	case c.queue <- late{time.Now().Add(slow), bytes.Clone(p)}:
		return len(p), nil
	case <-c.done:
		return 0, net.ErrClosed
	}
}

func (c *lateConn) deliver() {
	for {
		select {
		case w := <-c.queue:
			select {
			case <-time.After(time.Until(w.due)):
			case <-c.done:
				return
			}
			if _, err := c.Conn.Write(w.data); err != nil {
				_ = c.Conn.Close() // whoever reads from it learns
			}
			c.under.Add(-1)
		case <-c.done:
			return
		}
	}
}

// Close loses what is under way.
func (c *lateConn) Close() error {
	c.once.Do(func() { close(c.done) })
	err := c.Conn.Close()
	c.wg.Wait()
	return err
}
