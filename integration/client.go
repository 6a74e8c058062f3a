package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Client is an S3 client that does what attic does and never retries, so that
// every answer of the gateway is seen.
type Client struct {
	Endpoint string
	Bucket   string
	Keys     Keys
	HTTP     *http.Client
}

// NewClient returns a client that keeps width connections open.
func NewClient(endpoint, bucket string, keys Keys, width int) *Client {
	return &Client{endpoint, bucket, keys, &http.Client{
		Transport: &http.Transport{MaxIdleConns: width, MaxIdleConnsPerHost: width, DisableCompression: true},
		Timeout:   2 * time.Minute,
	}}
}

// Close ends the connections that are kept open.
func (c *Client) Close() { c.HTTP.CloseIdleConnections() }

// StatusError is an answer of the gateway that is no success.
type StatusError struct {
	Status int
	Code   string // of the XML body; empty when it had none
}

func (e *StatusError) Error() string { return fmt.Sprintf("HTTP %d %s", e.Status, e.Code) }

// Status is the HTTP status of err: 200 for nil, 0 when no answer came.
func Status(err error) int {
	var s *StatusError
	switch {
	case err == nil:
		return http.StatusOK
	case errors.As(err, &s):
		return s.Status
	}
	return 0
}

// Put stores body as attic does: signed, with its CRC32 as a header.
func (c *Client) Put(ctx context.Context, key string, body []byte) error {
	hash := sha256.Sum256(body)
	r, err := c.request(ctx, http.MethodPut, key, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.ContentLength = int64(len(body))
	r.Header.Set("X-Amz-Checksum-Crc32", crc(body))
	r.Header.Set("X-Amz-Sdk-Checksum-Algorithm", "CRC32")
	c.Keys.Sign(r, hex.EncodeToString(hash[:]), time.Now())
	return c.finish(r, nil)
}

// PutStream stores size bytes of body in one PUT without hashing them first.
func (c *Client) PutStream(ctx context.Context, key string, body io.Reader, size int64) error {
	r, err := c.request(ctx, http.MethodPut, key, body)
	if err != nil {
		return err
	}
	r.ContentLength = size
	c.Keys.Sign(r, UnsignedPayload, time.Now())
	return c.finish(r, nil)
}

// Get reads an object whole. When the gateway returns the CRC32 of the PUT, it
// must be that of the body.
func (c *Client) Get(ctx context.Context, key string) ([]byte, error) {
	var body []byte
	r, err := c.signed(ctx, http.MethodGet, key, "X-Amz-Checksum-Mode", "ENABLED")
	if err != nil {
		return nil, err
	}
	return body, c.finish(r, func(answer *http.Response) error {
		if body, err = io.ReadAll(answer.Body); err != nil {
			return err
		}
		if answer.ContentLength != int64(len(body)) {
			return fmt.Errorf("%s: Content-Length %d, %d bytes came", key, answer.ContentLength, len(body))
		}
		if sum := answer.Header.Get("X-Amz-Checksum-Crc32"); sum != "" && sum != crc(body) {
			return &WrongBytes{key, "the CRC32 returned is not that of the body"}
		}
		return nil
	})
}

// GetStream reads an object into check, whose error ends it.
func (c *Client) GetStream(ctx context.Context, key string, check func(io.Reader) error) error {
	r, err := c.signed(ctx, http.MethodGet, key)
	if err != nil {
		return err
	}
	return c.finish(r, func(answer *http.Response) error { return check(answer.Body) })
}

// Delete removes an object; a missing one is fine.
func (c *Client) Delete(ctx context.Context, key string) error {
	r, err := c.signed(ctx, http.MethodDelete, key)
	if err != nil {
		return err
	}
	return c.finish(r, nil)
}

// List is the keys under a prefix, page by page.
func (c *Client) List(ctx context.Context, prefix string) (keys []string, err error) {
	query := url.Values{"list-type": {"2"}, "prefix": {prefix}}
	for {
		r, err := c.request(ctx, http.MethodGet, "", nil)
		if err != nil {
			return nil, err
		}
		r.URL.RawQuery = query.Encode()
		c.Keys.Sign(r, emptyHash, time.Now())
		var page struct {
			Contents              []struct{ Key string }
			IsTruncated           bool
			NextContinuationToken string
		}
		err = c.finish(r, func(answer *http.Response) error { return xml.NewDecoder(answer.Body).Decode(&page) })
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			keys = append(keys, o.Key)
		}
		if !page.IsTruncated {
			return keys, nil
		}
		query.Set("continuation-token", page.NextContinuationToken)
	}
}

// WrongBytes is the one answer that must never come.
type WrongBytes struct {
	Key, How string
}

func (e *WrongBytes) Error() string { return e.Key + ": WRONG BYTES: " + e.How }

var emptyHash = hex.EncodeToString(sha256.New().Sum(nil))

func (c *Client) signed(ctx context.Context, method, key string, headers ...string) (*http.Request, error) {
	r, err := c.request(ctx, method, key, nil)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	c.Keys.Sign(r, emptyHash, time.Now())
	return r, nil
}

func (c *Client) request(ctx context.Context, method, key string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.Endpoint, body)
	if err != nil {
		return nil, err
	}
	r.URL.Path = "/" + c.Bucket + "/" + key
	r.URL.RawPath = escapePath(r.URL.Path)
	return r, nil
}

// finish sends r and gives a good answer to read, whose body it closes.
func (c *Client) finish(r *http.Request, read func(*http.Response) error) error {
	answer, err := c.HTTP.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		var body struct{ Code string }
		_ = xml.NewDecoder(io.LimitReader(answer.Body, 64<<10)).Decode(&body) // no XML leaves the code empty
		return &StatusError{answer.StatusCode, body.Code}
	}
	if read != nil {
		return read(answer)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

func crc(body []byte) string {
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], crc32.ChecksumIEEE(body))
	return base64.StdEncoding.EncodeToString(sum[:])
}
