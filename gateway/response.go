package gateway

import (
	"net/http"
	"time"
)

// stall is how long a client may neither take nor send a byte of a body
// before its connection is given up; Nix, the most patient, gives up at 300 s.
const stall = 2 * time.Minute

// response counts what is answered and gives every write a deadline.
type response struct {
	http.ResponseWriter
	ctl    *http.ResponseController
	status int   // 0 until the header is out
	sent   int64 // bytes of body
}

func newResponse(w http.ResponseWriter, id string) *response {
	r := &response{ResponseWriter: w, ctl: http.NewResponseController(w)}
	// The deadline of the last answer on this connection must not hit this
	// one. Writers that know no deadlines do without.
	_ = r.ctl.SetWriteDeadline(time.Time{})
	w.Header().Set("X-Amz-Request-Id", id)
	return r
}

// WriteHeader sends the header once.
func (r *response) WriteHeader(status int) {
	r.status = status
	_ = r.ctl.SetWriteDeadline(time.Now().Add(stall))
	r.ResponseWriter.WriteHeader(status)
}

// Write sends part of a body.
func (r *response) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	_ = r.ctl.SetWriteDeadline(time.Now().Add(stall))
	n, err := r.ResponseWriter.Write(p)
	r.sent += int64(n)
	return n, err
}
