package gateway

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/cairn-storage/cairn"
)

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

func md5Base64(s string) string {
	sum := md5.Sum([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// sumOf is the value of a checksum header, computed apart from a body.
func sumOf(name, content string) string {
	h := algorithmOf(checksumPrefix + name).make()
	h.Write([]byte(content))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

const content = "the quick brown fox jumps over the lazy dog"

func TestChecksumsAreTheStandardOnes(t *testing.T) {
	for name, want := range map[string]string{ // of "123456789": the check values of the CRC catalogue, and of FIPS 180-4
		"crc32": "cbf43926", "crc32c": "e3069283", "crc64nvme": "ae8b14860a799888",
		"sha1":   "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
		"sha256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
	} {
		raw, err := hex.DecodeString(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := sumOf(name, "123456789"); got != base64.StdEncoding.EncodeToString(raw) {
			t.Errorf("%s is %s, want the base64 of %s", name, got, want)
		}
	}
}

func TestPutInEveryModeStoresExactlyTheContent(t *testing.T) {
	r := newRig(t)
	big := strings.Repeat("0123456789", 7_000) // more than one chunk
	for _, mode := range []string{modeSigned, modeAbsent, modeUnsigned, modeChained, modeChainedTrailer, modeUnsignedTrailer} {
		for _, sum := range []string{"", "crc32", "crc32c", "crc64nvme", "sha1", "sha256"} {
			for _, body := range []string{"", content, big} {
				if sum == "" && strings.HasSuffix(mode, "TRAILER") {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%d", mode, sum, len(body)), func(t *testing.T) {
					r.t = t
					testPut(t, r, mode, sum, body)
				})
			}
		}
	}
	r.t = t
	r.idle()
}

func testPut(t *testing.T, r *rig, mode, sum, body string) {
	c := call{method: "PUT", path: "/private/k?x-id=PutObject", body: body, mode: mode, chunk: 64 << 10}
	if strings.HasSuffix(mode, "TRAILER") {
		c.header = []string{"X-Amz-Trailer", checksumPrefix + sum}
		c.trailer = []string{checksumPrefix + sum + ":" + sumOf(sum, body)}
	} else if sum != "" {
		c.header = []string{checksumPrefix + sum, sumOf(sum, body)}
	}
	a := r.expect(c, 200, "")
	if a.Header.Get("ETag") != quote(md5Hex(body)) || a.body != "" {
		t.Errorf("ETag %s", a.Header.Get("ETag"))
	}
	o, ok := r.stored("k")
	if !ok || string(o.content) != body {
		t.Fatalf("stored %d bytes of %d", len(o.content), len(body))
	}
	if o.Header["Content-Encoding"] != "" {
		t.Errorf("Content-Encoding %q was stored", o.Header["Content-Encoding"])
	}
	if sum == "" {
		return
	}
	want := cairn.Checksum{Algorithm: strings.ToUpper(sum), Value: sumOf(sum, body)}
	if len(o.Checksum) != 1 || o.Checksum[0] != want || a.Header.Get(checksumPrefix+sum) != want.Value {
		t.Errorf("checksum %v, answered %q, want %v", o.Checksum, a.Header.Get(checksumPrefix+sum), want)
	}
	for _, m := range []string{"GET", "HEAD"} {
		got := r.expect(call{method: m, path: "/private/k", header: []string{"X-Amz-Checksum-Mode", "ENABLED"}}, 200, "")
		if got.Header.Get(checksumPrefix+sum) != want.Value || got.Header.Get("X-Amz-Checksum-Type") != "FULL_OBJECT" {
			t.Errorf("%s: %v", m, got.Header)
		}
		if plain := r.expect(call{method: m, path: "/private/k"}, 200, ""); plain.Header.Get(checksumPrefix+sum) != "" {
			t.Errorf("%s: a checksum that was not asked for", m)
		}
	}
}

func TestWrongBodiesAreRefusedAndNothingIsStored(t *testing.T) {
	flip := func(old, new string) func(*http.Request, *[]byte) {
		return func(_ *http.Request, wire *[]byte) {
			if !bytes.Contains(*wire, []byte(old)) {
				panic("the test would change nothing: " + old)
			}
			*wire = bytes.Replace(*wire, []byte(old), []byte(new), 1)
		}
	}
	flipAfter := func(mark string) func(*http.Request, *[]byte) {
		return func(_ *http.Request, wire *[]byte) {
			i := bytes.LastIndex(*wire, []byte(mark)) + len(mark)
			(*wire)[i] ^= 1
		}
	}
	crc := checksumPrefix + "crc32:" + sumOf("crc32", content)
	announce := []string{"X-Amz-Trailer", "x-amz-checksum-crc32"}
	for _, c := range []struct {
		name   string
		call   call
		status int
		code   string
	}{
		{"signed payload, changed body", call{after: flip("quick", "quack")}, 400, "XAmzContentSHA256Mismatch"},
		{"signed payload, changed body and right CRC of it", call{header: []string{"x-amz-checksum-crc32", sumOf("crc32", strings.Replace(content, "quick", "quack", 1))}, after: flip("quick", "quack")}, 400, "XAmzContentSHA256Mismatch"},
		{"no sha256 header, changed body", call{mode: modeAbsent, after: flip("quick", "quack")}, 403, "SignatureDoesNotMatch"},
		{"no sha256 header, body over 1 MiB", call{mode: modeAbsent, body: strings.Repeat("x", 1<<20+1)}, 400, "InvalidRequest"},
		{"sha256 header that is neither hash nor mode", call{mode: "sometimes"}, 400, "InvalidArgument"},
		{"ECDSA", call{mode: "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"}, 501, "NotImplemented"},
		{"chunk content changed", call{mode: modeChained, chunk: 16, after: flip("quick", "quack")}, 403, "SignatureDoesNotMatch"},
		{"last chunk signature changed", call{mode: modeChained, chunk: 16, after: flipAfter("chunk-signature=")}, 403, "SignatureDoesNotMatch"},
		{"chunk signatures left out", call{mode: modeChained, after: func(_ *http.Request, w *[]byte) { *w = signer{}.chunks([]byte(content), 16, "") }}, 400, "InvalidRequest"},
		{"trailer signature changed", call{mode: modeChainedTrailer, header: announce, trailer: []string{crc}, after: flipAfter("trailer-signature:")}, 403, "SignatureDoesNotMatch"},
		{"trailer value changed, signed", call{mode: modeChainedTrailer, header: announce, trailer: []string{crc}, after: flipAfter("crc32:")}, 403, "SignatureDoesNotMatch"},
		{"trailer content changed, unsigned", call{mode: modeUnsignedTrailer, header: announce, chunk: 64, trailer: []string{crc}, after: flip("quick", "quack")}, 400, "BadDigest"},
		{"trailer announced, not sent", call{mode: modeUnsignedTrailer, header: announce}, 400, "MalformedTrailerError"},
		{"trailer sent, another announced", call{mode: modeUnsignedTrailer, header: announce, trailer: []string{"x-amz-checksum-sha1:" + sumOf("sha1", content)}}, 400, "MalformedTrailerError"},
		{"trailer announced without a trailer mode", call{header: announce}, 400, "InvalidRequest"},
		{"trailer that is no checksum", call{mode: modeUnsignedTrailer, header: []string{"X-Amz-Trailer", "x-amz-meta-a"}, trailer: []string{"x-amz-meta-a:b"}}, 400, "InvalidRequest"},
		{"trailer of nonsense", call{mode: modeUnsignedTrailer, header: announce, trailer: []string{"x-amz-checksum-crc32:zz"}}, 400, "InvalidRequest"},
		{"framing of nonsense", call{mode: modeUnsignedTrailer, header: announce, after: func(_ *http.Request, w *[]byte) { *w = []byte("hello there\r\n") }}, 400, "InvalidRequest"},
		{"framing cut cleanly", call{mode: modeUnsignedTrailer, header: announce, chunk: 8, trailer: []string{crc}, after: func(_ *http.Request, w *[]byte) { *w = (*w)[:40] }}, 400, "IncompleteBody"},
		{"signed framing cut cleanly at a chunk", call{mode: modeChained, chunk: 16, after: func(_ *http.Request, w *[]byte) { *w = (*w)[:bytes.LastIndex(*w, []byte("0;chunk"))] }}, 400, "IncompleteBody"},
		{"decoded length too small", call{mode: modeChained, before: func(r *http.Request) { r.Header.Set("X-Amz-Decoded-Content-Length", "10") }}, 400, "IncompleteBody"},
		{"decoded length too large", call{mode: modeChained, before: func(r *http.Request) { r.Header.Set("X-Amz-Decoded-Content-Length", "100") }}, 400, "IncompleteBody"},
		{"decoded length missing", call{mode: modeChained, before: func(r *http.Request) { r.Header.Del("X-Amz-Decoded-Content-Length") }}, 411, "MissingContentLength"},
		{"decoded length not a number", call{mode: modeChained, before: func(r *http.Request) { r.Header.Set("X-Amz-Decoded-Content-Length", "-1") }}, 400, "InvalidArgument"},
		{"decoded length over 5 GiB", call{mode: modeChained, before: func(r *http.Request) { r.Header.Set("X-Amz-Decoded-Content-Length", "5368709121") }}, 400, "EntityTooLarge"},
		{"aws-chunked without a streaming mode", call{header: []string{"Content-Encoding", "gzip, aws-chunked"}}, 400, "InvalidRequest"},
		{"wrong Content-MD5", call{header: []string{"Content-Md5", md5Base64("else")}}, 400, "BadDigest"},
		{"Content-MD5 of nonsense", call{header: []string{"Content-Md5", "abc"}}, 400, "InvalidDigest"},
		{"wrong CRC32", call{header: []string{"X-Amz-Checksum-Crc32", sumOf("crc32", "else")}}, 400, "BadDigest"},
		{"wrong SHA256 checksum", call{header: []string{"X-Amz-Checksum-Sha256", sumOf("sha256", "else")}}, 400, "BadDigest"},
		{"checksum of nonsense", call{header: []string{"X-Amz-Checksum-Crc32", "AAA="}}, 400, "InvalidRequest"},
		{"two checksums", call{header: []string{"X-Amz-Checksum-Crc32", sumOf("crc32", content), "X-Amz-Checksum-Sha1", sumOf("sha1", content)}}, 400, "InvalidRequest"},
		{"a checksum nobody knows", call{header: []string{"X-Amz-Checksum-Xxhash64", "AAAAAAAAAAA="}}, 501, "NotImplemented"},
		{"metadata over 2 KiB", call{header: []string{"X-Amz-Meta-A", strings.Repeat("x", 2048)}}, 400, "MetadataTooLarge"},
		{"key over 1,024 bytes", call{path: "/private/" + strings.Repeat("x", 1025)}, 400, "KeyTooLongError"},
		{"key that is not UTF-8", call{path: "/private/%ff"}, 400, "InvalidArgument"},
		{"bucket that cannot be", call{path: "/Private/k", as: "admin"}, 400, "InvalidBucketName"},
		{"bucket that is not there", call{path: "/nowhere/k", as: "admin"}, 404, "NoSuchBucket"},
		{"condition of nonsense", call{header: []string{"If-None-Match", `"a`}}, 400, "InvalidArgument"},
	} {
		for _, byLength := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/byLength=%v", c.name, byLength), func(t *testing.T) {
				r := newRig(t)
				r.store.byLength = byLength
				c.call.method = "PUT"
				if c.call.path == "" {
					c.call.path = "/private/k"
				}
				if c.call.body == "" {
					c.call.body = content
				}
				r.expect(c.call, c.status, c.code)
				if len(r.store.objects) != 0 {
					t.Errorf("stored %v", r.store.objects)
				}
				r.idle()
			})
		}
	}
}

func TestTruncatedBodiesStoreNothing(t *testing.T) {
	for _, mode := range []string{modeSigned, modeAbsent, modeUnsigned, modeChained, modeUnsignedTrailer} {
		t.Run(mode, func(t *testing.T) {
			r := newRig(t)
			req := r.request(call{method: "PUT", path: "/private/k", body: strings.Repeat(content, 100), mode: mode, chunk: 64})
			var wire bytes.Buffer
			if err := req.Write(&wire); err != nil {
				t.Fatal(err)
			}
			conn, err := net.Dial("tcp", r.srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.Write(wire.Bytes()[:wire.Len()-100])
			conn.(*net.TCPConn).CloseWrite()
			resp, err := http.ReadResponse(bufio.NewReader(conn), req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var body bytes.Buffer
			body.ReadFrom(resp.Body)
			if a := (answered{resp, body.String()}); a.StatusCode != 400 || a.code() != "IncompleteBody" {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
			if len(r.store.objects) != 0 {
				t.Error("something was stored")
			}
			r.idle()
		})
	}
}

func TestPutWithoutALengthIs411(t *testing.T) {
	for _, mode := range []string{modeUnsigned, modeAbsent} {
		r := newRig(t)
		req := r.request(call{method: "PUT", path: "/private/k", mode: mode})
		req.ContentLength = -1
		req.Body = http.NoBody
		req.Body = struct{ *bodyOf }{&bodyOf{strings.NewReader(content)}}
		resp, err := r.srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 411 || len(r.store.objects) != 0 {
			t.Errorf("%s: %d", mode, resp.StatusCode)
		}
	}
}

type bodyOf struct{ *strings.Reader }

func (bodyOf) Close() error { return nil }

func TestAnEncodedBodyMayComeWithoutContentLength(t *testing.T) {
	r := newRig(t)
	req := r.request(call{method: "PUT", path: "/private/k", mode: modeChained, body: content})
	req.ContentLength = -1 // the transport sends Transfer-Encoding: chunked
	resp, err := r.srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if o, _ := r.stored("k"); resp.StatusCode != 200 || string(o.content) != content {
		t.Errorf("%d, stored %q", resp.StatusCode, o.content)
	}
}

func TestPutLargerThanS3AllowsIsRefusedUnread(t *testing.T) {
	r := newRig(t)
	req := r.request(call{method: "PUT", path: "/private/k", mode: modeUnsigned})
	conn, err := net.Dial("tcp", r.srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "PUT /private/k HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n", req.Host, int64(MaxObject)+1)
	req.Header.Write(conn)
	fmt.Fprint(conn, "\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	body.ReadFrom(resp.Body)
	resp.Body.Close()
	if a := (answered{resp, body.String()}); a.StatusCode != 400 || a.code() != "EntityTooLarge" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

func TestExpectContinueIsAnsweredBeforeTheBody(t *testing.T) {
	r := newRig(t)
	if a := r.expect(call{method: "PUT", path: "/private/k", body: content, header: []string{"Expect", "100-continue"}}, 200, ""); a.Header.Get("ETag") == "" {
		t.Error("no ETag")
	}
}

func TestHeadersAndMetadataComeBack(t *testing.T) {
	r := newRig(t)
	r.expect(call{method: "PUT", path: "/private/k", body: content, mode: modeChained, header: []string{
		"Content-Type", "text/x-nix-narinfo", "Content-Encoding", "gzip,aws-chunked", "Cache-Control", "max-age=5",
		"Content-Disposition", "inline", "Content-Language", "de", "Expires", "Wed, 21 Oct 2015 07:28:00 GMT",
		"Content-Md5", md5Base64(content), "X-Amz-Meta-Color", "blue  green", "X-Amz-Acl", "private", "X-Amz-Storage-Class", "STANDARD",
	}}, 200, "")
	for _, m := range []string{"GET", "HEAD"} {
		a := r.expect(call{method: m, path: "/private/k"}, 200, "")
		for name, want := range map[string]string{
			"Content-Type": "text/x-nix-narinfo", "Content-Encoding": "gzip", "Cache-Control": "max-age=5",
			"Content-Disposition": "inline", "Content-Language": "de", "Expires": "Wed, 21 Oct 2015 07:28:00 GMT",
			"X-Amz-Meta-Color": "blue  green", "Content-Length": "43", "Accept-Ranges": "bytes", "ETag": quote(md5Hex(content)),
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s %s: %q, want %q", m, name, got, want)
			}
		}
	}
	r.expect(call{method: "PUT", path: "/private/plain", body: content, mode: modeChained}, 200, "")
	a := r.expect(call{method: "GET", path: "/private/plain"}, 200, "")
	if a.Header.Get("Content-Type") != "binary/octet-stream" || a.Header.Get("Content-Encoding") != "" {
		t.Errorf("%v", a.Header)
	}
}

func TestKeysAreDecodedExactly(t *testing.T) {
	r := newRig(t)
	for wire, key := range map[string]string{
		"a+b": "a+b", "a%2Bb": "a+b", "a%20b": "a b", "a%2Fb": "a/b", "a/b": "a/b", "%25": "%", "a//b": "a//b", "/a": "/a",
		"a/./b/../c": "a/./b/../c", "=%3Dx": "==x", "a%3Fhash=1": "a?hash=1", "%C3%A9": "é", "%01": "\x01", "a/": "a/", "!$&'()*,;:@": "!$&'()*,;:@",
		"log/x.drv": "log/x.drv", "realisations/sha256:a!out.doi": "realisations/sha256:a!out.doi",
	} {
		r.expect(call{method: "PUT", path: "/private/" + wire, body: wire}, 200, "")
		o, ok := r.stored(key)
		if !ok || string(o.content) != wire {
			t.Errorf("PUT %s is not under %q", wire, key)
		}
		if a := r.expect(call{method: "GET", path: "/private/" + wire}, 200, ""); a.body != wire {
			t.Errorf("GET %s: %q", wire, a.body)
		}
		r.expect(call{method: "DELETE", path: "/private/" + wire}, 204, "")
		if _, ok := r.stored(key); ok {
			t.Errorf("DELETE %s left %q", wire, key)
		}
	}
	for _, n := range []int{1024} {
		r.expect(call{method: "PUT", path: "/private/" + strings.Repeat("k", n), body: "x"}, 200, "")
	}
}

func TestConditionalWritesAreTheStoresToDecide(t *testing.T) {
	r := newRig(t)
	put := func(status int, code string, header ...string) {
		t.Helper()
		r.expect(call{method: "PUT", path: "/private/k", body: content, header: header}, status, code)
	}
	put(200, "", "If-None-Match", "*")
	put(412, "PreconditionFailed", "If-None-Match", "*")
	put(412, "PreconditionFailed", "If-None-Match", `"*"`) // as minio-go spells it
	put(412, "PreconditionFailed", "If-Match", quote(md5Hex("else")))
	put(412, "PreconditionFailed", "If-Match", `W/`+quote(md5Hex(content)))
	put(200, "", "If-Match", quote(md5Hex("else"))+", "+quote(md5Hex(content)))
	put(200, "", "If-Match", md5Hex(content))
	put(501, "NotImplemented", "If-Unmodified-Since", "Wed, 21 Oct 2015 07:28:00 GMT")
	r.expect(call{method: "DELETE", path: "/private/k", header: []string{"If-Match", quote(md5Hex("else"))}}, 412, "PreconditionFailed")
	r.expect(call{method: "DELETE", path: "/private/k", header: []string{"If-Match", quote(md5Hex(content))}}, 204, "")
	r.expect(call{method: "DELETE", path: "/private/k"}, 204, "")
	r.expect(call{method: "HEAD", path: "/private/k"}, 404, "")
}

// boto3 and others hand the name of a header on as it came, and S3 sends
// those of metadata in lower case.
func TestMetadataNamesComeBackInLowerCase(t *testing.T) {
	r := newRig(t)
	r.expect(call{method: "PUT", path: "/private/k", body: content, header: []string{"X-Amz-Meta-Color", "blue"}}, 200, "")
	conn, err := net.Dial("tcp", r.srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := r.request(call{method: "HEAD", path: "/private/k"}).Write(conn); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 4096)
	n, _ := conn.Read(head)
	if !strings.Contains(string(head[:n]), "\r\nx-amz-meta-color: blue\r\n") {
		t.Errorf("%s", head[:n])
	}
}

// attic sends 50 PUTs at once and reads with 32; under -race this also shows
// that nothing of a request is shared.
func TestManyAtOnce(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MemoryBudget = smallestBudget })
	modes := []string{modeSigned, modeAbsent, modeUnsigned, modeChained}
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			body := strings.Repeat(fmt.Sprintf("object %d ", i), 100*(i+1))
			path := fmt.Sprintf("/private/%d", i)
			if a := r.do(call{method: "PUT", path: path, body: body, mode: modes[i%len(modes)], chunk: 1000}); a.StatusCode != 200 {
				t.Errorf("PUT %s: %s", path, a.body)
			}
			if a := r.do(call{method: "GET", path: path}); a.body != body {
				t.Errorf("GET %s: %d, %d bytes of %d", path, a.StatusCode, len(a.body), len(body))
			}
		})
	}
	all.Wait()
	r.idle()
}
