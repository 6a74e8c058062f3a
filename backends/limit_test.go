package backends_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
)

func TestLimitLetsNCallsRunAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		r := backends.Limit(&backends.Around{Inner: &backendtest.Mem{}, Do: func(ctx context.Context, _ backends.Call, run func(context.Context) error) error {
			for n := now.Add(1); n > most.Load(); {
				most.Store(n)
			}
			defer now.Add(-1)
			<-time.After(time.Second)
			return run(ctx)
		}}, 3)
		began := time.Now()
		var wg sync.WaitGroup
		for n := range 9 {
			wg.Go(func() {
				if err := r.Put(t.Context(), string([]byte{'a' + byte(n)}), nil); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if most.Load() != 3 || time.Since(began) != 3*time.Second {
			t.Errorf("at most %d at once, %v in all", most.Load(), time.Since(began))
		}
	})
}

func TestWaitingForASlotEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := backendtest.NewFaulty(&backendtest.Mem{}, backendtest.Always(backendtest.Hangs))
		r := backends.Limit(f, 1)
		hanging, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { r.Delete(hanging, "first") })
		synctest.Wait()
		for op, call := range calls(r) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			began := time.Now()
			if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
				t.Errorf("%s: %v after %v", op, err, time.Since(began))
			}
			cancel()
		}
		if n := f.Attempts(backends.OpStat, "file"); n != 0 {
			t.Errorf("%d calls got past a limit of 1", n)
		}
		stop()
		wg.Wait()
		f.SetChoose(nil)
		if err := r.Put(t.Context(), "file", nil); err != nil {
			t.Errorf("after the slot was free: %v", err)
		}
	})
}

func TestConsumerOfAListingMayCallTheRemoteAtALimitOfOne(t *testing.T) {
	mem := &backendtest.Mem{}
	for _, name := range []string{"a", "b", "c"} {
		mem.SetBytes(name, nil)
	}
	r := backends.Limit(mem, 1)
	for e, err := range r.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Delete(t.Context(), e.Name); err != nil {
			t.Fatal(err)
		}
	}
	if left := mem.Names(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	for range r.List(t.Context(), "") {
		break
	}
	if err := r.Put(t.Context(), "d", nil); err != nil {
		t.Errorf("the slot of a listing was not given back: %v", err)
	}
}
