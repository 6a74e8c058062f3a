package gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// wire is a request's body as it comes off the connection. It counts, gives
// every read a deadline and names what can go wrong with a connection.
type wire struct {
	src      io.Reader
	ctl      *http.ResponseController
	received int64
	ended    bool // the body is read to its end, or to its failure
}

// Read fails with IncompleteBody when the client ends early and with
// RequestTimeout when it stands still.
func (w *wire) Read(p []byte) (int, error) {
	_ = w.ctl.SetReadDeadline(time.Now().Add(stall))
	n, err := w.src.Read(p)
	w.received += int64(n)
	if err == nil {
		return n, nil
	}
	w.ended = true
	switch {
	case err == io.EOF:
		// net/http goes on reading to notice a client that leaves, while the
		// store still works on what it sent: that read may take for ever. After
		// a failure the deadline stays, for net/http looks for the rest.
		_ = w.ctl.SetReadDeadline(time.Time{})
		return n, io.EOF
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, &failure{code: codeRequestTimeout, message: "no byte of the body came for " + stall.String(), cause: err}
	}
	return n, &failure{code: codeIncompleteBody, message: "the body ended before its Content-Length", cause: err}
}

// abandon bounds how long net/http may wait for the rest of a body that
// nobody reads, so that the connection can serve another request.
func (w *wire) abandon() {
	if !w.ended {
		_ = w.ctl.SetReadDeadline(time.Now().Add(stall))
	}
}
