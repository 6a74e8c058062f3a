package backends

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/cairn-storage/cairn"
)

// RetryConfig says how often and how fast. The zero value is good.
type RetryConfig struct {
	Tries   int           // calls in all, the first included; 0 means 3
	Pause   time.Duration // before the second try, doubled for each later one; 0 means 200 ms
	Longest time.Duration // of one pause; 0 means 5 s
}

// Retry calls r again when a call ends with ErrUnavailable or without a class,
// after a pause, as long as ctx lasts. Every other class is an answer, and is
// returned as it came. No other package repeats calls to a node.
//
// Put may repeat only because names are never reused: the worst that a late
// twin can do is to write the same bytes again. Replace does reuse its name,
// and a late twin could bring older bytes back, so it is tried once.
func Retry(r Remote, c RetryConfig) Remote {
	if c.Tries <= 0 {
		c.Tries = 3
	}
	if c.Pause <= 0 {
		c.Pause = 200 * time.Millisecond
	}
	if c.Longest <= 0 {
		c.Longest = 5 * time.Second
	}
	t := &retry{config: c}
	t.Around = Around{Inner: r, Do: t.do}
	return t
}

type retry struct {
	Around
	config RetryConfig
}

func (t *retry) do(ctx context.Context, c Call, run func(context.Context) error) error {
	if c.Op == OpReplace {
		return run(ctx)
	}
	return t.repeat(ctx, func() (bool, error) { return true, run(ctx) })
}

// repeat calls try until it succeeds, says that it must not be repeated, fails
// with a class that time does not change, or the tries or ctx are used up.
func (t *retry) repeat(ctx context.Context, try func() (again bool, err error)) error {
	pause := t.config.Pause
	for n := 1; ; n++ {
		again, err := try()
		switch {
		case err == nil, !again, ctx.Err() != nil, !errors.Is(Class(err), cairn.ErrUnavailable):
			return err
		case n == t.config.Tries:
			return fmt.Errorf("after %d tries: %w", n, err)
		}
		// Half of it random, so that calls that failed together do not
		// come back together.
		wait := pause/2 + rand.N(pause/2+1)
		if end, ok := ctx.Deadline(); ok && time.Until(end) <= wait {
			return fmt.Errorf("after %d tries, with no time for another: %w", n, err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("after %d tries, %w: %w", n, ctx.Err(), err)
		}
		pause = min(2*pause, t.config.Longest)
	}
}

// List repeats only until the first entry is out: entries must not come twice.
func (t *retry) List(ctx context.Context, dir string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		begun, stopped := false, false
		err := t.repeat(ctx, func() (bool, error) {
			for e, err := range t.Inner.List(ctx, dir) {
				if err != nil {
					return !begun, err
				}
				begun = true
				if !yield(e, nil) {
					stopped = true
					return false, nil
				}
			}
			return false, nil
		})
		if err != nil && !stopped {
			yield(Entry{}, err)
		}
	}
}
