package integration

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Keys is an access key and the region it signs for.
type Keys struct {
	Access, Secret, Region string
}

// UnsignedPayload stands for the body's hash in requests that do not sign it.
const UnsignedPayload = "UNSIGNED-PAYLOAD"

// Sign puts AWS Signature Version 4 into the Authorization header of r: every
// header that r has, the host, and payload, which is the hex SHA-256 of the
// body or UnsignedPayload.
func (k Keys) Sign(r *http.Request, payload string, at time.Time) {
	stamp := at.UTC().Format("20060102T150405Z")
	r.Header.Set("X-Amz-Date", stamp)
	r.Header.Set("X-Amz-Content-Sha256", payload)

	headers := map[string]string{"host": r.Host}
	if r.Host == "" {
		headers["host"] = r.URL.Host
	}
	for name, values := range r.Header {
		headers[strings.ToLower(name)] = strings.TrimSpace(strings.Join(values, ","))
	}
	var names []string
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names)

	var canonical strings.Builder
	line := func(parts ...string) { canonical.WriteString(strings.Join(parts, "") + "\n") }
	line(r.Method)
	line(escapePath(r.URL.Path))
	line(canonicalQuery(r.URL.Query()))
	for _, name := range names {
		line(name, ":", headers[name])
	}
	line()
	line(strings.Join(names, ";"))
	canonical.WriteString(payload)

	scope := strings.Join([]string{stamp[:8], k.Region, "s3", "aws4_request"}, "/")
	hash := sha256.Sum256([]byte(canonical.String()))
	text := strings.Join([]string{"AWS4-HMAC-SHA256", stamp, scope, hex.EncodeToString(hash[:])}, "\n")
	key := []byte("AWS4" + k.Secret)
	for _, part := range strings.Split(scope, "/") {
		key = mac(key, part)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+k.Access+"/"+scope+
		",SignedHeaders="+strings.Join(names, ";")+",Signature="+hex.EncodeToString(mac(key, text)))
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
