package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/cairn-storage/cairn"
)

func TestRangesOfAnObject(t *testing.T) {
	r := newRig(t)
	r.put("private", "k", content)
	r.put("private", "empty", "")
	size := len(content)
	for _, c := range []struct {
		header string
		status int
		body   string
		ranged string
	}{
		{"bytes=0-2", 206, content[:3], fmt.Sprintf("bytes 0-2/%d", size)},
		{"bytes=4-", 206, content[4:], fmt.Sprintf("bytes 4-%d/%d", size-1, size)},
		{"bytes=-4", 206, content[size-4:], fmt.Sprintf("bytes %d-%d/%d", size-4, size-1, size)},
		{"bytes=-4000", 206, content, fmt.Sprintf("bytes 0-%d/%d", size-1, size)},
		{"bytes=40-4000", 206, content[40:], fmt.Sprintf("bytes 40-%d/%d", size-1, size)},
		{"bytes=40-99999999999999999999999", 206, content[40:], fmt.Sprintf("bytes 40-%d/%d", size-1, size)},
		{"bytes=43-", 416, "", "bytes */43"},
		{"bytes=99999999999999999999999-", 416, "", "bytes */43"},
		{"bytes=-0", 416, "", "bytes */43"},
		{"bytes=0-1,3-4", 200, content, ""},
		{"bytes=5-2", 200, content, ""},
		{"bytes=a-b", 200, content, ""},
		{"bytes=-", 200, content, ""},
		{"bytes=5", 200, content, ""},
		{"lines=0-1", 200, content, ""},
		{"bytes=+1-2", 200, content, ""},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			t.Run(method+" "+c.header, func(t *testing.T) {
				r.t = t
				a := r.do(call{method: method, path: "/private/k", header: []string{"Range", c.header}})
				if a.StatusCode != c.status || a.Header.Get("Content-Range") != c.ranged {
					t.Fatalf("%d, Content-Range %q, want %d, %q", a.StatusCode, a.Header.Get("Content-Range"), c.status, c.ranged)
				}
				if c.status == 416 {
					if method == "GET" && a.code() != "InvalidRange" {
						t.Errorf("code %q", a.code())
					}
					return
				}
				if a.ContentLength != int64(len(c.body)) || method == "GET" && a.body != c.body {
					t.Errorf("%d bytes %q, want %q", a.ContentLength, a.body, c.body)
				}
			})
		}
	}
	r.t = t
	r.expect(call{method: "GET", path: "/private/empty"}, 200, "")
	r.expect(call{method: "GET", path: "/private/empty", header: []string{"Range", "bytes=0-"}}, 416, "InvalidRange")
	r.idle()
}

func TestAPartIsAnsweredWithoutTheWholesChecksum(t *testing.T) {
	r := newRig(t)
	r.expect(call{method: "PUT", path: "/private/k", body: content, header: []string{"X-Amz-Checksum-Crc32", sumOf("crc32", content)}}, 200, "")
	a := r.expect(call{method: "GET", path: "/private/k", header: []string{"X-Amz-Checksum-Mode", "ENABLED", "Range", "bytes=0-1"}}, 206, "")
	if a.Header.Get("X-Amz-Checksum-Crc32") != "" {
		t.Error("the whole's checksum came with a part")
	}
}

func TestConditionalReads(t *testing.T) {
	r := newRig(t)
	at := time.Date(2026, 3, 4, 5, 6, 7, 890e6, time.UTC)
	r.store.clock = at
	r.put("private", "k", content)
	tag, other := quote(md5Hex(content)), quote(md5Hex("else"))
	then := func(d time.Duration) string { return at.Add(d).Format(http.TimeFormat) }
	for _, c := range []struct {
		name   string
		header []string
		status int
	}{
		{"If-Match hit", []string{"If-Match", tag}, 200},
		{"If-Match miss", []string{"If-Match", other}, 412},
		{"If-Match any", []string{"If-Match", "*"}, 200},
		{"If-Match in a list", []string{"If-Match", other + ", " + tag}, 200},
		{"If-Match in two headers", []string{"If-Match", other, "If-Match", tag}, 200},
		{"If-Match without quotes", []string{"If-Match", md5Hex(content)}, 200},
		{"If-Match is strong", []string{"If-Match", "W/" + tag}, 412},
		{"If-Match empty", []string{"If-Match", ""}, 412},
		{"If-None-Match hit", []string{"If-None-Match", tag}, 304},
		{"If-None-Match miss", []string{"If-None-Match", other}, 200},
		{"If-None-Match any", []string{"If-None-Match", "*"}, 304},
		{"If-None-Match is weak", []string{"If-None-Match", "W/" + tag}, 304},
		{"If-Modified-Since then", []string{"If-Modified-Since", then(0)}, 304},
		{"If-Modified-Since before", []string{"If-Modified-Since", then(-time.Second)}, 200},
		{"If-Modified-Since nonsense", []string{"If-Modified-Since", "soon"}, 200},
		{"If-Unmodified-Since then", []string{"If-Unmodified-Since", then(0)}, 200},
		{"If-Unmodified-Since before", []string{"If-Unmodified-Since", then(-time.Second)}, 412},
		{"If-Match wins over If-Unmodified-Since", []string{"If-Match", tag, "If-Unmodified-Since", then(-time.Hour)}, 200},
		{"If-None-Match wins over If-Modified-Since", []string{"If-None-Match", other, "If-Modified-Since", then(0)}, 200},
		{"412 comes before 304", []string{"If-Match", other, "If-None-Match", tag}, 412},
		{"If-Match holds, If-None-Match hits", []string{"If-Match", tag, "If-None-Match", tag}, 304},
		{"a range of a changed object", []string{"Range", "bytes=0-1", "If-Range", other}, 200},
		{"a range of the same object", []string{"Range", "bytes=0-1", "If-Range", tag}, 206},
		{"a range since then", []string{"Range", "bytes=0-1", "If-Range", then(0)}, 206},
		{"a range since before", []string{"Range", "bytes=0-1", "If-Range", then(-time.Second)}, 200},
		{"304 wins over a range beyond the end", []string{"Range", "bytes=100-", "If-None-Match", tag}, 304},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			t.Run(method+" "+c.name, func(t *testing.T) {
				r.t = t
				a := r.do(call{method: method, path: "/private/k", header: c.header})
				if a.StatusCode != c.status {
					t.Fatalf("%d, want %d", a.StatusCode, c.status)
				}
				if c.status == 304 && (a.Header.Get("ETag") != tag || a.body != "") {
					t.Errorf("304 with ETag %q, body %q", a.Header.Get("ETag"), a.body)
				}
			})
		}
	}
	r.t = t
	if a := r.expect(call{method: "GET", path: "/private/k"}, 200, ""); a.Header.Get("Last-Modified") != then(0) {
		t.Errorf("Last-Modified %s", a.Header.Get("Last-Modified"))
	}
	r.idle()
}

func TestHeadHasTheHeadersOfGet(t *testing.T) {
	r := newRig(t)
	r.expect(call{method: "PUT", path: "/private/k", body: content, header: []string{"Content-Type", "text/plain", "X-Amz-Meta-A", "b"}}, 200, "")
	get := r.expect(call{method: "GET", path: "/private/k"}, 200, "").Header
	head := r.expect(call{method: "HEAD", path: "/private/k"}, 200, "").Header
	for _, h := range []http.Header{get, head} {
		h.Del("Date")
		h.Del("X-Amz-Request-Id")
	}
	if fmt.Sprint(get) != fmt.Sprint(head) {
		t.Errorf("GET  %v\nHEAD %v", get, head)
	}
}

func TestResponseOverridesNeedASignature(t *testing.T) {
	r := newRig(t)
	r.put("public", "k", content)
	path := "/public/k?response-content-type=text%2Fhtml&response-cache-control=no-store"
	a := r.expect(call{method: "GET", path: path}, 200, "")
	if a.Header.Get("Content-Type") != "text/html" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", a.Header)
	}
	r.expect(call{method: "GET", path: path, as: "-"}, 400, "InvalidRequest")
	r.expect(call{method: "GET", path: "/public/k", as: "-"}, 200, "")
}

// A read that fails is either an honest error or a torn connection, never a
// clean end.
func TestAFailingReadNeverEndsCleanly(t *testing.T) {
	boom := fmt.Errorf("node garage: %w", cairn.ErrUnavailable)
	big := strings.Repeat("0123456789", 50_000)
	for _, c := range []struct {
		name   string
		ranged func(io.ReadCloser) (io.ReadCloser, error)
		status int // 0: torn
	}{
		{"before the first byte", func(io.ReadCloser) (io.ReadCloser, error) { return nil, boom }, 503},
		{"lost", func(io.ReadCloser) (io.ReadCloser, error) { return nil, cairn.ErrLost }, 500},
		{"at once", func(io.ReadCloser) (io.ReadCloser, error) { return io.NopCloser(iotest.ErrReader(boom)), nil }, 0},
		{"in the middle", func(c io.ReadCloser) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(io.LimitReader(c, 200_000), iotest.ErrReader(boom))), nil
		}, 0},
		{"at the last byte", func(c io.ReadCloser) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(io.LimitReader(c, 499_999), iotest.ErrReader(boom))), nil
		}, 0},
		{"by ending early", func(c io.ReadCloser) (io.ReadCloser, error) { return io.NopCloser(io.LimitReader(c, 300_000)), nil }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.put("private", "k", big)
			r.store.ranged = c.ranged
			if c.status != 0 {
				a := r.do(call{method: "GET", path: "/private/k"})
				if a.StatusCode != c.status || a.Header.Get("ETag") != "" || a.code() == "" {
					t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
				}
				r.idle()
				return
			}
			resp, err := r.srv.Client().Do(r.request(call{method: "GET", path: "/private/k"}))
			if err == nil {
				var body []byte
				body, err = io.ReadAll(resp.Body)
				resp.Body.Close()
				if !strings.HasPrefix(big, string(body)) {
					t.Error("wrong bytes came")
				}
			}
			if err == nil {
				t.Error("the answer ended cleanly")
			}
			r.idle()
			if l := r.log.String(); !strings.Contains(l, "level=ERROR") || !strings.Contains(l, "answer torn") {
				t.Errorf("the log does not say so: %s", l)
			}
		})
	}
}

func TestAClientThatLeavesIsNoError(t *testing.T) {
	r := newRig(t)
	r.put("private", "k", strings.Repeat("0123456789abcdef", 1<<20))
	resp, err := r.srv.Client().Do(r.request(call{method: "GET", path: "/private/k"}))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	r.idle()
	if l := r.log.String(); strings.Contains(l, "level=ERROR") || !strings.Contains(l, "answer torn") {
		t.Errorf("log: %s", l)
	}
}

func TestReadsAreReadyForAnyReader(t *testing.T) {
	r := newRig(t)
	r.put("private", "k", content)
	for _, wrap := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
		r.store.ranged = func(c io.ReadCloser) (io.ReadCloser, error) { return io.NopCloser(wrap(c)), nil }
		if a := r.expect(call{method: "GET", path: "/private/k"}, 200, ""); a.body != content {
			t.Errorf("%q", a.body)
		}
	}
	if errors.Is(errShort, io.EOF) {
		t.Error("a short end must not look like a clean one")
	}
}

func FuzzRange(f *testing.F) {
	for _, s := range []string{"bytes=0-1", "bytes=-1", "bytes=5-", "bytes=99999999999999999999-", "bytes=1-0", "bytes=", "x"} {
		f.Add(s, int64(10))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		off, n, kind := parseRange(header, size)
		switch kind {
		case rangePart:
			if off < 0 || n < 1 || off > size-n {
				t.Fatalf("%q of %d: %d+%d", header, size, off, n)
			}
			again := fmt.Sprintf("bytes=%d-%d", off, off+n-1)
			if o2, n2, k2 := parseRange(again, size); o2 != off || n2 != n || k2 != rangePart {
				t.Fatalf("%q means %d+%d, %q does not", header, off, n, again)
			}
		default:
			if off != 0 || n != 0 {
				t.Fatalf("%q of %d: %d+%d with kind %d", header, size, off, n, kind)
			}
		}
	})
}

func FuzzConditions(f *testing.F) {
	f.Add(`"a"`, `W/"b", *`, "Wed, 21 Oct 2015 07:28:00 GMT")
	f.Add(`"`, `,,`, "")
	f.Add(`W/"`, `"a" "b"`, "x")
	f.Fuzz(func(t *testing.T, match, none, date string) {
		o := cairn.Object{ETag: "d41d8cd98f00b204e9800998ecf8427e", Modified: time.Unix(1445412480, 0)}
		h := http.Header{"If-Match": {match}, "If-None-Match": {none}, "If-Modified-Since": {date}}
		status := readCondition(h, o)
		matches := strings.Contains(match, o.ETag) || strings.Contains(match, "*")
		if status != 412 && !matches {
			t.Fatalf("If-Match %q let the read pass: %d", match, status)
		}
		if status == 304 && !strings.Contains(none, o.ETag) && !strings.Contains(none, "*") {
			t.Fatalf("If-None-Match %q gave 304", none)
		}
		if c, err := writeCondition(http.Header{"If-Match": {match}, "If-None-Match": {none}}); err == nil {
			if len(c.Match) == 0 || len(c.NoneMatch) == 0 {
				t.Fatalf("a given condition was dropped: %q %q", match, none)
			}
			var again []string
			for _, tag := range c.Match {
				if !strings.HasPrefix(tag, `W/"`) && tag != "*" {
					tag = quote(tag)
				}
				again = append(again, tag)
			}
			if tags, ok := parseTags(again); !ok || fmt.Sprint(tags) != fmt.Sprint(c.Match) {
				t.Fatalf("%q reads as %q, then as %q", match, c.Match, tags)
			}
		}
	})
}
