package backends_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
)

// TestClientsPassTheBackground: while clients read, one call of the background
// runs at a time and theirs wait for none; once they are quiet the background has
// the node to itself.
func TestClientsPassTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots, slow = 4, 100 * time.Millisecond
		var mu sync.Mutex
		running, most := 0, 0 // of the background
		inner := &backends.Around{Inner: &backendtest.Mem{}, Do: func(ctx context.Context, _ backends.Call, run func(context.Context) error) error {
			if backends.IsBackground(ctx) {
				mu.Lock()
				running++
				most = max(most, running)
				mu.Unlock()
				defer func() { mu.Lock(); running--; mu.Unlock() }()
			}
			select {
			case <-time.After(slow):
			case <-ctx.Done():
			}
			return run(ctx)
		}}
		r := backends.Limit(inner, slots)
		if err := r.Put(t.Context(), "x", []byte("x")); err != nil {
			t.Fatal(err)
		}
		read := func(ctx context.Context) time.Duration {
			start := time.Now()
			if err := r.ReadAt(ctx, "x", make([]byte, 1), 0); err != nil {
				t.Error(err)
			}
			return time.Since(start)
		}
		back := backends.Background(t.Context())
		start := time.Now()
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() { read(back) })
		}
		for range 10 {
			if took := read(t.Context()); took > slow {
				t.Errorf("a client waited %v behind the background", took-slow)
			}
		}
		mu.Lock()
		if most != 1 {
			t.Errorf("%d calls of the background ran at once beside a client", most)
		}
		mu.Unlock()
		wg.Wait()
		if most != slots {
			t.Errorf("%d calls of the background ran at once, and nobody else was there", most)
		}
		// Beside clients and for a second after them one by one, then four at a time.
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("all took %v", took)
		}
		// Whoever gives up waiting leaves no slot behind.
		for range 2 * slots {
			ctx, cancel := context.WithTimeout(back, slow/2)
			for range slots {
				wg.Go(func() { _ = r.ReadAt(ctx, "x", make([]byte, 1), 0) })
			}
			wg.Wait()
			cancel()
		}
		if took := read(t.Context()); took > slow {
			t.Errorf("slots were lost: %v", took)
		}
	})
}

// TestTheBackgroundIsNotStarved by clients that always wait for a call: now and
// then one of it runs before them.
func TestTheBackgroundIsNotStarved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots, slow = 2, 100 * time.Millisecond
		inner := &backends.Around{Inner: &backendtest.Mem{}, Do: func(ctx context.Context, _ backends.Call, run func(context.Context) error) error {
			select {
			case <-time.After(slow):
			case <-ctx.Done():
			}
			return run(ctx)
		}}
		r := backends.Limit(inner, slots)
		if err := r.Put(t.Context(), "x", []byte("x")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 3 * slots {
			wg.Go(func() {
				for ctx.Err() == nil {
					_ = r.ReadAt(ctx, "x", make([]byte, 1), 0)
				}
			})
		}
		synctest.Wait()
		back, end := context.WithTimeout(backends.Background(t.Context()), time.Minute)
		defer end()
		start := time.Now()
		for range 3 {
			if err := r.ReadAt(back, "x", make([]byte, 1), 0); err != nil {
				t.Fatalf("after %v: %v", time.Since(start), err)
			}
		}
		if took := time.Since(start); took < 10*time.Second || took > 20*time.Second {
			t.Errorf("three calls took %v", took)
		}
		cancel()
		wg.Wait()
	})
}
