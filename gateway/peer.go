package gateway

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/cairn-storage/cairn"
)

// proxies are the peers whose X-Forwarded headers are believed. The header
// Forwarded is not read: the common proxies pass it on as a client sent it.
type proxies struct {
	unix     bool // whoever can open the socket
	prefixes []netip.Prefix
}

// newProxies reads addresses, networks and the word unix.
func newProxies(trust []string) (p proxies, err error) {
	for _, t := range trust {
		if t == "unix" {
			p.unix = true
			continue
		}
		prefix, err := netip.ParsePrefix(t)
		if err != nil {
			var addr netip.Addr
			if addr, err = netip.ParseAddr(t); err == nil {
				prefix = netip.PrefixFrom(addr, addr.BitLen())
			}
		}
		if err != nil {
			return p, fmt.Errorf("trusted proxy %q is no address, no network such as 10.0.0.0/8 and not \"unix\": %w", t, cairn.ErrInvalid)
		}
		p.prefixes = append(p.prefixes, prefix)
	}
	return p, nil
}

func (p proxies) trusts(ip netip.Addr) bool {
	return slices.ContainsFunc(p.prefixes, func(n netip.Prefix) bool { return n.Contains(ip) })
}

// peer is who sent a request, as far as it can be believed.
type peer struct {
	address string // of the client
	trusted bool   // it came through a proxy that is believed
	// private: nobody on the way can have read or changed the request. It came
	// over TLS, or it never left this machine.
	private bool
}

// forwarding are headers by which a proxy betrays itself.
var forwarding = []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "Via", "X-Real-Ip"}

// peerOf judges the connection that hr came on, and what a proxy says of the
// one before.
func (p proxies) peerOf(hr *http.Request) peer {
	out := peer{address: hr.RemoteAddr}
	local, _ := hr.Context().Value(http.LocalAddrContextKey).(net.Addr)
	onUnix := local != nil && local.Network() == "unix"
	here := onUnix
	if onUnix {
		out.address, out.trusted = "unix", p.unix
	} else if at, err := netip.ParseAddrPort(hr.RemoteAddr); err == nil {
		ip := at.Addr().Unmap()
		here, out.trusted = ip.IsLoopback(), p.trusts(ip)
	}
	forwarded := slices.ContainsFunc(forwarding, func(name string) bool { return len(hr.Header[name]) > 0 })
	switch {
	case out.trusted && forwarded:
		out.private = allHTTPS(hr.Header["X-Forwarded-Proto"])
		out.address = cmp.Or(p.client(hr.Header["X-Forwarded-For"]), out.address)
	case hr.TLS != nil:
		out.private = true
	default:
		// From this machine, but not for a proxy, which may have got it in the
		// clear from anywhere.
		out.private = here && !forwarded
	}
	return out
}

// allHTTPS reports whether every hop that the header names was TLS.
func allHTTPS(values []string) bool {
	for _, v := range values {
		for proto := range strings.SplitSeq(v, ",") {
			if !strings.EqualFold(strings.TrimSpace(proto), "https") {
				return false
			}
		}
	}
	return len(values) > 0
}

// client is the last address of X-Forwarded-For that is not a proxy's: what
// stands before it was written by the client itself. It is "" when there is none.
func (p proxies) client(values []string) (address string) {
	hops := strings.Split(strings.Join(values, ","), ",")
	for _, hop := range slices.Backward(hops) {
		hop = strings.TrimSpace(hop)
		ip, err := netip.ParseAddr(strings.Trim(hop, "[]"))
		if err != nil {
			var with netip.AddrPort
			if with, err = netip.ParseAddrPort(hop); err != nil {
				return address
			}
			ip = with.Addr()
		}
		ip = ip.Unmap()
		address = ip.String()
		if !p.trusts(ip) {
			return address
		}
	}
	return address
}
