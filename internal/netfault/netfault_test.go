package netfault_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cairn-storage/cairn/internal/netfault"
)

// echo answers every line with the same line.
func echo(t *testing.T) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for {
					line, err := in.ReadBytes('\n')
					if err != nil {
						return
					}
					if _, err := c.Write(line); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return ln.Addr().String()
}

func newProxy(t *testing.T) *netfault.Proxy {
	t.Helper()
	p, err := netfault.New(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func dial(t *testing.T, p *netfault.Proxy) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, bufio.NewReader(c)
}

func ask(c net.Conn, in *bufio.Reader, line string) error {
	if _, err := fmt.Fprintln(c, line); err != nil {
		return err
	}
	got, err := in.ReadString('\n')
	if err == nil && got != line+"\n" {
		err = fmt.Errorf("got %q, want %q", got, line)
	}
	return err
}

func TestCountsTurnsAndBytes(t *testing.T) {
	p := newProxy(t)
	p.SetDelay(5 * time.Millisecond)
	c, in := dial(t, p)
	for range 4 {
		if err := ask(c, in, "hello"); err != nil {
			t.Fatal(err)
		}
	}
	want := netfault.Counts{Turns: 3, Sent: 24, Received: 24, Connections: 1}
	if got := p.Counts(); got != want {
		t.Errorf("four serial requests: got %+v, want %+v", got, want)
	}

	before := p.Counts()
	for range 4 { // without waiting: one turn
		fmt.Fprintln(c, "again")
	}
	for range 4 {
		if _, err := in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if got := p.Counts().Sub(before).Turns; got != 1 {
		t.Errorf("four pipelined requests took %d turns, want 1", got)
	}
}

func TestDelayAndRateHoldBytesBack(t *testing.T) {
	p := newProxy(t)
	p.SetDelay(30 * time.Millisecond)
	c, in := dial(t, p)
	start := time.Now()
	if err := ask(c, in, "hello"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < 60*time.Millisecond {
		t.Errorf("a round trip took %v, want at least 60ms", took)
	}

	p.SetDelay(0)
	p.SetRate(100_000)
	start = time.Now()
	if err := ask(c, in, string(bytes.Repeat([]byte("x"), 10_000))); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < 100*time.Millisecond {
		t.Errorf("10 kB at 100 kB/s took %v, want at least 100ms", took)
	}
}

func TestBlackHoleSwallowsForTheLifeOfAConnection(t *testing.T) {
	p := newProxy(t)
	c, in := dial(t, p)
	if err := ask(c, in, "hello"); err != nil {
		t.Fatal(err)
	}
	p.BlackHole(true)
	fresh, freshIn := dial(t, p)
	silent := func(when string, c net.Conn, in *bufio.Reader) {
		t.Helper()
		c.SetDeadline(time.Now().Add(50 * time.Millisecond))
		if err := ask(c, in, "lost"); !errors.Is(err, syscall.ETIMEDOUT) && !isTimeout(err) {
			t.Errorf("%s: got %v, want silence", when, err)
		}
	}
	silent("established, hole open", c, in)
	silent("new, hole open", fresh, freshIn)
	p.BlackHole(false)
	silent("established, hole closed again", c, in)

	later, laterIn := dial(t, p)
	if err := ask(later, laterIn, "hello"); err != nil {
		t.Errorf("new after the hole closed: %v", err)
	}
}

func TestResetAndRefuseAreSeen(t *testing.T) {
	p := newProxy(t)
	c, in := dial(t, p)
	if err := ask(c, in, "hello"); err != nil {
		t.Fatal(err)
	}
	p.Reset()
	if _, err := in.ReadString('\n'); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after Reset: got %v, want a connection reset", err)
	}
	p.Refuse(true)
	if c, err := net.Dial("tcp", p.Addr()); err == nil { // the reset may come before or after
		defer c.Close()
		if err := ask(c, bufio.NewReader(c), "hello"); err == nil {
			t.Error("a refused connection answered")
		}
	}
	p.Refuse(false)
	c3, in3 := dial(t, p)
	if err := ask(c3, in3, "hello"); err != nil {
		t.Errorf("after Refuse(false): %v", err)
	}
}

func TestEndPassesThrough(t *testing.T) {
	p := newProxy(t)
	c, in := dial(t, p)
	fmt.Fprintln(c, "last words")
	c.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(in)
	if err != nil || string(got) != "last words\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAfterSentFires(t *testing.T) {
	p := newProxy(t)
	c, in := dial(t, p)
	reached := p.AfterSent(6)
	if err := ask(c, in, "hello"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-reached:
	case <-time.After(5 * time.Second):
		t.Error("six bytes passed, the channel is still open")
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}
