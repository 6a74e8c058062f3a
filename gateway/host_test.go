package gateway

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
)

func TestHostsThatAClientMayHaveMeant(t *testing.T) {
	domains := []string{"example.org", "s3.example.org"}
	for _, c := range []struct {
		name      string
		domains   []string
		public    string
		host      string
		forwarded []string // by a trusted proxy
		bucket    string
		hosts     string
	}{
		{"nothing configured", nil, "", "photos.s3.example.org:9000", nil, "", "photos.s3.example.org:9000"},
		{"a bucket's name", domains, "", "photos.s3.example.org", nil, "photos", "photos.s3.example.org"},
		{"with a port", domains, "", "photos.s3.example.org:9000", nil, "photos", "photos.s3.example.org:9000"},
		{"in capitals", domains, "", "Photos.S3.example.ORG", nil, "photos", "Photos.S3.example.ORG"},
		{"a bucket with dots", domains, "", "a.b.s3.example.org", nil, "a.b", "a.b.s3.example.org"},
		{"the domain itself", domains, "", "s3.example.org", nil, "", "s3.example.org"},
		{"the shorter domain", domains, "", "photos.example.org", nil, "photos", "photos.example.org"},
		{"another host", domains, "", "photos.s3.example.com", nil, "", "photos.s3.example.com"},
		{"a name that only ends like it", domains, "", "photos-s3.example.org.evil", nil, "", "photos-s3.example.org.evil"},
		{"an address", domains, "", "[::1]:9000", nil, "", "[::1]:9000"},
		{"a bare address", domains, "", "[::1]", nil, "", "[::1]"},
		{"behind a proxy that changes it", nil, "https://cache.example.org", "127.0.0.1:9000", nil, "", "127.0.0.1:9000 cache.example.org"},
		{"the public port, which the proxy dropped", nil, "https://cache.example.org:8443", "cache.example.org", nil, "", "cache.example.org cache.example.org:8443"},
		{"the default port, which the proxy added", nil, "", "cache.example.org:443", nil, "", "cache.example.org:443 cache.example.org"},
		{"the default port of the public URL", nil, "https://cache.example.org:443", "x", nil, "", "x cache.example.org"},
		{"a bucket's name and a dropped port", domains, "https://s3.example.org:8443", "photos.s3.example.org", nil, "photos", "photos.s3.example.org photos.s3.example.org:8443"},
		{"never another bucket's", domains, "https://s3.example.org", "photos.s3.example.org", nil, "photos", "photos.s3.example.org"},
		{"a proxy's word", domains, "", "127.0.0.1:9000", []string{"photos.s3.example.org"}, "photos", "photos.s3.example.org"},
		{"two proxies' words", nil, "", "inner", []string{"outer, middle"}, "", "outer middle inner"},
		{"a proxy's word without a bucket", domains, "", "photos.s3.example.org", []string{"s3.example.org"}, "photos", "photos.s3.example.org"},
		{"too many words", nil, "", "inner", []string{"a,b,,c,d,e", "f"}, "", "a b c d inner"},
	} {
		h, err := newHosting(c.domains, c.public)
		if err != nil {
			t.Fatal(err)
		}
		hr := &http.Request{Host: c.host, Header: http.Header{"X-Forwarded-Host": c.forwarded}}
		hosts, bucket := h.hosts(hr, c.forwarded != nil)
		if bucket != c.bucket || strings.Join(hosts, " ") != c.hosts {
			t.Errorf("%s: bucket %q, hosts %q; want %q, %q", c.name, bucket, hosts, c.bucket, c.hosts)
		}
	}
	hr := &http.Request{Host: "inner", Header: http.Header{"X-Forwarded-Host": {"outer"}}}
	if hosts, _ := (hosting{}).hosts(hr, false); !slices.Equal(hosts, []string{"inner"}) {
		t.Errorf("a stranger's word is taken: %q", hosts)
	}
	for _, d := range []string{"", "S3.example.org", "s3.example.org:80", ".example.org", "example.org.", "https://x"} {
		if _, err := newHosting([]string{d}, ""); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("domain %q: %v", d, err)
		}
	}
}

// as gives a request another Host than the one it is sent to.
func as(host string) func(*http.Request) { return func(q *http.Request) { q.Host = host } }

func TestAHostCanNameTheBucket(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Domains = []string{"s3.example.org"} })
	r.put("private", "k", content)
	r.put("private", "private/k", "another")
	r.put("public", "k", content)
	for _, c := range []struct {
		name   string
		call   call
		status int
		code   string
		body   string
	}{
		{"a key", call{method: "GET", path: "/k", before: as("private.s3.example.org")}, 200, "", content},
		{"a key that begins like the bucket", call{method: "GET", path: "/private/k", before: as("private.s3.example.org")}, 200, "", "another"},
		{"with a port", call{method: "GET", path: "/k", before: as("private.s3.example.org:9000")}, 200, "", content},
		{"the domain", call{method: "GET", path: "/private/k", before: as("s3.example.org")}, 200, "", content},
		{"another host", call{method: "GET", path: "/private/k", before: as("10.0.0.1:9000")}, 200, "", content},
		{"public", call{method: "GET", path: "/k", as: "-", before: as("public.s3.example.org")}, 200, "", content},
		{"presigned", presigned(call{method: "GET", path: "/k", before: as("private.s3.example.org")}, 3600e9, modeUnsigned), 200, "", content},
		{"a PUT", call{method: "PUT", path: "/new", body: content, before: as("private.s3.example.org")}, 200, "", ""},
		{"a list", call{method: "HEAD", path: "/", before: as("private.s3.example.org")}, 200, "", ""},
		{"not its bucket", call{method: "GET", path: "/k", as: "-", before: as("private.s3.example.org")}, 403, "AccessDenied", ""},
		{"no bucket can be called so", call{method: "GET", path: "/k", as: "admin", before: as("x_y.s3.example.org")}, 400, "InvalidBucketName", ""},
		// A signature for the key private/k of the domain's path style must not
		// become one for the key private/k of another bucket.
		{"sent to another bucket", call{method: "GET", path: "/private/k", before: as("s3.example.org"),
			after: func(q *http.Request, _ *[]byte) { q.Host = "private.s3.example.org" }}, 403, "SignatureDoesNotMatch", ""},
	} {
		a := r.expect(c.call, c.status, c.code)
		if c.body != "" && a.body != c.body {
			t.Errorf("%s: %q", c.name, a.body)
		}
	}
	if o, ok := r.stored("new"); !ok || string(o.content) != content {
		t.Error("the PUT is not in its bucket")
	}
	r.idle()
}

func TestASignatureForThePublicNameIsGood(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.PublicURL, c.Domains, c.TrustProxy = "https://s3.example.org:8443", []string{"s3.example.org"}, []string{"127.0.0.0/8"}
	})
	r.put("private", "k", content)
	sent := func(host string, header ...string) func(*http.Request, *[]byte) {
		return func(q *http.Request, _ *[]byte) {
			q.Host = host
			for i := 0; i < len(header); i += 2 {
				q.Header.Set(header[i], header[i+1])
			}
		}
	}
	get := func(path, signed string, after func(*http.Request, *[]byte)) call {
		return call{method: "GET", path: path, before: as(signed), after: after}
	}
	r.expect(get("/private/k", "s3.example.org:8443", sent("127.0.0.1:9000")), 200, "")
	r.expect(get("/private/k", "s3.example.org:8443", sent("s3.example.org")), 200, "")
	r.expect(get("/k", "private.s3.example.org:8443", sent("private.s3.example.org")), 200, "")
	r.expect(get("/private/k", "other.name", sent("backend", "X-Forwarded-Host", "other.name")), 200, "")
	r.expect(get("/k", "private.s3.example.org", sent("backend", "X-Forwarded-Host", "private.s3.example.org")), 200, "")
	a := r.expect(get("/private/k", "wrong.name", sent("backend", "X-Forwarded-Host", "other.name")), 403, "SignatureDoesNotMatch")
	for _, want := range []string{"backend", "other.name", "s3.example.org:8443"} {
		if !strings.Contains(a.body, want) || !strings.Contains(r.log.String(), want) {
			t.Errorf("%s is not in %s or not in %s", want, a.body, r.log)
		}
	}
	// The bucket of another host is not reached through the public name.
	r.expect(get("/private/k", "s3.example.org:8443", sent("private.s3.example.org")), 403, "SignatureDoesNotMatch")
	r.idle()
}
