package sftp_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/contribute"
	"github.com/cairn-storage/cairn/internal/netfault"
)

func TestBlackHoleEndsAtTheDeadline(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, n *node) {
		r, p := proxied(t, n)
		want := content(100<<10, 3)
		if err := r.Put(t.Context(), "packs/a", want); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		calls := []struct {
			name string
			call func(ctx context.Context) error
		}{
			{"read", func(ctx context.Context) error { return r.ReadAt(ctx, "packs/a", got, 0) }},
			{"put", func(ctx context.Context) error { return r.Put(ctx, "packs/b", content(3<<20, 4)) }},
			{"stat", func(ctx context.Context) error { _, err := r.Stat(ctx, "packs/a"); return err }},
			{"delete", func(ctx context.Context) error { return r.Delete(ctx, "packs/c") }},
			{"list", func(ctx context.Context) error {
				for _, err := range r.List(ctx, "packs") {
					if err != nil {
						return err
					}
				}
				return nil
			}},
		}
		const deadline = 100 * time.Millisecond
		p.BlackHole(true)
		for range 2 { // on the connection that stood, and on none
			for _, c := range calls {
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				start := time.Now()
				err := c.call(ctx)
				took := time.Since(start)
				cancel()
				if !errors.Is(err, cairn.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: got %v, want ErrUnavailable and DeadlineExceeded", c.name, err)
				}
				var where *backends.Error
				if !errors.As(err, &where) || where.Node != "n1" {
					t.Errorf("%s: the error does not name the node: %v", c.name, err)
				}
				if took > deadline+2*time.Second {
					t.Errorf("%s: returned after %v, deadline was %v", c.name, took, deadline)
				}
			}
		}
		p.BlackHole(false)
		for _, c := range calls {
			if err := c.call(t.Context()); err != nil {
				t.Errorf("%s after the hole: %v", c.name, err)
			}
		}
		if !bytes.Equal(got, want) {
			t.Error("read other bytes after the hole")
		}
	})
}

func TestResetMidPutLeavesNoWrongFile(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, n *node) {
		r, p := proxied(t, n)
		want := content(4<<20, 5)
		if err := r.Put(t.Context(), "packs/first", want[:10]); err != nil {
			t.Fatal(err)
		}
		p.SetRate(20 << 20)
		reached := p.AfterSent(1 << 20)
		result := make(chan error, 1)
		go func() { result <- r.Put(t.Context(), "packs/second", want) }()
		<-reached
		p.Refuse(true) // or it would quietly be done again
		p.Reset()
		if err := <-result; !errors.Is(err, cairn.ErrUnavailable) {
			t.Fatalf("put through a reset: got %v, want ErrUnavailable", err)
		}
		p.Refuse(false)
		if _, err := r.Stat(t.Context(), "packs/second"); !errors.Is(err, cairn.ErrNotExist) {
			t.Errorf("after the reset: got %v, want ErrNotExist", err)
		}
		eventually(t, "the temporary is removed", func() bool { return len(list(t, r, "tmp")) == 0 })
		p.SetRate(0)
		if err := r.Put(t.Context(), "packs/second", want); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if err := r.ReadAt(t.Context(), "packs/second", got, 0); err != nil || !bytes.Equal(got, want) {
			t.Errorf("read back: %v, equal %v", err, bytes.Equal(got, want))
		}
	})
}

func TestResetMidPutIsRepeatedOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, n *node) {
		r, p := proxied(t, n)
		want := content(4<<20, 6)
		if err := r.Put(t.Context(), "packs/first", want[:10]); err != nil {
			t.Fatal(err)
		}
		p.SetRate(20 << 20)
		reached := p.AfterSent(1 << 20)
		result := make(chan error, 1)
		go func() { result <- r.Put(t.Context(), "packs/second", want) }()
		<-reached
		p.SetRate(0)
		p.Reset()
		if err := <-result; err != nil {
			t.Fatalf("put over a connection that broke: %v", err)
		}
		got := make([]byte, len(want))
		if err := r.ReadAt(t.Context(), "packs/second", got, 0); err != nil || !bytes.Equal(got, want) {
			t.Errorf("read back: %v, equal %v", err, bytes.Equal(got, want))
		}
	})
}

func TestServerRestartGoesUnnoticed(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, n *node) {
		r, p := proxied(t, n)
		want := content(100<<10, 7)
		if err := r.Put(t.Context(), "packs/a", want); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if err := r.ReadAt(t.Context(), "packs/a", got, 0); err != nil { // and is held
			t.Fatal(err)
		}
		p.Reset()
		n.restart()
		clear(got)
		if err := r.ReadAt(t.Context(), "packs/a", got, 0); err != nil || !bytes.Equal(got, want) {
			t.Errorf("read after the restart: %v, equal %v", err, bytes.Equal(got, want))
		}
		if err := r.Put(t.Context(), "packs/b", want); err != nil {
			t.Errorf("put after the restart: %v", err)
		}
	})
}

func TestSilentConnectionIsFoundWithoutADeadline(t *testing.T) {
	t.Parallel()
	n := contributed(t, contribute.Config{})
	p, err := netfault.New(n.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	c := n.config()
	c.Address, c.KeepAlive, c.Patience = p.Addr(), 50*time.Millisecond, 100*time.Millisecond
	r := open(t, c)
	if err := r.Put(t.Context(), "packs/a", content(10, 1)); err != nil {
		t.Fatal(err)
	}
	p.BlackHole(true)
	swallowed := p.AfterSent(50)
	result := make(chan error, 1)
	go func() { _, err := r.Stat(t.Context(), "packs/a"); result <- err }()
	<-swallowed
	p.BlackHole(false)
	if err := <-result; err != nil {
		t.Errorf("a call that met a dead connection: %v", err)
	}
}
