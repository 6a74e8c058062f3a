package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
)

// maxArgs bounds the arguments of a verb, bytes; the largest hold an SSH key.
const maxArgs = 1 << 20

// socketHandler answers everything, verbs included.
func (s *Server) socketHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/{verb...}", s.run)
	mux.HandleFunc("GET /v1/{$}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, slices.Sorted(maps.Keys(s.verbs)))
	})
	s.watch(mux)
	return mux
}

// run runs one verb. The status is 200 whatever comes of it: the class is in
// the last line.
func (s *Server) run(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := &stream{w: w}
	out.end(s.verb(r.Context(), r.PathValue("verb"), r.Body, out))
}

func (s *Server) verb(ctx context.Context, name string, body io.Reader, out *stream) (result any, err error) {
	v, ok := s.verbs[name]
	if !ok {
		return nil, fmt.Errorf("the running gateway knows no verb %q: is it of the same release? %w", name, cairn.ErrInvalid)
	}
	args, err := io.ReadAll(io.LimitReader(body, maxArgs+1))
	if err != nil {
		return nil, fmt.Errorf("arguments: %w", err)
	}
	if len(args) > maxArgs || !json.Valid(args) {
		return nil, fmt.Errorf("arguments of %d bytes: needs JSON of at most %d: %w", len(args), maxArgs, cairn.ErrInvalid)
	}
	defer func() {
		if p := recover(); p != nil {
			s.panicked(name, p)
			result, err = nil, fmt.Errorf("%s failed inside the gateway: %v; its log has more", name, p)
		}
	}()
	level, began := slog.LevelInfo, time.Now()
	if v.Looks {
		level = slog.LevelDebug
	}
	s.c.Log.Log(ctx, level, "verb begins", "op", name)
	result, err = v.Run(ctx, args, out.progress)
	// The error goes to who called; it may name what is private.
	s.c.Log.Log(ctx, level, "verb ended", "op", name, "class", cairn.ClassName(err), "took", time.Since(began))
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("%s was interrupted, the gateway is stopping: %w: %w", name, err, cairn.ErrUnavailable)
	}
	return result, err
}
