package fleet

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
)

// TestPace lets through what the rate allows, in turn, however much is asked for
// at once and however many ask.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		p := NewPace(func(now time.Time) int64 {
			switch since := now.Sub(began); {
			case since < time.Hour:
				return 1000
			case since < 2*time.Hour:
				return 100
			}
			return 0 // no bound
		})
		var wg sync.WaitGroup
		var mu sync.Mutex
		var moved int64
		for range 10 {
			wg.Go(func() {
				for turns := 0; time.Since(began) < 2*time.Hour; turns++ {
					if turns == 10_000 {
						t.Error("nothing is held back")
						return
					}
					if err := p.Wait(t.Context(), 5000); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					moved += 5000
					mu.Unlock()
				}
			})
		}
		<-time.After(time.Hour)
		mu.Lock()
		if got := moved; got < 1000*3600 || got > 1000*3600+10_000 {
			t.Errorf("%d bytes in the first hour", got)
		}
		moved = 0
		mu.Unlock()
		<-time.After(time.Hour - time.Second)
		mu.Lock()
		if got := moved; got < 100*3500 || got > 100*3600+10_000 {
			t.Errorf("%d bytes in the second hour", got)
		}
		mu.Unlock()
		wg.Wait()
		if took := time.Since(began); took > 2*time.Hour+paceLook {
			t.Errorf("without a bound it still waits: %v", took)
		}
		if err := p.Wait(t.Context(), 1<<40); err != nil {
			t.Error(err)
		}
	})
}

// TestPaceEndsWithItsContext, in the queue and at the head of it, and who gave up
// costs the next one nothing.
func TestPaceEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPace(func(time.Time) int64 { return 10 })
		must(t, p.Wait(t.Context(), 1000)) // 100 s
		began := time.Now()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				err := p.Wait(ctx, 1<<40)
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v", err)
				}
				wantClass(t, "wait", err, cairn.ErrUnavailable)
			})
		}
		wg.Wait()
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("took %v", took)
		}
		must(t, p.Wait(t.Context(), 1))
		if took := time.Since(began); took < 100*time.Second || took > 101*time.Second {
			t.Errorf("the next one waited %v, want 100 s", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := NewPace(nil).Wait(ctx, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}
