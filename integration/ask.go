package integration

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Ask is one hand-made request: to an object of the client's bucket, or to the
// bucket when Key is empty.
type Ask struct {
	Method string
	Key    string
	Query  string   // raw
	Header []string // names and values in turn
	Body   []byte
	Signed Signed                    // how; nil is the usual way, the body's SHA-256 in a header
	Change func(*http.Request) error // before it is signed
}

// Signed signs r, which has everything but its body, and returns what is sent
// as the body.
type Signed func(k Keys, r *http.Request, body []byte) (wire []byte)

// Usual signs the body's hash.
func Usual(k Keys, r *http.Request, body []byte) []byte {
	k.Sign(r, hexSum(body), time.Now())
	return body
}

// Unsigned leaves the body out of the signature.
func Unsigned(k Keys, r *http.Request, body []byte) []byte {
	k.Sign(r, UnsignedPayload, time.Now())
	return body
}

// Untold signs the body's hash without telling it.
func Untold(k Keys, r *http.Request, body []byte) []byte {
	k.SignUntold(r, hexSum(body), time.Now())
	return body
}

// Anonymous does not sign.
func Anonymous(_ Keys, _ *http.Request, body []byte) []byte { return body }

// Presigned signs the address, as of so long ago.
func Presigned(ago, expires time.Duration) Signed {
	return func(k Keys, r *http.Request, body []byte) []byte {
		k.Presign(r, time.Now().Add(-ago), expires)
		return body
	}
}

// Off signs with a clock that is wrong by d.
func Off(d time.Duration) Signed {
	return func(k Keys, r *http.Request, body []byte) []byte {
		k.Sign(r, hexSum(body), time.Now().Add(d))
		return body
	}
}

// Basic is HTTP Basic authentication with the access key.
func Basic(k Keys, r *http.Request, body []byte) []byte {
	r.SetBasicAuth(k.Access, k.Secret)
	return body
}

// Reply is the whole answer to an Ask.
type Reply struct {
	Status int
	Code   string // of an error's XML body; empty when it had none
	Header http.Header
	Body   []byte
	// First is when the headers came; Gap the longest silence within the body.
	First, Gap time.Duration
}

func (r Reply) String() string {
	return fmt.Sprintf("HTTP %d %s, %d bytes %.300q", r.Status, r.Code, len(r.Body), r.Body)
}

// Is returns an error unless r has that status and, of an error, that code.
func (r Reply) Is(status int, code string) error {
	if r.Status != status || r.Code != code {
		return fmt.Errorf("answer %v, want %d %s", r, status, code)
	}
	return nil
}

// Into decodes the XML body.
func (r Reply) Into(v any) error {
	if r.Status/100 != 2 {
		return fmt.Errorf("answer %v", r)
	}
	if err := xml.Unmarshal(r.Body, v); err != nil {
		return fmt.Errorf("answer %v: %w", r, err)
	}
	return nil
}

// Make is the request, signed, as it goes to the wire.
func (c *Client) Make(ctx context.Context, a Ask) (*http.Request, error) {
	r, err := c.request(ctx, a.Method, a.Key, nil)
	if err != nil {
		return nil, err
	}
	if a.Key == "" {
		r.URL.Path, r.URL.RawPath = "/"+c.Bucket, ""
	}
	r.URL.RawQuery = a.Query
	for i := 0; i+1 < len(a.Header); i += 2 {
		r.Header.Add(a.Header[i], a.Header[i+1])
	}
	if a.Change != nil {
		if err := a.Change(r); err != nil {
			return nil, err
		}
	}
	sign := a.Signed
	if sign == nil {
		sign = Usual
	}
	wire := sign(c.Keys, r, a.Body)
	if len(wire) > 0 || a.Method == http.MethodPut || a.Method == http.MethodPost {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(wire)), int64(len(wire))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(wire)), nil }
		if len(wire) == 0 {
			r.Body = http.NoBody
		}
	}
	return r, nil
}

// Ask sends one request and reads the answer; an answer that is no success is
// no error.
func (c *Client) Ask(ctx context.Context, a Ask) (Reply, error) {
	r, err := c.Make(ctx, a)
	if err != nil {
		return Reply{}, err
	}
	sent := time.Now()
	answer, err := c.HTTP.Do(r)
	if err != nil {
		return Reply{}, err
	}
	defer answer.Body.Close()
	out := Reply{Status: answer.StatusCode, Header: answer.Header, First: time.Since(sent)}
	var body bytes.Buffer
	if out.Gap, err = copySlowly(&body, answer.Body); err != nil {
		return out, fmt.Errorf("after %d of %d bytes of a %d: %w", body.Len(), answer.ContentLength, answer.StatusCode, err)
	}
	out.Body = body.Bytes()
	if answer.StatusCode/100 != 2 && len(out.Body) > 0 && strings.Contains(answer.Header.Get("Content-Type"), "xml") {
		var e struct{ Code string }
		if err := xml.Unmarshal(out.Body, &e); err != nil {
			return out, fmt.Errorf("the body of a %d: %w", answer.StatusCode, err)
		}
		out.Code = e.Code
	}
	return out, nil
}

// copySlowly returns the longest silence between two reads.
func copySlowly(w io.Writer, r io.Reader) (gap time.Duration, err error) {
	buf := make([]byte, 64<<10)
	last := time.Now()
	for {
		n, err := r.Read(buf)
		now := time.Now()
		gap, last = max(gap, now.Sub(last)), now
		if _, werr := w.Write(buf[:n]); werr != nil {
			return gap, werr
		}
		if err == io.EOF {
			return gap, nil
		}
		if err != nil {
			return gap, err
		}
	}
}
