package backends_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
)

// deaf is a node behind a transport that ignores contexts: every call waits
// for the channel to close and then does its work all the same.
type deaf struct {
	backendtest.Mem
	wake chan struct{}

	mu     sync.Mutex
	closed bool
}

func (d *deaf) Put(ctx context.Context, name string, data []byte) error {
	<-d.wake
	return d.Mem.Put(context.WithoutCancel(ctx), name, data)
}

func (d *deaf) ReadAt(ctx context.Context, name string, p []byte, off int64) error {
	<-d.wake
	return d.Mem.ReadAt(context.WithoutCancel(ctx), name, p, off)
}

func (d *deaf) Stat(ctx context.Context, name string) (int64, error) {
	<-d.wake
	return d.Mem.Stat(context.WithoutCancel(ctx), name)
}

func (d *deaf) List(ctx context.Context, dir string) iter.Seq2[backends.Entry, error] {
	return func(yield func(backends.Entry, error) bool) {
		<-d.wake
		d.Mem.List(context.WithoutCancel(ctx), dir)(yield)
	}
}

func (d *deaf) Delete(ctx context.Context, name string) error {
	<-d.wake
	return d.Mem.Delete(context.WithoutCancel(ctx), name)
}

func (d *deaf) Free(ctx context.Context) (int64, int64, error) {
	<-d.wake
	return d.Mem.Free(context.WithoutCancel(ctx))
}

func (d *deaf) Replace(ctx context.Context, name string, data []byte) error {
	return d.Put(ctx, name, data)
}

func (d *deaf) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.closed = true
		close(d.wake)
	}
	return nil
}

func (d *deaf) isClosed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

// calls is every way to call a Remote, with 1 MiB where it carries bytes.
func calls(r backends.Remote) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"put":    func(ctx context.Context) error { return r.Put(ctx, "file", make([]byte, 1<<20)) },
		"read":   func(ctx context.Context) error { return r.ReadAt(ctx, "file", make([]byte, 1<<20), 0) },
		"stat":   func(ctx context.Context) error { _, err := r.Stat(ctx, "file"); return err },
		"delete": func(ctx context.Context) error { return r.Delete(ctx, "file") },
		"list": func(ctx context.Context) error {
			for _, err := range r.List(ctx, "") {
				return err
			}
			return nil
		},
		"free": func(ctx context.Context) error {
			c, _ := backends.As[backends.Capacity](r)
			_, _, err := c.Free(ctx)
			return err
		},
		"replace": func(ctx context.Context) error {
			w, _ := backends.As[backends.Replacer](r)
			return w.Replace(ctx, "file", make([]byte, 1<<20))
		},
	}
}

func TestDeadlineEndsEveryCallEvenWhenContextIsIgnored(t *testing.T) {
	config := backends.DeadlineConfig{Small: 3 * time.Second, PerMiB: 5 * time.Second, Listing: 7 * time.Second}
	limits := map[string]time.Duration{"put": 8 * time.Second, "read": 8 * time.Second, "replace": 8 * time.Second, "list": 7*time.Second + 100*time.Millisecond}
	for op := range calls(nil) {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				node := &deaf{wake: make(chan struct{})}
				r := backends.Deadline(node, config)
				limit, ok := limits[op]
				if !ok {
					limit = config.Small
				}
				began := time.Now()
				err := calls(r)[op](t.Context())
				if !errors.Is(err, cairn.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s ended with %v", op, err)
				}
				if took := time.Since(began); took > limit || took < limit-time.Second {
					t.Errorf("%s took %v, its limit is %v", op, took, limit)
				}
				node.Close()
			})
		})
	}
}

func TestDeadlineEndsSoonAfterTheCallerGaveUp(t *testing.T) {
	for op := range calls(nil) {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				node := &deaf{wake: make(chan struct{})}
				r := backends.Deadline(node, backends.DeadlineConfig{})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				err := calls(r)[op](ctx)
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s ended with %v", op, err)
				}
				if took := time.Since(began); took > 1100*time.Millisecond {
					t.Errorf("%s took %v", op, took)
				}
				node.Close()
			})
		})
	}
}

func TestAbandonedReadNeverWritesToTheCallersBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &deaf{wake: make(chan struct{})}
		node.SetBytes("file", bytes.Repeat([]byte{7}, 100))
		r := backends.Deadline(node, backends.DeadlineConfig{})
		p := make([]byte, 100)
		if err := r.ReadAt(t.Context(), "file", p, 0); err == nil {
			t.Fatal("a deaf node answered")
		}
		node.Close()
		synctest.Wait() // the abandoned read has filled its buffer now
		if !bytes.Equal(p, make([]byte, 100)) {
			t.Error("the buffer was written to after the call had returned")
		}
		if err := r.ReadAt(t.Context(), "file", p, 0); err != nil || p[99] != 7 {
			t.Errorf("a good read gave %v, %v", p[99], err)
		}
	})
}

func TestAbandonedPutSendsWhatItWasGiven(t *testing.T) {
	for _, op := range []string{"put", "replace"} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				node := &deaf{wake: make(chan struct{})}
				r := backends.Deadline(node, backends.DeadlineConfig{})
				put := r.Put
				if op == "replace" {
					w, _ := backends.As[backends.Replacer](r)
					put = w.Replace
				}
				data := bytes.Repeat([]byte{7}, 100)
				if err := put(t.Context(), "file", data); !errors.Is(err, cairn.ErrUnavailable) {
					t.Fatalf("a deaf node answered %v", err)
				}
				clear(data)
				node.Close()
				synctest.Wait()
				if got, _ := node.Bytes("file"); !bytes.Equal(got, bytes.Repeat([]byte{7}, 100)) {
					t.Error("the abandoned call sent what the caller wrote later")
				}
			})
		})
	}
}

func TestAbandonedCallsAreBoundedAndCountDownAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &deaf{wake: make(chan struct{})}
		node.SetBytes("file", nil)
		r := backends.Deadline(node, backends.DeadlineConfig{Abandoned: 3})
		for n := range 3 {
			if _, err := r.Stat(t.Context(), "file"); !errors.Is(err, cairn.ErrUnavailable) {
				t.Fatalf("call %d: %v", n, err)
			}
		}
		for op, call := range calls(r) {
			began := time.Now()
			if err := call(t.Context()); !errors.Is(err, cairn.ErrUnavailable) {
				t.Errorf("%s above the bound: %v", op, err)
			}
			if took := time.Since(began); took != 0 {
				t.Errorf("%s above the bound took %v", op, took)
			}
		}
		node.Close()
		synctest.Wait()
		if _, err := r.Stat(t.Context(), "file"); err != nil {
			t.Errorf("after the node came back: %v", err)
		}
	})
}

func TestCancelledCallsOfAGoodNodeAreNotAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := backendtest.NewFaulty(&backendtest.Mem{}, backendtest.Always(backendtest.Hangs)) // honours ctx
		r := backends.Deadline(faulty, backends.DeadlineConfig{Abandoned: 1})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if err := r.Put(ctx, "file", nil); !errors.Is(err, context.Canceled) {
					t.Errorf("cancelled put: %v", err)
				}
			})
		}
		synctest.Wait()
		cancel()
		wg.Wait()
		faulty.SetChoose(nil)
		if err := r.Put(t.Context(), "file", nil); err != nil {
			t.Errorf("after cancelled calls: %v", err)
		}
	})
}

func TestDeadlineGrowsWithSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := &backendtest.Mem{}
		r := backends.Deadline(backendtest.NewFaulty(mem, backendtest.Always(backendtest.Drips)),
			backends.DeadlineConfig{Small: 30 * time.Second, PerMiB: 1 << 20 * time.Second})
		// At one byte a second, 1,000 bytes take 1,000 s and may take 1,030 s.
		if err := r.Put(t.Context(), "file", make([]byte, 1000)); err != nil {
			t.Errorf("put that drips within its time: %v", err)
		}
		r = backends.Deadline(backendtest.NewFaulty(mem, backendtest.Always(backendtest.Drips)), backends.DeadlineConfig{})
		if err := r.Put(t.Context(), "file2", make([]byte, 1000)); !errors.Is(err, cairn.ErrUnavailable) {
			t.Errorf("put that drips without end: %v", err)
		}
	})
}

func TestListingThatDripsGoesOnOnlyWhileItKeepsPace(t *testing.T) {
	for name, c := range map[string]struct {
		listing time.Duration
		theirs  time.Duration // what the consumer takes for each entry
		want    error
	}{
		"an entry a second against one a second":       {listing: 64 * time.Second},
		"an entry a second against one a half":         {listing: 32 * time.Second, want: cairn.ErrUnavailable},
		"an entry a second against none for a quarter": {listing: time.Second / 4, want: cairn.ErrUnavailable},
		"the consumer's own time does not count":       {listing: 2 * time.Second, theirs: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem := &backendtest.Mem{}
				for n := range 200 {
					mem.SetBytes(string([]byte{'a' + byte(n/26), 'a' + byte(n%26)}), nil)
				}
				r := backends.Deadline(backendtest.NewFaulty(mem, backendtest.Always(backendtest.Drips)), backends.DeadlineConfig{Listing: c.listing})
				seen := 0
				var err error
				for _, e := range r.List(t.Context(), "") {
					if err = e; err == nil {
						seen++
					}
					<-time.After(c.theirs)
				}
				if !errors.Is(err, c.want) || c.want == nil && seen != 200 {
					t.Errorf("%d entries, then %v", seen, err)
				}
			})
		})
	}
}

func TestCloseWaitsForAbandonedCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &deaf{wake: make(chan struct{})}
		r := backends.Deadline(node, backends.DeadlineConfig{})
		if err := r.Put(t.Context(), "file", nil); err == nil {
			t.Fatal("a deaf node answered")
		}
		closer, _ := backends.As[backends.Closer](backends.Meter(r, "n1", nil))
		if err := closer.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if !node.isClosed() {
			t.Error("the node was not closed")
		}
		if _, ok := node.Bytes("file"); !ok {
			t.Error("close did not wait for the call that hung")
		}
		if err := r.Put(t.Context(), "later", nil); !errors.Is(err, cairn.ErrUnavailable) {
			t.Errorf("a call after close: %v", err)
		}
		if err := closer.Close(); err != nil {
			t.Errorf("the second close: %v", err)
		}
	})
}

func TestCloseReportsCallsThatNeverEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &deaf{wake: make(chan struct{})}
		// bare hides Close, so nothing wakes the call.
		r := backends.Deadline(bare{node}, backends.DeadlineConfig{Small: 2 * time.Second})
		if err := r.Put(t.Context(), "file", nil); err == nil {
			t.Fatal("a deaf node answered")
		}
		closer, _ := backends.As[backends.Closer](r)
		began := time.Now()
		if err := closer.Close(); !errors.Is(err, cairn.ErrUnavailable) {
			t.Errorf("close: %v", err)
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("close took %v", took)
		}
		node.Close()
	})
}
