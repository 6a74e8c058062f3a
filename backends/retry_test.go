package backends_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
)

func TestRetryTriesOnlyWhatTimeMayChange(t *testing.T) {
	for name, c := range map[string]struct {
		err  error // of the first two calls; the third works
		want int   // calls
		ends error
	}{
		"unavailable is tried again":         {fmt.Errorf("reset: %w", cairn.ErrUnavailable), 3, nil},
		"no class counts as unavailable":     {errors.New("odd"), 3, nil},
		"missing is an answer":               {cairn.ErrNotExist, 1, cairn.ErrNotExist},
		"corrupt is an answer":               {cairn.ErrCorrupt, 1, cairn.ErrCorrupt},
		"full is an answer":                  {cairn.ErrFull, 1, cairn.ErrFull},
		"denied is an answer":                {cairn.ErrDenied, 1, cairn.ErrDenied},
		"an invalid argument stays invalid":  {cairn.ErrInvalid, 1, cairn.ErrInvalid},
		"another's timeout is not the end":   {context.DeadlineExceeded, 3, nil},
		"unavailable and missing is missing": {fmt.Errorf("%w: %w", cairn.ErrUnavailable, cairn.ErrNotExist), 1, cairn.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				r := backends.Retry(&backends.Around{Inner: &backendtest.Mem{}, Do: func(ctx context.Context, _ backends.Call, run func(context.Context) error) error {
					if calls++; calls <= 2 {
						return c.err
					}
					return run(ctx)
				}}, backends.RetryConfig{})
				err := r.Put(t.Context(), "file", nil)
				if calls != c.want || !errors.Is(err, c.ends) || (c.ends == nil) != (err == nil) {
					t.Errorf("%d calls, %v; want %d, %v", calls, err, c.want, c.ends)
				}
			})
		})
	}
}

func TestRetryEndsAfterItsTriesWithGrowingPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := backendtest.NewFaulty(&backendtest.Mem{}, backendtest.Always(backendtest.Fails))
		r := backends.Retry(f, backends.RetryConfig{Tries: 6, Pause: time.Second, Longest: 4 * time.Second})
		began := time.Now()
		if err := r.Put(t.Context(), "file", nil); !errors.Is(err, cairn.ErrUnavailable) {
			t.Errorf("put: %v", err)
		}
		if n := f.Attempts(backends.OpPut, "file"); n != 6 {
			t.Errorf("%d tries", n)
		}
		// 1+2+4+4+4 s, each at least half.
		if took := time.Since(began); took < 7500*time.Millisecond || took > 15*time.Second+5 {
			t.Errorf("took %v", took)
		}
	})
}

func TestRetryStopsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := backendtest.NewFaulty(&backendtest.Mem{}, backendtest.Always(backendtest.Fails))
		r := backends.Retry(f, backends.RetryConfig{Pause: time.Hour, Longest: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		err := r.Put(ctx, "timeout", nil)
		if !errors.Is(err, cairn.ErrUnavailable) || time.Since(began) != 0 {
			t.Errorf("a pause beyond the deadline: %v after %v", err, time.Since(began))
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		err = r.Put(ctx, "cancel", nil)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, cairn.ErrUnavailable) || time.Since(began) != time.Second {
			t.Errorf("cancelled in a pause: %v after %v", err, time.Since(began))
		}
		if n := f.Attempts(backends.OpPut, "cancel"); n != 1 {
			t.Errorf("%d tries", n)
		}
	})
}

// A late twin of a replace could bring older bytes back.
func TestReplaceIsNeverTriedAgain(t *testing.T) {
	f := backendtest.NewFaulty(&backendtest.Mem{}, backendtest.Always(backendtest.WorksButFails))
	w, _ := backends.As[backends.Replacer](backends.Retry(f, backends.RetryConfig{Pause: 1}))
	if err := w.Replace(t.Context(), "status", nil); !errors.Is(err, cairn.ErrUnavailable) {
		t.Errorf("replace: %v", err)
	}
	if n := f.Attempts(backends.OpReplace, "status"); n != 1 {
		t.Errorf("%d tries", n)
	}
}

func TestListingIsTriedAgainOnlyBeforeItsFirstEntry(t *testing.T) {
	mem := &backendtest.Mem{}
	mem.SetBytes("a", nil)
	mem.SetBytes("b", nil)
	for name, c := range map[string]struct {
		choose backendtest.Choose
		seen   int
		tries  int
		err    error
	}{
		"fails at once, then works": {backendtest.First(2, backendtest.Fails), 2, 3, nil},
		"fails after its entries":   {backendtest.First(2, backendtest.WorksButFails), 2, 1, cairn.ErrUnavailable},
		"always fails":              {backendtest.Always(backendtest.Fails), 0, 3, cairn.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			f := backendtest.NewFaulty(mem, c.choose)
			seen, last := 0, error(nil)
			for _, err := range backends.Retry(f, backends.RetryConfig{Pause: 1}).List(t.Context(), "") {
				if last = err; err == nil {
					seen++
				}
			}
			if seen != c.seen || f.Attempts(backends.OpList, "") != c.tries || !errors.Is(last, c.err) {
				t.Errorf("%d entries, %d tries, %v", seen, f.Attempts(backends.OpList, ""), last)
			}
		})
	}
}
