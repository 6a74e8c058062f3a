package gateway

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn/store"
)

// withPassword is c with an access key and its secret as name and password.
func withPassword(c call, id, secret string) call {
	c.as = "-"
	after := c.after
	c.after = func(q *http.Request, wire *[]byte) {
		q.SetBasicAuth(id, secret)
		if after != nil {
			after(q, wire)
		}
	}
	return c
}

func TestBasicIsASignatureForThoseWhoCannotSign(t *testing.T) {
	get, put := call{method: "GET", path: "/private/k"}, call{method: "PUT", path: "/private/new", body: content}
	header := func(c call, pairs ...string) call { c.header = append(c.header, pairs...); return c }
	for _, c := range []struct {
		name   string
		call   call
		status int
		code   string
	}{
		{"GET", withPassword(get, "reader", "secret of reader"), 200, ""},
		{"HEAD", withPassword(call{method: "HEAD", path: "/private/k"}, "reader", "secret of reader"), 200, ""},
		{"list", withPassword(call{method: "GET", path: "/private"}, "reader", "secret of reader"), 200, ""},
		{"PUT", withPassword(header(put, "Expect", "100-continue"), "writer", "secret of writer"), 200, ""},
		{"PUT with a hash", withPassword(header(put, "X-Amz-Content-Sha256", hexSum([]byte(content))), "writer", "secret of writer"), 200, ""},
		{"PUT with a wrong hash", withPassword(header(put, "X-Amz-Content-Sha256", hexSum(nil)), "writer", "secret of writer"), 400, "XAmzContentSHA256Mismatch"},
		{"PUT with a wrong MD5", withPassword(header(put, "Content-Md5", md5Base64("else")), "writer", "secret of writer"), 400, "BadDigest"},
		{"PUT in signed chunks", withPassword(header(put, "X-Amz-Content-Sha256", modeChained), "writer", "secret of writer"), 400, "InvalidRequest"},
		{"DELETE", withPassword(call{method: "DELETE", path: "/private/other"}, "writer", "secret of writer"), 204, ""},
		{"PUT by a reader", withPassword(put, "reader", "secret of reader"), 403, "AccessDenied"},
		{"a wrong secret", withPassword(get, "reader", "secret of writer"), 403, "AccessDenied"},
		{"half a secret", withPassword(get, "reader", "secret"), 403, "AccessDenied"},
		{"no secret", withPassword(get, "reader", ""), 403, "AccessDenied"},
		{"a key nobody has", withPassword(get, "nobody", "secret of nobody"), 403, "AccessDenied"},
		{"a key without a secret", withPassword(get, "broken", ""), 403, "AccessDenied"},
		{"no base64", withPassword(call{method: "GET", path: "/private/k", after: func(q *http.Request, _ *[]byte) { q.Header.Set("Authorization", "Basic :") }}, "", ""), 400, "InvalidArgument"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.store.access["broken"] = store.Access{ID: "broken", Grants: []store.Grant{{Bucket: "*", Level: store.Admin}}}
			r.put("private", "k", content)
			r.expect(c.call, c.status, map[bool]string{true: c.code}[c.call.method != "HEAD"])
			o, ok := r.stored("new")
			if stored := c.call.method == "PUT" && c.status == 200; ok != stored || ok && string(o.content) != content {
				t.Errorf("stored %v, %q", ok, o.content)
			}
			r.idle()
			if strings.Contains(r.log.String(), "secret") {
				t.Errorf("a secret is logged: %s", r.log)
			}
		})
	}
}

// remote gives requests another machine's address: the rig's own come over
// loopback.
func remote(r *rig) {
	inner := r.srv.Config.Handler
	r.srv.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		q.RemoteAddr = "192.0.2.7:4711"
		inner.ServeHTTP(w, q)
	})
}

func TestBasicIsTakenOnlyWhereNobodyCanListen(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		away   bool // the peer is another machine
		header []string
		want   bool
	}{
		{"loopback", Config{}, false, nil, true},
		{"loopback, of a proxy that is not trusted", Config{}, false, []string{"X-Forwarded-For", "203.0.113.9"}, false},
		{"loopback, of a proxy that lies", Config{}, false, []string{"X-Forwarded-Proto", "https"}, false},
		{"loopback, of a proxy with TLS", Config{TrustProxy: []string{"127.0.0.1"}}, false, []string{"X-Forwarded-Proto", "https"}, true},
		{"loopback, of a proxy without TLS", Config{TrustProxy: []string{"127.0.0.1"}}, false, []string{"X-Forwarded-Proto", "http"}, false},
		{"loopback, of a proxy that does not say", Config{TrustProxy: []string{"127.0.0.1"}}, false, []string{"X-Forwarded-For", "203.0.113.9"}, false},
		{"two proxies, one without TLS", Config{TrustProxy: []string{"127.0.0.1"}}, false, []string{"X-Forwarded-Proto", "https, http"}, false},
		{"another machine", Config{}, true, nil, false},
		{"another machine that says it is a proxy", Config{}, true, []string{"X-Forwarded-Proto", "https"}, false},
		{"another machine that is one", Config{TrustProxy: []string{"192.0.2.0/24"}}, true, []string{"X-Forwarded-Proto", "https"}, true},
		{"another machine, as configured", Config{InsecureBasic: true}, true, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(g *Config) { g.TrustProxy, g.InsecureBasic = c.config.TrustProxy, c.config.InsecureBasic })
			if c.away {
				remote(r)
			}
			r.put("private", "k", content)
			a := r.do(withPassword(call{method: "GET", path: "/private/k", header: c.header}, "reader", "secret of reader"))
			if got := a.StatusCode == 200; got != c.want || !got && a.code() != "AccessDenied" {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
			a = r.do(call{method: "GET", path: "/private/k", as: "-", header: c.header})
			if got := a.Header.Get("WWW-Authenticate") == challenge; got != c.want || a.StatusCode != 403 {
				t.Errorf("anonymous: %d, WWW-Authenticate %q", a.StatusCode, a.Header.Get("WWW-Authenticate"))
			}
		})
	}
}

// Nix and curl wait for the 100 before they send a body; a refusal must come
// without it.
func TestABodyIsAskedForOnlyOnceItsSenderIsKnown(t *testing.T) {
	for password, want := range map[string]string{"secret of writer": "HTTP/1.1 100", "wrong": "HTTP/1.1 403"} {
		r := newRig(t)
		conn, err := net.Dial("tcp", r.srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		q, _ := http.NewRequest("PUT", "http://x/private/k", nil)
		q.SetBasicAuth("writer", password)
		fmt.Fprintf(conn, "PUT /private/k HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\nAuthorization: %s\r\n\r\n",
			len(content), q.Header.Get("Authorization"))
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, want) {
			t.Errorf("%s: %q, %v", password, line, err)
		}
	}
}
