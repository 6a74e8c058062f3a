package gateway

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn/gateway/sigv4"
)

// FuzzTarget: an address is a bucket and a key, or refused; what is read,
// written out again, is read the same.
func FuzzTarget(f *testing.F) {
	f.Add("/b/k", "x=y&z", "h")
	f.Add("/b//k/../%2F%00", "a=%2&&=", "b.s3.example.org:80")
	f.Add("http://h?x", "X-Amz-Signature=1&X-Amz-Meta-A=b&X-Amz-Acl", ".s3.example.org")
	names, err := newHosting([]string{"s3.example.org"}, "https://s3.example.org")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, target, query, host string) {
		read := func(uri string) (*request, error) {
			hr := &http.Request{Method: "GET", RequestURI: uri, Host: host, Header: http.Header{}}
			r := &request{Request: hr, sent: hr.Header}
			return r, r.parse(names)
		}
		r, err := read(target + "?" + query)
		if err != nil {
			if f := classify(err, false); f.code != codeInvalidURI {
				t.Fatalf("%v", err)
			}
			return
		}
		if len(r.hosts) == 0 || !slices.Contains(r.hosts, host) {
			t.Fatalf("%q is not among %q", host, r.hosts)
		}
		for _, h := range r.hosts {
			if b := names.bucketOf(h); b != names.bucketOf(host) {
				t.Fatalf("%q is of bucket %q, %q of %q", host, names.bucketOf(host), h, b)
			}
		}
		uri := []byte("/")
		if names.bucketOf(host) == "" {
			uri = sigv4.AppendEscaped(uri, r.key.Bucket, false)
			uri = append(uri, '/')
		}
		uri = append(sigv4.AppendEscaped(uri, r.key.Object, true), '?')
		for _, p := range r.query {
			uri = append(append(sigv4.AppendEscaped(uri, p.name, false), '='), sigv4.AppendEscaped(nil, p.value, false)...)
			uri = append(uri, '&')
		}
		again, err := read(string(uri))
		if err != nil || again.key != r.key || !slices.Equal(again.query, r.query) {
			t.Fatalf("%v %q is written %q and read as %v %q, %v", r.key, r.query, uri, again.key, again.query, err)
		}
		r.hoist()
		for name := range r.Header {
			if stays(strings.ToLower(name)) || !strings.HasPrefix(name, "X-Amz-") {
				t.Fatalf("%q became a header", name)
			}
		}
	})
}

// FuzzForwarded: whatever a trusted proxy passes on, the client is an address
// or nobody, and never a proxy when somebody else is there.
func FuzzForwarded(f *testing.F) {
	f.Add("203.0.113.9, 10.0.0.1", "https")
	f.Add("[::1]:80,,", "https,http")
	f.Add("fe80::1%eth0", "")
	p, err := newProxies([]string{"10.0.0.0/8"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, forwarded, proto string) {
		got := p.client([]string{forwarded})
		if got == "" {
			return
		}
		ip, err := netip.ParseAddr(got)
		if err != nil {
			t.Fatalf("%q gives %q", forwarded, got)
		}
		if first, _, more := strings.Cut(forwarded, ","); p.trusts(ip) && !more {
			if a, err := netip.ParseAddr(strings.Trim(strings.TrimSpace(first), "[]")); err == nil && a.Unmap() != ip {
				t.Fatalf("%q gives %q", forwarded, got)
			}
		}
		if allHTTPS([]string{proto}) && strings.Contains(strings.ToLower(proto), "http,") {
			t.Fatalf("%q is TLS all the way", proto)
		}
	})
}

// FuzzChecksumHeaders: of whatever is announced, one checksum is asked for, or
// none, or the request is refused.
func FuzzChecksumHeaders(f *testing.F) {
	f.Add("crc32", "AAAAAA==", "x-amz-checksum-crc32", true)
	f.Add("type", "FULL_OBJECT", "", false)
	f.Add("sha256", "", " , x-amz-checksum-sha1,", true)
	f.Fuzz(func(t *testing.T, name, value, trailer string, trailers bool) {
		h := http.Header{}
		h.Add(checksumPrefix+name, value)
		if trailer != "" {
			h["X-Amz-Trailer"] = []string{trailer}
		}
		c, inTrailer, err := askedChecksum(h, sigv4.Payload{Trailers: trailers})
		switch {
		case err != nil:
			if f := classify(err, false); f.code.status < 400 || f.code == codeInternal {
				t.Fatalf("%v", err)
			}
		case inTrailer && (c.algorithm == nil || c.value != "" || !trailers):
			t.Fatalf("a trailer of %+v", c)
		case !inTrailer && (c.algorithm == nil) != (c.value == ""):
			t.Fatalf("half a checksum: %+v", c)
		}
		if err != nil || !inTrailer {
			return
		}
		if err := c.fromTrailer([]sigv4.Field{{Name: trailer, Value: value}}); err == nil && c.value != value {
			t.Fatalf("%q became %q", value, c.value)
		}
	})
}
