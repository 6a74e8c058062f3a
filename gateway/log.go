package gateway

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"
)

// Which requests Config.AccessLog puts at Info.
const (
	logAll    = "all"
	logErrors = "errors"
	logOff    = "off"
)

// account writes the one log line of a request and counts it. err is why it
// failed; finished is false when the answer was torn.
func (g *Gateway) account(r *request, err error, finished bool) {
	took := time.Since(r.began)
	g.metrics.count(r, took, finished)

	var f *failure
	if err != nil {
		f = classify(err, false)
	}
	level := levelOf(err, f, finished)
	// A client that leaves ends its request's context; the line is written
	// all the same.
	ctx := context.WithoutCancel(r.Context())
	verbose := g.log.Enabled(ctx, slog.LevelDebug)
	if level == slog.LevelInfo && !g.loud(err, f) {
		level = slog.LevelDebug
	}
	if !g.log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 20)
	attrs = append(attrs, slog.String("request", r.id), slog.String("op", r.op.name), slog.String("bucket", r.key.Bucket),
		slog.Int("status", r.w.status), slog.Int64("received", r.wire.received), slog.Int64("bytes", r.w.sent),
		slog.Duration("took", took), slog.String("from", r.peer.address))
	if !r.anonymous {
		attrs = append(attrs, slog.String("access", r.access.ID), slog.String("auth", r.proof))
	}
	if verbose && r.key.Object != "" {
		attrs = append(attrs, slog.String("object", r.key.Object))
	}
	if f != nil {
		attrs = append(attrs, slog.String("code", f.code.name))
		if f.code == codeSignatureMismatch {
			attrs = append(attrs, slog.String("host", r.Host), slog.Any("tried", r.hosts))
		}
		if level >= slog.LevelWarn || verbose {
			attrs = append(attrs, slog.String("err", r.private(err.Error(), verbose)))
		}
	}
	if bug := (*panicked)(nil); errors.As(err, &bug) {
		attrs = append(attrs, slog.String("stack", string(bug.stack)))
	}
	message := "answered"
	if !finished {
		message = "answer torn"
	}
	g.log.LogAttrs(ctx, level, message, attrs...)
}

// loud reports whether a request that is nothing to worry about is for Info.
func (g *Gateway) loud(err error, f *failure) bool {
	switch g.c.AccessLog {
	case logAll:
		return true
	case logOff:
		return false
	}
	// What is not there, or not as a condition wants it, is a usual answer: for
	// Nix most of them are.
	return err != nil && f.code != codeNoSuchKey && f.code != codePreconditionFailed
}

// levelOf is Error where a request failed that should not have, Warn where
// someone should look, Info else.
func levelOf(err error, f *failure, finished bool) slog.Level {
	switch {
	case err == nil && finished, errors.Is(err, errClientGone), errors.Is(err, context.Canceled):
		return slog.LevelInfo
	case !finished, f.code == codeInternal:
		return slog.LevelError
	case f.code == codeUnavailable, f.code == codeQuotaExceeded, f.code == codeSlowDown, f.code == codeSignatureMismatch:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// private takes the object's name, which is private, out of a message that
// is not for Debug.
func (r *request) private(message string, verbose bool) string {
	if verbose || r.key.Object == "" {
		return message
	}
	message = strings.ReplaceAll(message, r.key.String(), r.key.Bucket+"/...")
	if len(r.key.Object) >= 4 { // a shorter name would also be found inside words
		message = strings.ReplaceAll(message, r.key.Object, "...")
	}
	return message
}
