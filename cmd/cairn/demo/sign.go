package demo

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cairn-storage/cairn/gateway/sigv4"
)

// keys is an S3 access key and the region that it signs for.
type keys struct {
	id, secret, region string
}

// sign puts AWS Signature Version 4 over the host, every header of r and the
// body's hash into r. r's query must be empty or in canonical order.
func (k keys) sign(r *http.Request, body []byte, at time.Time) {
	hash := hexSHA256(body)
	stamp := at.UTC().Format(sigv4.TimeFormat)
	r.Header.Set("X-Amz-Date", stamp)
	r.Header.Set("X-Amz-Content-Sha256", hash)

	names := []string{"host"}
	for name := range r.Header {
		names = append(names, strings.ToLower(name))
	}
	slices.Sort(names)

	var text strings.Builder
	text.WriteString(r.Method + "\n" + r.URL.EscapedPath() + "\n" + r.URL.RawQuery + "\n")
	for _, name := range names {
		value := r.Host
		if name != "host" {
			value = strings.TrimSpace(strings.Join(r.Header.Values(name), ","))
		}
		text.WriteString(name + ":" + value + "\n")
	}
	text.WriteString("\n" + strings.Join(names, ";") + "\n" + hash)

	scope := sigv4.Scope{Date: stamp[:8], Region: k.region}.String()
	key := []byte("AWS4" + k.secret)
	for _, part := range strings.Split(scope, "/") {
		key = mac(key, part)
	}
	signature := mac(key, "AWS4-HMAC-SHA256\n"+stamp+"\n"+scope+"\n"+hexSHA256([]byte(text.String())))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+k.id+"/"+scope+
		",SignedHeaders="+strings.Join(names, ";")+",Signature="+hex.EncodeToString(signature))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
