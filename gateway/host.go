package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/cairn-storage/cairn"
)

// maxForwardedHosts is how many names of a trusted proxy are tried: one per
// proxy on the way, and nobody has more.
const maxForwardedHosts = 4

// hosting is what the gateway knows of its own names.
type hosting struct {
	domains []string // below which a name is a bucket's; lower case, the longest first
	public  string   // host and port that clients are given; "" for none
}

func newHosting(domains []string, publicURL string) (h hosting, err error) {
	for _, d := range domains {
		if d == "" || d != strings.ToLower(d) || strings.ContainsAny(d, ":/ ") || strings.HasPrefix(d, ".") || strings.HasSuffix(d, ".") {
			return h, fmt.Errorf("domain %q: write a name in lower case without port or scheme, such as s3.example.org: %w", d, cairn.ErrInvalid)
		}
	}
	h.domains = slices.Clone(domains)
	slices.SortFunc(h.domains, func(a, b string) int { return len(b) - len(a) })
	if publicURL != "" {
		u, err := url.Parse(publicURL)
		if err != nil || u.Host == "" {
			return h, fmt.Errorf("public URL %q has no host: %w", publicURL, cairn.ErrInvalid)
		}
		h.public = withoutDefaultPort(u.Host)
	}
	return h, nil
}

// bucketOf is the bucket that a host names, "" where the path does.
func (h hosting) bucketOf(host string) string {
	if len(h.domains) == 0 {
		return ""
	}
	name, _ := splitPort(strings.ToLower(host))
	for _, d := range h.domains {
		if bucket, ok := strings.CutSuffix(name, "."+d); ok {
			return bucket
		}
		if name == d {
			return ""
		}
	}
	return ""
}

// hosts are the names by which the client may have addressed hr, most likely
// first: what trusted proxies say it was, what came, each of these as clients
// spell it when a proxy dropped or added a port, and the public one. A signature
// over any of them is good; but only names that mean the bucket of the first
// that means one are given, for a signature must not reach another bucket than
// the one it was made for.
func (h hosting) hosts(hr *http.Request, trusted bool) (hosts []string, bucket string) {
	came := make([]string, 0, maxForwardedHosts+1)
	if trusted {
		for _, v := range hr.Header["X-Forwarded-Host"] {
			for name := range strings.SplitSeq(v, ",") {
				if name = strings.TrimSpace(name); name != "" && len(came) < maxForwardedHosts {
					came = append(came, name)
				}
			}
		}
	}
	came = append(came, hr.Host)
	for _, host := range came {
		if bucket = h.bucketOf(host); bucket != "" {
			break
		}
	}
	_, publicPort := splitPort(h.public)
	all := slices.Clone(came)
	for _, host := range came {
		name, port := splitPort(host)
		switch {
		case port == "" && publicPort != "":
			all = append(all, name+":"+publicPort)
		case port != "":
			all = append(all, withoutDefaultPort(host))
		}
	}
	if h.public != "" {
		all = append(all, h.public)
	}
	for _, host := range all {
		if h.bucketOf(host) == bucket && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts, bucket
}

// splitPort takes host:port apart; a host without a port has "" for it.
func splitPort(host string) (name, port string) {
	if at := strings.LastIndexByte(host, ':'); at >= 0 && !strings.Contains(host[at:], "]") {
		if bare := host[:at]; !strings.Contains(bare, ":") || strings.HasSuffix(bare, "]") {
			return bare, host[at+1:]
		}
	}
	return host, ""
}

// withoutDefaultPort is host as clients spell it in a request.
func withoutDefaultPort(host string) string {
	if name, port := splitPort(host); port == "80" || port == "443" {
		return name
	}
	return host
}
