package engine

import (
	"context"
	"sync"
	"time"

	"github.com/cairn-storage/cairn/config"
)

// pace bounds how fast one verb moves bytes: what it moved ahead of its rate is
// waited for before the next. It is safe for concurrent use; nil has no bound.
type pace struct {
	limit config.Bwlimit

	mu   sync.Mutex
	free time.Time // when what was let through is paid for; guarded by mu
}

// burst is how much may be moved ahead of the rate.
const burst = time.Second

type paceKey struct{}

// withPace lets whatever is done with the returned context move bytes no faster
// than limit says.
func withPace(ctx context.Context, limit config.Bwlimit) context.Context {
	return context.WithValue(ctx, paceKey{}, &pace{limit: limit})
}

func paceOf(ctx context.Context) *pace {
	p, _ := ctx.Value(paceKey{}).(*pace)
	return p
}

// wait returns nil when n bytes may be moved.
func (p *pace) wait(ctx context.Context, n int64) error {
	if p == nil {
		return nil
	}
	now := time.Now()
	rate := p.limit.At(now)
	if rate <= 0 {
		return nil
	}
	p.mu.Lock()
	if p.free.Before(now.Add(-burst)) {
		p.free = now.Add(-burst)
	}
	at := p.free
	p.free = at.Add(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
	p.mu.Unlock()
	if !at.After(now) {
		return nil
	}
	late := time.NewTimer(at.Sub(now))
	defer late.Stop()
	select {
	case <-late.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
