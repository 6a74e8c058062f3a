package sftp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends/sftp"
	"github.com/cairn-storage/cairn/contribute"
	"github.com/cairn-storage/cairn/internal/netfault"
)

// stuck holds reads of one name back until freed.
type stuck struct {
	name string
	free chan struct{}
	at   chan struct{} // gets a value when one is stuck
}

func (s *stuck) Before(ctx context.Context, op, name string) error {
	if op != "read" || name != s.name {
		return nil
	}
	select {
	case s.at <- struct{}{}:
	default:
	}
	select {
	case <-s.free:
	case <-ctx.Done():
	}
	return nil
}

func (s *stuck) Data(string, int64, []byte) {}

func TestCancelledCallLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	tap := &stuck{name: "packs/slow", free: make(chan struct{}), at: make(chan struct{}, 1)}
	n := contributed(t, contribute.Config{Tap: tap})
	r, p := proxied(t, n)
	for _, name := range []string{"packs/slow", "packs/quick"} {
		if err := r.Put(t.Context(), name, content(1000, 8)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- r.ReadAt(ctx, "packs/slow", make([]byte, 10), 0) }()
	<-tap.at
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) || !errors.Is(err, cairn.ErrUnavailable) {
		t.Errorf("the cancelled read: got %v, want ErrUnavailable and Canceled", err)
	}
	// The node answers probes, so the connection stays, longer than a silent
	// one would.
	until := time.After(500 * time.Millisecond)
	for over := false; !over; {
		if err := r.Put(t.Context(), "packs/other", content(10, 1)); err != nil {
			t.Fatal(err)
		}
		select {
		case <-until:
			over = true
		default:
		}
	}
	close(tap.free)
	if err := r.ReadAt(t.Context(), "packs/slow", make([]byte, 10), 0); err != nil {
		t.Error(err)
	}
	if got := p.Counts().Connections; got != 1 {
		t.Errorf("%d connections, want 1", got)
	}
}

func TestRequestThatIsNeverAnsweredCostsTheConnection(t *testing.T) {
	t.Parallel()
	tap := &stuck{name: "packs/slow", free: make(chan struct{}), at: make(chan struct{}, 1)}
	n := contributed(t, contribute.Config{Tap: tap})
	p, err := netfault.New(n.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c := n.config().WithDrain(50 * time.Millisecond)
	c.Address = p.Addr()
	r := open(t, c)
	if err := r.Put(t.Context(), "packs/slow", content(1000, 8)); err != nil {
		t.Fatal(err)
	}
	other := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- r.ReadAt(ctx, "packs/slow", make([]byte, 10), 0) }()
	<-tap.at
	go func() { other <- r.ReadAt(t.Context(), "packs/slow", make([]byte, 10), 0) }()
	<-tap.at
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
	<-tap.at // the other read again, on a new connection
	close(tap.free)
	if err := <-other; err != nil {
		t.Errorf("a caller that had no part in it: %v", err)
	}
	if got := p.Counts().Connections; got != 2 {
		t.Errorf("%d connections, want 2", got)
	}
}

func TestCallerMayReuseItsBufferAfterACancelledPut(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, n *node) {
		r, p := proxied(t, n)
		if err := r.Put(t.Context(), "packs/first", nil); err != nil {
			t.Fatal(err)
		}
		p.SetRate(10 << 20)
		data := content(4<<20, 9)
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		reached := p.AfterSent(300 << 10)
		go func() { result <- r.Put(ctx, "packs/second", data) }()
		<-reached
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want Canceled", err)
		}
		clear(data) // the race detector watches
		p.SetRate(0)
		eventually(t, "the temporary is removed", func() bool { return len(list(t, r, "tmp")) == 0 })
		if _, err := r.Stat(t.Context(), "packs/second"); !errors.Is(err, cairn.ErrNotExist) {
			t.Errorf("after a cancelled put: got %v, want ErrNotExist", err)
		}
	})
}

func TestCloseEndsEverything(t *testing.T) {
	onEach(t, func(t *testing.T, n *node) {
		// A first visit, so that a server in this process has begun all it does.
		r, err := sftp.Open(t.Context(), n.config())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = r.Stat(t.Context(), "packs/0")
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the first visit ends", func() bool {
			stacks := make([]byte, 1<<20)
			return !bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("golang.org/x/crypto/ssh."))
		})
		before := runtime.NumGoroutine()
		if r, err = sftp.Open(t.Context(), n.config()); err != nil {
			t.Fatal(err)
		}
		for i := range 40 { // more than are held
			name := fmt.Sprintf("packs/%d", i)
			if err := r.Put(t.Context(), name, content(10, 1)); err != nil {
				t.Fatal(err)
			}
			if err := r.ReadAt(t.Context(), name, make([]byte, 10), 0); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.Stat(t.Context(), "packs/1"); !errors.Is(err, cairn.ErrUnavailable) {
			t.Errorf("after close: got %v, want ErrUnavailable", err)
		}
		eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= before })
	})
}

func TestCloseEndsCallsInAHole(t *testing.T) {
	t.Parallel()
	n := contributed(t, contribute.Config{})
	p, err := netfault.New(n.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for name, connected := range map[string]bool{"connecting": false, "connected": true} {
		t.Run(name, func(t *testing.T) {
			c := n.config()
			c.Address = p.Addr()
			r, err := sftp.Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if connected {
				if err := r.Put(t.Context(), "packs/a", nil); err != nil {
					t.Fatal(err)
				}
			}
			p.BlackHole(true)
			defer p.BlackHole(false)
			sent := p.AfterSent(10)
			result := make(chan error, 1)
			go func() { result <- r.Put(t.Context(), "packs/b", content(100, 1)) }()
			<-sent
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if err := <-result; !errors.Is(err, cairn.ErrUnavailable) {
				t.Errorf("got %v, want ErrUnavailable", err)
			}
		})
	}
}
