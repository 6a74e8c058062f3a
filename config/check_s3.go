package config

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// domainName is one that a certificate and a Host header can hold.
var domainName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)

// check gives add ErrInvalid for each key of [s3] that cannot work.
func (s S3) check(add func(key string, err error)) {
	add("s3.listen", listener(s.Listen))
	if !regionName.MatchString(s.Region) {
		add("s3.region", invalid("%q: use a-z, 0-9 and hyphens, or \"any\"", s.Region))
	}
	if s.PublicURL != "" {
		add("s3.public_url", publicURL(s.PublicURL))
	}
	for _, d := range s.Domains {
		add("s3.domains", domain(d))
	}
	for _, t := range s.TrustProxy {
		add("s3.trust_proxy", proxy(t))
	}
	if logs := []string{"errors", "all", "off"}; !slices.Contains(logs, s.AccessLog) {
		add("s3.access_log", invalid("%q: it can be \"errors\", \"all\" or \"off\"", s.AccessLog))
	}
	if s.TLS != (TLS{}) {
		s.TLS.check(add)
		if strings.HasPrefix(s.Listen, "unix:") {
			add("s3.tls", invalid("a unix socket is served without TLS: the proxy in front of it has the certificate"))
		}
	}
}

func (t TLS) check(add func(key string, err error)) {
	if t.Cert == "" {
		add("s3.tls.cert", invalid("is missing beside s3.tls.key"))
	} else {
		add("s3.tls.cert", absolute(t.Cert))
	}
	if t.Key == "" {
		add("s3.tls.key", invalid("is missing beside s3.tls.cert"))
	} else {
		add("s3.tls.key", secretPath(t.Key))
	}
}

func domain(text string) error {
	switch _, err := netip.ParseAddr(text); {
	case err == nil:
		return invalid("%q: an address has no names below it, write a domain such as \"s3.example.org\"", text)
	case strings.Contains(text, ":"), strings.Contains(text, "/"):
		return invalid("%q: write the name alone, without scheme and port, such as \"s3.example.org\"", text)
	case len(text) > 253 || !domainName.MatchString(text):
		return invalid("%q: write a name in lower case, without \"*.\", such as \"s3.example.org\"", text)
	}
	return nil
}

func proxy(text string) error {
	if text == "unix" {
		return nil
	}
	if _, err := netip.ParseAddr(text); err == nil {
		return nil
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return invalid("%q: write an address such as \"127.0.0.1\", a network such as \"10.0.0.0/8\", or \"unix\"", text)
	case p != p.Masked():
		return invalid("%q: the network is %q, the address %q", text, p.Masked(), p.Addr())
	}
	return nil
}
