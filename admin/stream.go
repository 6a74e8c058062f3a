package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"

	"github.com/cairn-storage/cairn"
)

// line is one line of the answer to a verb: any number with progress, then one
// with result or error. An answer that ends without one of these was cut off.
type line struct {
	Progress json.RawMessage `json:"progress,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	Error    *wireError      `json:"error,omitempty"`
}

// wireError carries an error's class over the socket.
type wireError struct {
	Class   string `json:"class"` // as cairn.ClassName has it
	Message string `json:"message"`
}

func (e *wireError) Error() string { return e.Message }

// Unwrap is the class, nil for a bug.
func (e *wireError) Unwrap() error {
	for _, class := range []error{cairn.ErrNotExist, cairn.ErrCorrupt, cairn.ErrUnavailable, cairn.ErrFull, cairn.ErrDenied,
		cairn.ErrLost, cairn.ErrInvalid, cairn.ErrPrecondition, cairn.ErrFork, cairn.ErrSlowDown} {
		if cairn.ClassName(class) == e.Class {
			return class
		}
	}
	return nil
}

// toWire gives err as it goes over the socket.
func toWire(err error) *wireError {
	var w *wireError
	if errors.As(err, &w) && err == error(w) {
		return w
	}
	return &wireError{Class: cairn.ClassName(err), Message: err.Error()}
}

// stream writes the lines of one answer, each at once.
type stream struct {
	w http.ResponseWriter

	mu   sync.Mutex // a verb may report from several goroutines
	done bool       // guarded by mu
}

// send writes one line; what comes after the last is dropped, as is what does
// not reach a caller who went away.
func (s *stream) send(l line, last bool) {
	b, err := json.Marshal(l)
	if err != nil {
		panic("admin: " + err.Error()) // unreachable: raw messages were made by json.Marshal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return
	}
	s.done = last
	if _, err := s.w.Write(append(b, '\n')); err == nil {
		_ = http.NewResponseController(s.w).Flush()
	}
}

func (s *stream) progress(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		b, _ = json.Marshal(fmt.Sprint(v)) // a string always encodes
	}
	s.send(line{Progress: b}, false)
}

func (s *stream) end(result any, err error) {
	if err != nil {
		s.send(line{Error: toWire(err)}, true)
		return
	}
	b, err := json.Marshal(result)
	if err != nil {
		s.send(line{Error: toWire(fmt.Errorf("the result does not encode: %w", err))}, true)
		return
	}
	s.send(line{Result: b}, true)
}

// panicked logs what a handler died of.
func (s *Server) panicked(what string, p any) {
	s.c.Log.Error("panic, please report this", "in", what, "err", fmt.Sprint(p), "stack", string(debug.Stack()))
}
