package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"testing"

	"github.com/cairn-storage/cairn"
)

func TestWhoseWordIsTaken(t *testing.T) {
	for _, c := range []struct {
		name    string
		trust   []string
		from    string // "unix" for a socket
		tls     bool
		header  http.Header
		address string
		private bool
	}{
		{"a client", nil, "203.0.113.9:99", false, nil, "203.0.113.9:99", false},
		{"over TLS", nil, "203.0.113.9:99", true, nil, "203.0.113.9:99", true},
		{"loopback", nil, "127.0.0.1:99", false, nil, "127.0.0.1:99", true},
		{"loopback, IPv6", nil, "[::1]:99", false, nil, "[::1]:99", true},
		{"a socket", nil, "unix", false, nil, "unix", true},
		{"a socket with a proxy behind", nil, "unix", false, http.Header{"Via": {"1.1 x"}}, "unix", false},
		{"a trusted socket", []string{"unix"}, "unix", false, http.Header{"X-Forwarded-For": {"203.0.113.9"}, "X-Forwarded-Proto": {"HTTPS"}}, "203.0.113.9", true},
		{"a stranger's headers", []string{"10.0.0.0/8"}, "203.0.113.9:99", false, http.Header{"X-Forwarded-For": {"1.2.3.4"}, "X-Forwarded-Proto": {"https"}}, "203.0.113.9:99", false},
		{"a proxy", []string{"10.0.0.0/8"}, "10.1.2.3:99", false, http.Header{"X-Forwarded-For": {"203.0.113.9"}, "X-Forwarded-Proto": {"https"}}, "203.0.113.9", true},
		{"a proxy as one address", []string{"10.1.2.3"}, "10.1.2.3:99", false, http.Header{"X-Forwarded-For": {"203.0.113.9"}}, "203.0.113.9", false},
		{"a proxy seen through IPv6", []string{"10.0.0.0/8"}, "[::ffff:10.1.2.3]:99", false, http.Header{"X-Forwarded-For": {"203.0.113.9"}}, "203.0.113.9", false},
		{"a proxy over TLS for a client without", []string{"10.0.0.0/8"}, "10.1.2.3:99", true, http.Header{"X-Forwarded-Proto": {"http"}}, "10.1.2.3:99", false},
		{"a proxy's own request", []string{"127.0.0.1"}, "127.0.0.1:99", false, nil, "127.0.0.1:99", true},
		{"a client that writes a header of its own", []string{"10.0.0.0/8"}, "10.1.2.3:99", false, http.Header{"X-Forwarded-For": {"1.2.3.4, 203.0.113.9", "10.9.9.9"}}, "203.0.113.9", false},
		{"proxies alone", []string{"10.0.0.0/8"}, "10.1.2.3:99", false, http.Header{"X-Forwarded-For": {"10.4.4.4,10.5.5.5"}}, "10.4.4.4", false},
		{"with ports", []string{"10.0.0.0/8"}, "10.1.2.3:99", false, http.Header{"X-Forwarded-For": {"[2001:db8::1]:77, 10.5.5.5:8"}}, "2001:db8::1", false},
		{"a bare IPv6 address", []string{"10.0.0.0/8"}, "10.1.2.3:99", false, http.Header{"X-Forwarded-For": {"2001:db8::1"}}, "2001:db8::1", false},
		{"nonsense", []string{"10.0.0.0/8"}, "10.1.2.3:99", false, http.Header{"X-Forwarded-For": {"who\nknows"}}, "10.1.2.3:99", false},
	} {
		p, err := newProxies(c.trust)
		if err != nil {
			t.Fatal(err)
		}
		var local net.Addr = &net.TCPAddr{}
		hr := &http.Request{RemoteAddr: c.from, Header: c.header}
		if c.from == "unix" {
			hr.RemoteAddr, local = "@", &net.UnixAddr{Net: "unix"}
		}
		if c.tls {
			hr.TLS = &tls.ConnectionState{}
		}
		got := p.peerOf(hr.WithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, local)))
		if got.address != c.address || got.private != c.private {
			t.Errorf("%s: %+v, want %s, %v", c.name, got, c.address, c.private)
		}
	}
	for _, bad := range []string{"", "10.0.0.0/33", "localhost", "10.0.0.0-10.0.0.9"} {
		if _, err := newProxies([]string{bad}); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
