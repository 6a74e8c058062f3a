package backends

import (
	"context"
	"time"
)

type backgroundKey struct{}

// Background marks what is done with the context it returns as work that nobody
// waits for: repair, scrub, moving shards. Limit lets clients' calls pass it.
func Background(ctx context.Context) context.Context {
	return context.WithValue(ctx, backgroundKey{}, true)
}

// IsBackground reports whether ctx is of such work.
func IsBackground(ctx context.Context) bool { return ctx.Value(backgroundKey{}) != nil }

// rests is how many times as long as work of the background took it rests after
// it: so it has a quarter at most of what it shares with clients.
const rests = 3

// Rest waits after work that nobody waits for and that took so long, for clients
// that share a disk, a line or the cores with it: three times as long, at most
// most, since what hangs must not hang longer for it. It ends early with ctx.
func Rest(ctx context.Context, took, most time.Duration) {
	t := time.NewTimer(min(rests*took, most))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
