package sftp

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// link is one SSH connection with its channels. It is given up as a whole: a
// node that hangs on one channel hangs on all, and a new connection costs its
// other users no more than the time to make it.
type link struct {
	wire     *wire
	ssh      ssh.Conn
	channels []*channel // set before first use; [0] is for small operations
	born     time.Time
	rtt      time.Duration // measured when the first channel was opened

	doubt chan struct{} // someone gave up waiting: see whether the node is there

	mu   sync.Mutex
	gone bool          // guarded by mu, as all below; drop was called
	err  error         // why
	dead chan struct{} // closed by drop
	wg   sync.WaitGroup
}

func newLink(w *wire, conn ssh.Conn, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) *link {
	l := &link{wire: w, ssh: conn, born: time.Now(), doubt: make(chan struct{}, 1), dead: make(chan struct{})}
	l.wg.Go(func() { ssh.DiscardRequests(requests) })
	l.wg.Go(func() {
		for c := range channels {
			_ = c.Reject(ssh.Prohibited, "") // the server has no business opening any
		}
	})
	return l
}

// openChannels opens up to n channels at once. Servers may allow fewer
// sessions; one is enough.
func (l *link) openChannels(n int) error {
	opened := make([]*channel, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { opened[i], errs[i] = openChannel(l) })
	}
	wg.Wait()
	for _, ch := range opened {
		if ch != nil {
			l.channels = append(l.channels, ch)
		}
	}
	if len(l.channels) == 0 {
		return fmt.Errorf("no sftp session: %w", errs[0])
	}
	l.rtt = l.channels[0].rtt
	return nil
}

func (l *link) small() *channel { return l.channels[0] }

// bulk is the channel with the least to do that is not for small operations.
func (l *link) bulk() *channel {
	best := l.channels[len(l.channels)-1]
	for _, ch := range l.channels[min(1, len(l.channels)-1):] {
		if ch.load.Load() < best.load.Load() {
			best = ch
		}
	}
	return best
}

func (l *link) alive() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.gone
}

// tend runs f in a goroutine that wait waits for, unless the link is gone.
func (l *link) tend(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return false
	}
	l.wg.Go(f)
	return true
}

// drop gives the link up: every call on it returns soon. Only the first err is
// kept. It never blocks: closing the socket needs no answer from anyone.
func (l *link) drop(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return
	}
	l.gone, l.err = true, err
	close(l.dead)
	_ = l.wire.Close() // it is of no use any more
}

// cause is why the link was dropped, nil while it is alive.
func (l *link) cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// wait returns when the link is dropped and all its goroutines have ended.
func (l *link) wait() {
	l.tend(func() {
		// The peer may end the connection too.
		err := l.ssh.Wait()
		l.drop(fmt.Errorf("connection lost: %w", err))
	})
	<-l.dead
	for _, ch := range l.channels {
		_ = ch.c.Close() // waits for its reader
	}
	l.wg.Wait()
}

// suspect has watch find out whether the node still answers.
func (l *link) suspect() {
	select {
	case l.doubt <- struct{}{}:
	default: // it is about to
	}
}

// watch probes a silent connection until the link is dropped, and drops it
// when a probe goes unanswered for patience. idle is called at first and now
// and then.
func (l *link) watch(interval, patience time.Duration, idle func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	idle()
	for {
		select {
		case <-l.dead:
			return
		case <-tick.C:
			idle()
			if time.Since(l.wire.lastAlive()) < interval/2 {
				continue
			}
		case <-l.doubt:
		}
		l.probe(patience)
	}
}

// probe returns after the server answered, or after the link is dropped. The
// answer may queue behind bulk data, so as long as anything moves, it waits.
func (l *link) probe(patience time.Duration) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(done)
	asked := time.Now()
	wg.Go(func() {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		for {
			select {
			case <-done:
				return
			case <-l.dead:
				return
			case <-timer.C:
			}
			last := l.wire.lastAlive()
			if last.Before(asked) {
				last = asked
			}
			silent := time.Since(last)
			if silent >= patience {
				l.drop(fmt.Errorf("no answer for %v: %w", silent.Round(time.Millisecond), errSilent))
				return
			}
			timer.Reset(patience - silent)
		}
	})
	_, _, err := l.ssh.SendRequest("keepalive@openssh.com", true, nil)
	if err != nil {
		l.drop(fmt.Errorf("connection lost: %w", err))
	}
}

var errSilent = errors.New("the node is silent")

// wire is the TCP connection with the time of its last sign of life.
type wire struct {
	net.Conn
	last atomic.Int64 // Unix nanoseconds
}

func (w *wire) alive()               { w.last.Store(time.Now().UnixNano()) }
func (w *wire) lastAlive() time.Time { return time.Unix(0, w.last.Load()) }

// Read notes that the node sent something.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.alive()
	}
	return n, err
}

// Write notes bulk data that went out: behind a slow line the kernel takes
// more only when the node took some. Small requests, such as the probe itself,
// prove nothing.
func (w *wire) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if n >= 4096 {
		w.alive()
	}
	return n, err
}
