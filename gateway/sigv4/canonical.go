package sigv4

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Request is what a signature covers, exactly as it came off the wire.
type Request struct {
	Method string
	Path   string // escaped, without the query; "" stands for "/"
	Query  string // raw, without the question mark
	Host   string // as the client addressed it, with its port if it sent one
	Header http.Header
	Length int64 // Content-Length, for clients that sign it
}

// checkSigned returns ErrUnsigned unless everything that changes what a
// request means is among the headers that a signs: the host, a date and every
// x-amz- header. A query that carries the signature has its date in itself, and
// may leave open what the body will be: a hash that comes with the body can
// only narrow that.
func (r Request) checkSigned(a Authorization) error {
	signed := a.Headers
	if !slices.Contains(signed, "host") {
		return fmt.Errorf("host: %w", ErrUnsigned)
	}
	for name := range r.Header {
		if len(name) < len(amzPrefix) || !strings.EqualFold(name[:len(amzPrefix)], amzPrefix) {
			continue
		}
		lower := strings.ToLower(name)
		if !slices.Contains(signed, lower) && !(a.inQuery && lower == payloadHeader) {
			return fmt.Errorf("%s: %w", lower, ErrUnsigned)
		}
	}
	if !a.inQuery && r.Header.Get("X-Amz-Date") == "" && !slices.Contains(signed, "date") {
		return fmt.Errorf("date: %w", ErrUnsigned)
	}
	return nil
}

// appendCanonical appends the canonical request for one spelling of path and
// query.
func (r Request) appendCanonical(b []byte, path, query string, signed []string, payload string) []byte {
	b = append(append(b, r.Method...), '\n')
	b = append(append(b, path...), '\n')
	b = append(append(b, query...), '\n')
	for _, name := range signed {
		b = append(append(b, name...), ':')
		b = append(r.appendValue(b, name), '\n')
	}
	b = append(b, '\n')
	for i, name := range signed {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, name...)
	}
	b = append(b, '\n')
	return append(b, payload...)
}

func (r Request) appendValue(b []byte, name string) []byte {
	switch name {
	case "host":
		return append(b, r.Host...)
	case "content-length": // a server may take it out of the header map
		if r.Length >= 0 {
			return strconv.AppendInt(b, r.Length, 10)
		}
	}
	for i, v := range r.Header[http.CanonicalHeaderKey(name)] {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendCollapsed(b, v)
	}
	return b
}

// appendCollapsed appends v without spaces at its ends and with each run of
// spaces inside made one.
func appendCollapsed(b []byte, v string) []byte {
	v = strings.Trim(v, " \t")
	for i := range len(v) {
		if v[i] == ' ' && i > 0 && v[i-1] == ' ' {
			continue
		}
		b = append(b, v[i])
	}
	return b
}

// paths and queries give the spellings that a client may have signed: the
// bytes it sent (curl), or AWS's own encoding of what they mean (the SDKs,
// behind HTTP libraries that respell a URL). Both mean the same request, so
// accepting either grants nothing that was not signed.
func (r Request) paths() []string {
	wire := cmp.Or(r.Path, "/")
	plain, err := Unescape(wire, false)
	if err != nil {
		return []string{wire}
	}
	return slices.Compact([]string{wire, string(AppendEscaped(nil, plain, true))})
}

func (r Request) queries(a Authorization) []string {
	if r.Query == "" {
		return []string{""}
	}
	var wire, normal [][2]string
	for pair := range strings.SplitSeq(r.Query, "&") {
		if pair == "" {
			continue
		}
		k, v, _ := strings.Cut(pair, "=")
		pk, err1 := Unescape(k, true)
		if a.inQuery && err1 == nil && pk == querySignature {
			continue // it cannot cover itself
		}
		wire = append(wire, [2]string{k, v})
		pv, err2 := Unescape(v, true)
		if err1 != nil || err2 != nil {
			pk, pv = k, v // can match as sent only
		}
		normal = append(normal, [2]string{string(AppendEscaped(nil, pk, false)), string(AppendEscaped(nil, pv, false))})
	}
	return slices.Compact([]string{joinQuery(wire), joinQuery(normal)})
}

func joinQuery(pairs [][2]string) string {
	slices.SortFunc(pairs, func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
	var s strings.Builder
	for i, p := range pairs {
		if i > 0 {
			s.WriteByte('&')
		}
		s.WriteString(p[0])
		s.WriteByte('=')
		s.WriteString(p[1])
	}
	return s.String()
}
