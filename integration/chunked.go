package integration

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Chunked sends a body as aws-chunked, in one of the four ways that SDKs do.
type Chunked struct {
	Signed  bool
	Trailer string // the checksum's name, such as CRC32; "" for none
	Value   string // of the trailer; "" is the right one
	// Spoil changes the framing after everything is signed.
	Spoil func(wire []byte) []byte
}

// chunkBytes is what the SDKs put into one chunk.
const chunkBytes = 64 << 10

// Mode is the value of x-amz-content-sha256.
func (c Chunked) Mode() string {
	mode := "STREAMING-UNSIGNED-PAYLOAD"
	if c.Signed {
		mode = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	}
	if c.Trailer != "" {
		mode += "-TRAILER"
	}
	return mode
}

// Sign is a Signed.
func (c Chunked) Sign(k Keys, r *http.Request, body []byte) []byte {
	at := time.Now()
	r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(len(body)))
	if r.Header.Get("Content-Encoding") == "" {
		r.Header.Set("Content-Encoding", "aws-chunked")
	}
	name := "x-amz-checksum-" + strings.ToLower(c.Trailer)
	if c.Trailer != "" {
		r.Header.Set("X-Amz-Trailer", name)
	}
	previous := k.Sign(r, c.Mode(), at)
	var wire bytes.Buffer
	for rest := body; ; {
		chunk := rest[:min(chunkBytes, len(rest))]
		rest = rest[len(chunk):]
		if c.Signed {
			previous = k.over(at, "AWS4-HMAC-SHA256-PAYLOAD", previous, emptyHash, hexSum(chunk))
			fmt.Fprintf(&wire, "%x;chunk-signature=%s\r\n", len(chunk), previous)
		} else {
			fmt.Fprintf(&wire, "%x\r\n", len(chunk))
		}
		if len(chunk) == 0 {
			break
		}
		wire.Write(chunk)
		wire.WriteString("\r\n")
	}
	if c.Trailer != "" {
		value := c.Value
		if value == "" {
			value = Sum(c.Trailer, body)
		}
		fmt.Fprintf(&wire, "%s:%s\r\n", name, value)
		if c.Signed {
			signature := k.over(at, "AWS4-HMAC-SHA256-TRAILER", previous, hexSum([]byte(name+":"+value+"\n")))
			fmt.Fprintf(&wire, "x-amz-trailer-signature:%s\r\n", signature)
		}
	}
	wire.WriteString("\r\n")
	if c.Spoil != nil {
		return c.Spoil(wire.Bytes())
	}
	return wire.Bytes()
}

// spoil returns a Spoil that changes the first byte after the n-th occurrence
// of mark, counted from 1.
func spoil(mark string, n int) func([]byte) []byte {
	return func(wire []byte) []byte {
		at := 0
		for range n {
			i := bytes.Index(wire[at:], []byte(mark))
			if i < 0 {
				panic("integration: nothing to spoil: " + mark) // a mistake of the test
			}
			at += i + len(mark)
		}
		wire = bytes.Clone(wire)
		if wire[at] == '0' {
			wire[at] = '1'
		} else {
			wire[at] = '0'
		}
		return wire
	}
}
