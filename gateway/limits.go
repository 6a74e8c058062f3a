package gateway

import "net/http"

// What S3 takes of a request beside its body, in bytes; for metadata see
// header.go, for names cairn.Key.
const (
	maxTarget  = 8 << 10 // path and query as sent
	maxHeaders = 8 << 10 // names and values
)

// checkLimits refuses requests whose address or headers are beyond all use.
func checkLimits(hr *http.Request) error {
	if n := len(hr.RequestURI); n > maxTarget {
		return fail(codeHeaderTooLarge, "path and query have %d bytes, at most %d are allowed", n, maxTarget).with("MaxSizeAllowed", maxTarget)
	}
	n := 0
	for name, values := range hr.Header {
		if name == "X-Amz-Tagging" {
			continue // has limits of its own, of what its escapes stand for
		}
		for _, v := range values {
			n += len(name) + len(v)
		}
	}
	if n > maxHeaders {
		return fail(codeHeaderTooLarge, "the headers have %d bytes, at most %d are allowed", n, maxHeaders).with("MaxSizeAllowed", maxHeaders)
	}
	return nil
}
