package events

import (
	"context"
	"log/slog"
	"slices"
)

// Handler passes records on to next and keeps events of those at Info and
// above, whatever next's level is. It never waits for the disk.
func (l *Log) Handler(next slog.Handler) slog.Handler { return &handler{log: l, next: next} }

type handler struct {
	log  *Log
	next slog.Handler
	of   []slog.Attr // of the logger; groups are not kept apart
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || h.next.Enabled(ctx, level)
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelInfo {
		if e, ok := eventOf(r, h.of); ok {
			h.log.add(e)
		}
	}
	if !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.log, h.next.WithAttrs(attrs), append(slices.Clone(h.of), attrs...)}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.log, h.next.WithGroup(name), h.of}
}
