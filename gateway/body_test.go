package gateway

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Every algorithm, in the header and in both kinds of trailer: a wrong value
// stores nothing.
func TestEveryChecksumIsCheckedWhereverItComes(t *testing.T) {
	for _, sum := range []string{"crc32", "crc32c", "crc64nvme", "sha1", "sha256"} {
		name := checksumPrefix + sum
		right, wrong := sumOf(sum, content), sumOf(sum, "else")
		announce := []string{"X-Amz-Trailer", name}
		for _, c := range []struct {
			name   string
			call   call
			status int
			code   string
		}{
			{"header", call{header: []string{name, wrong}}, 400, "BadDigest"},
			{"header, unsigned body", call{header: []string{name, wrong}, mode: modeUnsigned}, 400, "BadDigest"},
			{"header, signed chunks", call{header: []string{name, wrong}, mode: modeChained, chunk: 16}, 400, "BadDigest"},
			{"header, presigned", presigned(call{header: []string{name, wrong}}, time.Hour, modeUnsigned, name), 400, "BadDigest"},
			{"header, with a password", withPassword(call{header: []string{name, wrong}}, "writer", "secret of writer"), 400, "BadDigest"},
			{"header, too short", call{header: []string{name, wrong[4:]}}, 400, "InvalidRequest"},
			{"unsigned trailer", call{header: announce, mode: modeUnsignedTrailer, trailer: []string{name + ":" + wrong}}, 400, "BadDigest"},
			{"signed trailer", call{header: announce, mode: modeChainedTrailer, trailer: []string{name + ":" + wrong}}, 400, "BadDigest"},
			{"signed trailer, changed on the way", call{header: announce, mode: modeChainedTrailer, trailer: []string{name + ":" + wrong},
				after: func(_ *http.Request, wire *[]byte) {
					*wire = bytes.Replace(*wire, []byte(wrong), []byte(right), 1)
				}}, 403, "SignatureDoesNotMatch"},
			{"unsigned trailer, with a password", withPassword(call{header: append(announce, "X-Amz-Content-Sha256", modeUnsignedTrailer, "X-Amz-Decoded-Content-Length", fmt.Sprint(len(content))),
				after: func(_ *http.Request, wire *[]byte) { *wire = signer{}.chunks(*wire, 8, "", name+":"+wrong) }}, "writer", "secret of writer"), 400, "BadDigest"},
			{"unsigned trailer, with a password, right", withPassword(call{header: append(announce, "X-Amz-Content-Sha256", modeUnsignedTrailer, "X-Amz-Decoded-Content-Length", fmt.Sprint(len(content))),
				after: func(_ *http.Request, wire *[]byte) { *wire = signer{}.chunks(*wire, 8, "", name+":"+right) }}, "writer", "secret of writer"), 200, ""},
			{"signed trailer, right", call{header: announce, mode: modeChainedTrailer, trailer: []string{name + ":" + right}}, 200, ""},
		} {
			t.Run(sum+"/"+c.name, func(t *testing.T) {
				r := newRig(t)
				c.call.method, c.call.path, c.call.body = "PUT", "/private/k", content
				r.expect(c.call, c.status, c.code)
				if o, ok := r.stored("k"); ok != (c.status == 200) || ok && string(o.content) != content {
					t.Errorf("stored %v, %q", ok, o.content)
				}
				r.idle()
			})
		}
	}
}

// A body cut at any byte, in every mode, stores nothing and says so.
func TestABodyCutAnywhereStoresNothing(t *testing.T) {
	name := checksumPrefix + "crc32"
	put := call{method: "PUT", path: "/private/k", body: content, chunk: 16}
	for _, c := range []struct {
		mode string
		call call
	}{
		{"presigned", presigned(put, time.Hour, modeUnsigned)},
		{"password", withPassword(put, "writer", "secret of writer")},
		{modeChained, put},
		{modeChainedTrailer, put},
		{modeUnsignedTrailer, put},
	} {
		t.Run(c.mode, func(t *testing.T) {
			r := newRig(t)
			if strings.HasPrefix(c.mode, "STREAMING-") {
				c.call.mode = c.mode
			}
			if strings.HasSuffix(c.mode, "-TRAILER") {
				c.call.header, c.call.trailer = []string{"X-Amz-Trailer", name}, []string{name + ":" + sumOf("crc32", content)}
			}
			q := r.request(c.call)
			var wire bytes.Buffer
			if err := q.Write(&wire); err != nil {
				t.Fatal(err)
			}
			whole := wire.Bytes()
			head := bytes.Index(whole, []byte("\r\n\r\n")) + 4
			// 7 is prime to the length of a chunk, so that every place of one is met.
			for cut := head; cut < len(whole); cut += 7 {
				if a := sendRaw(t, r, q, whole[:cut]); a.StatusCode != 400 || a.code() != "IncompleteBody" {
					t.Fatalf("cut at %d of %d: %d %s", cut-head, len(whole)-head, a.StatusCode, a.body)
				}
				if _, ok := r.stored("k"); ok {
					t.Fatalf("cut at %d of %d: stored", cut-head, len(whole)-head)
				}
			}
			if a := sendRaw(t, r, q, whole); a.StatusCode != 200 {
				t.Fatalf("whole: %d %s", a.StatusCode, a.body)
			}
			r.idle()
		})
	}
}

// sendRaw sends bytes, then no more, and reads the answer to q.
func sendRaw(t *testing.T, r *rig, q *http.Request, wire []byte) answered {
	t.Helper()
	conn, err := net.Dial("tcp", r.srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(wire); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), q)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return answered{resp, body.String()}
}
