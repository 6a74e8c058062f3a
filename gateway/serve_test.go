package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
)

// pipes is a listener over net.Pipe, so that time can be fake.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.conns <- there
	return here
}

// closeSignal tells when a reader is given up.
type closeSignal struct {
	io.ReadCloser
	closed chan struct{}
}

func (c closeSignal) Close() error { close(c.closed); return c.ReadCloser.Close() }

// bubble runs f against a served gateway in fake time.
func bubble(t *testing.T, f func(t *testing.T, r *rig, p *pipes, stop func() error)) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemStore()
		r := &rig{t: t, store: m, log: &lockedBuffer{}}
		if err := m.CreateBucket(t.Context(), "public"); err != nil {
			t.Fatal(err)
		}
		b := m.buckets["public"]
		b.Public = true
		m.buckets["public"] = b
		var err error
		if r.g, err = New(Config{Store: m}); err != nil {
			t.Fatal(err)
		}
		p := newPipes()
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- r.g.Serve(ctx, p) }()
		stopped := false
		stop := func() error {
			if stopped {
				return nil
			}
			stopped = true
			cancel()
			return <-served
		}
		f(t, r, p, stop)
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestServeFinishesWhatItBegan(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig, p *pipes, stop func() error) {
		r.put("public", "k", content)
		reading, release := make(chan struct{}), make(chan struct{})
		r.store.ranged = func(c io.ReadCloser) (io.ReadCloser, error) {
			close(reading)
			<-release
			return c, nil
		}
		conn := p.dial()
		defer conn.Close()
		go fmt.Fprint(conn, "GET /public/k HTTP/1.1\r\nHost: x\r\n\r\n")
		<-reading
		stopped := make(chan error, 1)
		go func() { stopped <- stop() }()
		synctest.Wait() // Serve is as far as it comes
		select {
		case err := <-stopped:
			t.Fatalf("Serve returned %v with a request in flight", err)
		default:
		}
		close(release)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != content {
			t.Errorf("%q, %v", body, err)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

func TestServeDoesNotWaitForEver(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig, p *pipes, stop func() error) {
		r.put("public", "k", strings.Repeat("x", 1<<20))
		conn := p.dial()
		defer conn.Close()
		fmt.Fprint(conn, "GET /public/k HTTP/1.1\r\nHost: x\r\n\r\n") // and never read
		synctest.Wait()
		began := time.Now()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took < drainPatience || took > drainPatience+5*time.Second {
			t.Errorf("Serve took %v to end", took)
		}
	})
}

func TestAClientThatStandsStillIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig, p *pipes, _ func() error) {
		r.put("public", "k", strings.Repeat("x", 1<<20))
		closed := make(chan struct{})
		r.store.ranged = func(c io.ReadCloser) (io.ReadCloser, error) { return closeSignal{c, closed}, nil }
		conn := p.dial()
		defer conn.Close()
		fmt.Fprint(conn, "GET /public/k HTTP/1.1\r\nHost: x\r\n\r\n")
		synctest.Wait()
		if r.open() != 1 {
			t.Fatal("the object is not being read")
		}
		began := time.Now()
		<-closed
		if took := time.Since(began); took < stall-time.Second || took > stall+time.Second {
			t.Errorf("given up after %v", took)
		}
	})
}

func TestABodyThatStandsStillIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig, p *pipes, _ func() error) {
		r.store.access["writer"] = accessAll("writer")
		conn := p.dial()
		defer conn.Close()
		req, _ := http.NewRequest("PUT", "http://host/public/k", nil)
		s := signer{"writer", "secret of writer", "us-east-1", time.Now()}
		req.Header.Set("X-Amz-Date", s.stamp())
		req.Header.Set("X-Amz-Content-Sha256", modeUnsigned)
		s.sign(req, modeUnsigned)
		fmt.Fprint(conn, "PUT /public/k HTTP/1.1\r\nHost: host\r\nContent-Length: 100\r\n")
		req.Header.Write(conn)
		fmt.Fprint(conn, "\r\nhello")
		began := time.Now()
		resp, err := http.ReadResponse(bufio.NewReader(conn), req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		if a := (answered{resp, string(body)}); a.StatusCode != 400 || a.code() != "RequestTimeout" {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
		if took := time.Since(began); took < stall || took > stall+5*time.Second {
			t.Errorf("after %v", took)
		}
		if len(r.store.objects) != 0 {
			t.Error("something was stored")
		}
	})
}

// The store may take longer over a body than a client may stand still.
func TestASlowStoreIsNoStall(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig, p *pipes, _ func() error) {
		r.put("public", "k", content)
		r.store.ranged = func(c io.ReadCloser) (io.ReadCloser, error) {
			late := make(chan struct{})
			time.AfterFunc(3*stall, func() { close(late) })
			<-late
			return c, nil
		}
		conn := p.dial()
		defer conn.Close()
		br := bufio.NewReader(conn)
		for range 2 { // the second on the same connection
			go fmt.Fprint(conn, "GET /public/k HTTP/1.1\r\nHost: x\r\n\r\n")
			resp, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(resp.Body); err != nil || string(body) != content {
				t.Fatalf("%q, %v", body, err)
			}
		}
	})
}

func TestTheMemoryBudgetIsWaitedForThenRefused(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig, p *pipes, _ func() error) {
		r.put("public", "k", content)
		if !r.g.budget.TryAcquire(r.g.c.MemoryBudget) {
			t.Fatal("the budget is not free")
		}
		get := func() int {
			conn := p.dial()
			defer conn.Close()
			go fmt.Fprint(conn, "GET /public/k HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Error(err)
				return 0
			}
			io.Copy(io.Discard, resp.Body)
			return resp.StatusCode
		}
		began := time.Now()
		if status := get(); status != 503 || time.Since(began) < budgetPatience {
			t.Errorf("%d after %v", status, time.Since(began))
		}
		time.AfterFunc(10*time.Second, func() { r.g.budget.Release(r.g.c.MemoryBudget) })
		if status := get(); status != 200 {
			t.Errorf("%d once the budget was free", status)
		}
	})
}

func TestServeReportsABrokenListener(t *testing.T) {
	r := newRig(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := r.g.Serve(t.Context(), ln); err == nil || errors.Is(err, http.ErrServerClosed) {
		t.Errorf("got %v", err)
	}
}

func TestImpossibleConfigurationsAreRefused(t *testing.T) {
	m := newMemStore()
	for _, c := range []Config{{}, {Store: m, MemoryBudget: 1 << 20}, {Store: m, MemoryBudget: -1}, {Store: m, Connections: -1}} {
		if _, err := New(c); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
