package engine

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/store"
)

// Purge deletes an object and its bytes from every node at once, and tells who
// confirmed, no faster than limit says, and without regard to nodes' hours and
// traffic. See store.Purge.
func (e *Engine) Purge(ctx context.Context, k cairn.Key, limit config.Bwlimit, report func(Progress)) (store.Purged, error) {
	if err := e.needCare(); err != nil {
		return store.Purged{}, err
	}
	out, err := e.Store.Purge(ctx, k, hurried(limit), func(text string) { report(Progress{Text: text}) })
	if err != nil {
		return out, fmt.Errorf("%v: %w", k, err)
	}
	return out, nil
}
