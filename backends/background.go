package backends

import "context"

type backgroundKey struct{}

// Background marks what is done with the context it returns as work that nobody
// waits for: repair, scrub, moving shards. Limit lets clients' calls pass it.
func Background(ctx context.Context) context.Context {
	return context.WithValue(ctx, backgroundKey{}, true)
}

// IsBackground reports whether ctx is of such work.
func IsBackground(ctx context.Context) bool { return ctx.Value(backgroundKey{}) != nil }
