package sftp

import (
	"fmt"
	"io"
	"sync"

	"github.com/cairn-storage/cairn"
)

var errRevoked = fmt.Errorf("the caller is gone: %w", cairn.ErrUnavailable)

// source lends a caller's bytes to a transfer that may outlive the call: once
// revoked, they are never touched again.
type source struct {
	size int

	mu   sync.Mutex
	data []byte // guarded by mu, as below
	gone bool
}

func (s *source) revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data, s.gone = nil, true
}

func (s *source) revoked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone
}

// readAt copies from off, which must be within the data.
func (s *source) readAt(p []byte, off int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return 0, errRevoked
	}
	return copy(p, s.data[off:]), nil
}

// reader reads a source from its start.
type reader struct {
	src *source
	off int
}

func (r *reader) Read(p []byte) (int, error) {
	if r.off >= r.src.size {
		return 0, io.EOF
	}
	n, err := r.src.readAt(p, r.off)
	r.off += n
	return n, err
}
