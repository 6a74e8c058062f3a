package fleet

import (
	"context"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
)

// paceLook is the most that a wait goes on without looking whether the bound is
// another by now.
const paceLook = time.Minute

// Pace bounds the bytes a second of work that asks it. It is safe for concurrent
// use; who asks first goes first.
type Pace struct {
	rate func(time.Time) int64
	turn chan struct{} // holds one while somebody waits for what was spent before

	// Of whoever has the turn:
	owed  float64   // bytes that were let through and whose time is not over
	since time.Time // as of when
}

// NewPace bounds by what rate says for a moment, in bytes a second; 0 and less is
// no bound. A nil rate never bounds.
func NewPace(rate func(time.Time) int64) *Pace {
	return &Pace{rate: rate, turn: make(chan struct{}, 1)}
}

// Wait returns when n bytes more may be moved: at once when nothing was for long
// enough, else when what was let through before has had its time. The error is
// that of ctx.
func (p *Pace) Wait(ctx context.Context, n int64) error {
	if p == nil || p.rate == nil {
		return ended(ctx)
	}
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return ended(ctx)
	}
	defer func() { <-p.turn }()
	for {
		rate := p.pass(time.Now())
		if p.owed <= 0 {
			break
		}
		if err := pause(ctx, min(time.Duration(p.owed/rate*float64(time.Second))+1, paceLook), nil); err != nil {
			return err
		}
	}
	if err := ended(ctx); err != nil {
		return err
	}
	p.owed = float64(max(n, 0))
	return nil
}

// pass lets the time until now count, and returns the rate.
func (p *Pace) pass(now time.Time) float64 {
	rate := float64(p.rate(now))
	if rate <= 0 {
		p.owed = 0
	}
	p.owed -= max(now.Sub(p.since), 0).Seconds() * rate
	p.since = now
	return rate
}

// pause waits for d, or until changed is closed, if it is not nil; the error is
// that ctx ended.
func pause(ctx context.Context, d time.Duration, changed <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-changed:
	case <-ctx.Done():
		return ended(ctx)
	}
	return nil
}

// ended is the error of a ctx that is over, of class ErrUnavailable.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("fleet: waiting: %w: %w", err, cairn.ErrUnavailable)
	}
	return nil
}
