package rclone

import (
	"context"
	"log/slog"

	"github.com/rclone/rclone/fs"
)

// RouteLog sends what rclone itself logs, for all its remotes, to log. rclone
// has one logger for the process, and guards it by nothing: call this once,
// first thing in main.
//
// Levels come down by what they mean here: rclone's notices are Info, and its
// errors Warn, for each of them also comes back as an error of a call, which
// is handled there.
func RouteLog(log *slog.Logger) { fs.SetLogger(router{log.Handler()}) }

type router struct{ to slog.Handler }

func level(l slog.Level) slog.Level {
	switch {
	case l >= fs.SlogLevelCritical:
		return slog.LevelError
	case l >= slog.LevelWarn:
		return slog.LevelWarn
	case l >= slog.LevelInfo:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

func (r router) Enabled(ctx context.Context, l slog.Level) bool { return r.to.Enabled(ctx, level(l)) }

func (r router) Handle(ctx context.Context, rec slog.Record) error {
	out := slog.NewRecord(rec.Time, level(rec.Level), "rclone: "+rec.Message, rec.PC)
	rec.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "object":
			out.AddAttrs(slog.String("file", a.Value.String())) // "object" means an S3 object here
		case "objectType":
		default:
			out.AddAttrs(a)
		}
		return true
	})
	return r.to.Handle(ctx, out)
}

func (r router) WithAttrs(attrs []slog.Attr) slog.Handler { return router{r.to.WithAttrs(attrs)} }
func (r router) WithGroup(name string) slog.Handler       { return router{r.to.WithGroup(name)} }
