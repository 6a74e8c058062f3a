package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/cairn-storage/cairn"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// watchHandler answers what changes nothing.
func (s *Server) watchHandler() http.Handler {
	mux := http.NewServeMux()
	s.watch(mux)
	return mux
}

func (s *Server) watch(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /api/status", s.status)
	mux.HandleFunc("GET /{$}", s.page)
	if s.c.Gatherer != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(s.c.Gatherer, promhttp.HandlerOpts{
			ErrorHandling: promhttp.ContinueOnError, // the other figures are still good
		}))
	}
}

func (s *Server) healthz(w http.ResponseWriter, r *http.Request) {
	if s.c.Healthy != nil {
		if err := s.c.Healthy(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	fmt.Fprintln(w, "ok")
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	if s.c.Status == nil {
		http.NotFound(w, r)
		return
	}
	v, err := s.c.Status(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, v)
}

func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if s.c.Page != nil {
		if err := s.c.Page(r.Context(), w); err != nil {
			fmt.Fprintln(w, err)
		}
	}
	fmt.Fprintln(w, "\n/api/status   /metrics   /healthz")
}

func answer(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(b, '\n')) // a reader who went away is no fault of ours
}

func refuse(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	if errors.Is(err, cairn.ErrUnavailable) {
		code = http.StatusServiceUnavailable
	}
	b, _ := json.Marshal(line{Error: toWire(err)}) // two strings always encode
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(b, '\n'))
}
