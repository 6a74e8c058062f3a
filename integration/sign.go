package integration

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Keys is an access key and the region it signs for.
type Keys struct {
	Access, Secret, Region string
}

// UnsignedPayload stands for the body's hash in requests that do not sign it.
const UnsignedPayload = "UNSIGNED-PAYLOAD"

const stampFormat = "20060102T150405Z"

// Sign puts AWS Signature Version 4 into the Authorization header of r: every
// header that r has, the host, and payload, which is the hex SHA-256 of the
// body or UnsignedPayload. It returns the signature.
func (k Keys) Sign(r *http.Request, payload string, at time.Time) string {
	r.Header.Set("X-Amz-Content-Sha256", payload)
	return k.SignUntold(r, payload, at)
}

// SignUntold signs as Sign does, but does not tell the payload in a header, as
// curl before version 8 does not.
func (k Keys) SignUntold(r *http.Request, payload string, at time.Time) string {
	r.Header.Set("X-Amz-Date", at.UTC().Format(stampFormat))
	headers := hostOf(r)
	for name, values := range r.Header {
		headers[strings.ToLower(name)] = strings.TrimSpace(strings.Join(values, ","))
	}
	names, signature := k.signature(r, headers, payload, at)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+k.Access+"/"+k.scope(at)+
		",SignedHeaders="+names+",Signature="+signature)
	return signature
}

// Presign puts the signature into the address of r, good for so long; of the
// headers only the host is signed.
func (k Keys) Presign(r *http.Request, at time.Time, expires time.Duration) {
	q := r.URL.Query()
	q.Set("X-Amz-Algorithm", "AWS4-HMAC-SHA256")
	q.Set("X-Amz-Credential", k.Access+"/"+k.scope(at))
	q.Set("X-Amz-Date", at.UTC().Format(stampFormat))
	q.Set("X-Amz-Expires", strconv.Itoa(int(expires/time.Second)))
	q.Set("X-Amz-SignedHeaders", "host")
	r.URL.RawQuery = canonicalQuery(q)
	_, signature := k.signature(r, hostOf(r), UnsignedPayload, at)
	r.URL.RawQuery += "&X-Amz-Signature=" + signature
}

func hostOf(r *http.Request) map[string]string {
	if r.Host != "" {
		return map[string]string{"host": r.Host}
	}
	return map[string]string{"host": r.URL.Host}
}

func (k Keys) scope(at time.Time) string {
	return strings.Join([]string{at.UTC().Format("20060102"), k.Region, "s3", "aws4_request"}, "/")
}

// signature returns the names of the signed headers and the signature.
func (k Keys) signature(r *http.Request, headers map[string]string, payload string, at time.Time) (signed, signature string) {
	var names []string
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names)
	signed = strings.Join(names, ";")

	var canonical strings.Builder
	line := func(parts ...string) { canonical.WriteString(strings.Join(parts, "") + "\n") }
	line(r.Method)
	line(escapePath(r.URL.Path))
	line(canonicalQuery(r.URL.Query()))
	for _, name := range names {
		line(name, ":", headers[name])
	}
	line()
	line(signed)
	canonical.WriteString(payload)
	return signed, k.over(at, "AWS4-HMAC-SHA256", hexSum([]byte(canonical.String())))
}

// over signs a text of these lines; the time and the scope come after the
// first.
func (k Keys) over(at time.Time, first string, lines ...string) string {
	scope := k.scope(at)
	key := []byte("AWS4" + k.Secret)
	for _, part := range strings.Split(scope, "/") {
		key = mac(key, part)
	}
	text := append([]string{first, at.UTC().Format(stampFormat), scope}, lines...)
	return hex.EncodeToString(mac(key, strings.Join(text, "\n")))
}

func hexSum(b []byte) string {
	hash := sha256.Sum256(b)
	return hex.EncodeToString(hash[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// escapePath is S3's URI encoding: every byte but the unreserved ones and the
// slash. The request line must carry the same, so it is also the RawPath.
func escapePath(path string) string {
	return strings.ReplaceAll(escape(path), "%2F", "/")
}

func escape(s string) string {
	var out strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0:
			out.WriteByte(c)
		default:
			out.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{c})))
		}
	}
	return out.String()
}

func canonicalQuery(q url.Values) string {
	var pairs []string
	for name, values := range q {
		for _, v := range values {
			pairs = append(pairs, escape(name)+"="+escape(v))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// unescape is the inverse of escape, which is also encoding-type=url.
func unescape(s string) (string, error) { return url.QueryUnescape(s) }
