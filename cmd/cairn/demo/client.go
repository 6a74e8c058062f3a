package demo

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"time"
)

// client talks S3 to the gateway as any other program would: over HTTP, signed.
// It never retries, so that what is counted is what the gateway answered.
type client struct {
	endpoint string
	bucket   string
	keys     keys
	http     *http.Client
}

// width is how many requests are in flight at a time, as with one attic client.
const width = 50

// requestTime bounds one request: the gateway gives up before.
const requestTime = 2 * time.Minute

func newClient(endpoint, bucket string, k keys) *client {
	return &client{endpoint, bucket, k, &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: width, DisableCompression: true},
		Timeout:   requestTime,
	}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// refusal is an answer that is no success.
type refusal struct {
	status int
	code   string // of the XML body
}

func (e *refusal) Error() string { return fmt.Sprintf("HTTP %d %s", e.status, e.code) }

// status is the HTTP status that err stands for: 200 for nil, 0 where no whole
// answer came.
func status(err error) int {
	var r *refusal
	switch {
	case err == nil:
		return http.StatusOK
	case errors.As(err, &r):
		return r.status
	}
	return 0
}

// put stores body with its CRC32 in a header, which the gateway verifies.
func (c *client) put(ctx context.Context, key string, body []byte) error {
	sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(body))
	_, err := c.do(ctx, http.MethodPut, key, body, "X-Amz-Checksum-Crc32", base64.StdEncoding.EncodeToString(sum))
	return err
}

// get reads a whole object.
func (c *client) get(ctx context.Context, key string) ([]byte, error) {
	return c.do(ctx, http.MethodGet, key, nil)
}

func (c *client) do(ctx context.Context, method, key string, body []byte, headers ...string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.endpoint+"/"+c.bucket+"/"+key, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	c.keys.sign(r, body, time.Now())
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		var e struct{ Code string }
		_ = xml.NewDecoder(io.LimitReader(answer.Body, 64<<10)).Decode(&e) // without XML the status has to do
		return nil, &refusal{answer.StatusCode, e.Code}
	}
	return io.ReadAll(answer.Body)
}
