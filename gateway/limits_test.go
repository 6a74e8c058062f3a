package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

func TestLimitsOfAddressAndHeaders(t *testing.T) {
	r := newRig(t)
	r.put("private", "k", content)
	for _, c := range []struct {
		name   string
		call   call
		status int
		code   string
	}{
		{"an address that fits", call{method: "GET", path: "/private/k?x=" + strings.Repeat("x", maxTarget-13)}, 200, ""},
		{"an address that does not", call{method: "GET", path: "/private/k?x=" + strings.Repeat("x", maxTarget-12)}, 400, "RequestHeaderSectionTooLarge"},
		{"the longest key, all of it escaped", call{method: "GET", path: "/private/" + strings.Repeat("%20", 1024)}, 404, "NoSuchKey"},
		{"headers that fit", call{method: "GET", path: "/private/k", header: []string{"X-A", strings.Repeat("x", maxHeaders-1000)}}, 200, ""},
		{"headers that do not", call{method: "GET", path: "/private/k", header: []string{"X-A", strings.Repeat("x", maxHeaders)}}, 400, "RequestHeaderSectionTooLarge"},
		{"metadata that fits", call{method: "PUT", path: "/private/m", header: []string{"X-Amz-Meta-A", strings.Repeat("x", maxMeta-1)}}, 200, ""},
		{"metadata that does not", call{method: "PUT", path: "/private/m", header: []string{"X-Amz-Meta-A", strings.Repeat("x", maxMeta)}}, 400, "MetadataTooLarge"},
	} {
		r.expect(c.call, c.status, c.code)
	}
	r.idle()
}

func TestEveryAnswerSaysWhichRequestAndGatewayItIsOf(t *testing.T) {
	r := newRig(t)
	r.put("private", "k", content)
	seen := map[string]bool{}
	for _, path := range []string{"/private/k", "/private/missing", "/"} {
		a := r.do(call{method: "GET", path: path})
		id, host := a.Header.Get("X-Amz-Request-Id"), a.Header.Get("X-Amz-Id-2")
		if len(id) != 16 || seen[id] || host == "" || host != r.g.host {
			t.Errorf("%s: request %q of %q", path, id, host)
		}
		if a.StatusCode >= 400 && !strings.Contains(a.body, "<RequestId>"+id+"</RequestId><HostId>"+host+"</HostId>") {
			t.Errorf("%s", a.body)
		}
		seen[id] = true
	}
	if other := newRig(t); other.g.host == r.g.host {
		t.Error("two gateways have one name")
	}
}

// panicking breaks a reader in the worst way, once the answer has begun: before
// that the client would just ask again.
type panicking struct {
	io.ReadCloser
	n int
}

func (p *panicking) Read(b []byte) (int, error) {
	if p.n == 0 {
		panic("a bug in a read")
	}
	n, err := p.ReadCloser.Read(b[:min(len(b), p.n)])
	p.n -= n
	return n, err
}

func TestAPanicIsOneRequestsFailure(t *testing.T) {
	r := newRig(t)
	r.put("private", "k", strings.Repeat("x", 1<<20))
	var reads atomic.Int32
	r.store.ranged = func(c io.ReadCloser) (io.ReadCloser, error) {
		switch reads.Add(1) {
		case 1:
			panic("a bug before the answer")
		case 2:
			return &panicking{c, 300_000}, nil
		}
		return c, nil
	}
	r.expect(call{method: "GET", path: "/private/k"}, 500, "InternalError")
	resp, err := r.srv.Client().Do(r.request(call{method: "GET", path: "/private/k"}))
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("an answer that a panic cut ended cleanly")
	}
	r.expect(call{method: "GET", path: "/private/k"}, 200, "")
	r.idle()
	l := r.log.String()
	for _, want := range []string{"a bug before the answer", "a bug in a read", "level=ERROR", "TestAPanicIsOneRequestsFailure", "answer torn"} {
		if !strings.Contains(l, want) {
			t.Errorf("no %q in %s", want, l)
		}
	}
}

// curl up to 7.86 signs a file that it sends as if it were empty.
func TestABodySignedAsEmpty(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 1<<17) // 2 MiB
	asEmpty := func(c call) call {
		c.mode, c.as = modeAbsent, "writer"
		body := c.body
		c.body = ""
		c.after = func(_ *http.Request, wire *[]byte) { *wire = []byte(body) }
		return c
	}
	put := call{method: "PUT", path: "/private/k"}
	for _, c := range []struct {
		name   string
		away   bool
		body   string
		mode   string
		status int
		code   string
	}{
		{"a small one, here", false, content, "", 200, ""},
		{"a large one, here", false, big, "", 200, ""},
		{"where others could change it", true, content, "", 403, "SignatureDoesNotMatch"},
		{"signed, a small one", true, content, modeAbsent, 200, ""},
		{"signed, a large one", true, big, modeAbsent, 400, "InvalidRequest"},
		{"nothing", true, "", "", 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			if c.away {
				remote(r)
			}
			q := put
			q.body = c.body
			if q.mode = c.mode; q.mode == "" {
				q = asEmpty(q)
			}
			r.expect(q, c.status, c.code)
			if o, ok := r.stored("k"); ok != (c.status == 200) || ok && string(o.content) != c.body {
				t.Errorf("stored %v, %d bytes", ok, len(o.content))
			}
			r.idle()
		})
	}
}

// Nix sends the MD5 of the object to come when it begins an upload.
func TestTheMD5OfAnUploadToComeIsNotOfItsBody(t *testing.T) {
	r := newRig(t)
	md5 := []string{"Content-Md5", md5Base64("the whole object")}
	r.expect(call{method: "POST", path: "/private/k?uploads", header: md5}, 200, "")
	u, err := r.store.CreateUpload(t.Context(), store.Upload{Key: cairn.Key{Bucket: "private", Object: "k"}})
	if err != nil {
		t.Fatal(err)
	}
	r.expect(call{method: "PUT", path: "/private/k?partNumber=1&uploadId=" + u.ID, header: md5, body: content}, 400, "BadDigest")
	r.expect(call{method: "POST", path: "/private?delete", header: md5, body: "<Delete><Object><Key>k</Key></Object></Delete>"}, 400, "BadDigest")
	r.expect(call{method: "PUT", path: "/private/k", header: md5, body: content}, 400, "BadDigest")
	r.idle()
}

func TestHeadersBeyondAllUseEndTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig, p *pipes, _ func() error) {
		conn := p.dial()
		defer conn.Close()
		go func(conn net.Conn) {
			fmt.Fprintf(conn, "GET /public/k HTTP/1.1\r\nHost: x\r\nX-A: %s\r\n\r\n", strings.Repeat("x", 2*maxHeaderBytes))
		}(conn)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%d", resp.StatusCode)
		}
	})
}
