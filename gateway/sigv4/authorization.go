package sigv4

import (
	"fmt"
	"slices"
	"strings"
)

// Scope limits what a signing key is good for.
type Scope struct {
	Date   string // yyyymmdd
	Region string
}

// String is date/region/s3/aws4_request.
func (s Scope) String() string {
	return s.Date + "/" + s.Region + "/" + service + "/" + terminator
}

// Authorization is what an AWS4-HMAC-SHA256 Authorization header says. None
// of it is believed before Verify.
type Authorization struct {
	AccessKey string
	Scope     Scope
	Headers   []string // names that are signed, in lower case, as listed
	Signature string   // 64 hex digits
}

// Claims reports whether an Authorization header is of this scheme at all.
func Claims(header string) bool {
	return header == algorithm || strings.HasPrefix(header, algorithm+" ")
}

// ParseAuthorization reads the header. Any departure from the form is
// ErrMalformed with the reason.
func ParseAuthorization(header string) (Authorization, error) {
	bad := func(format string, a ...any) (Authorization, error) {
		return Authorization{}, fmt.Errorf("%s: %w", fmt.Sprintf(format, a...), ErrMalformed)
	}
	if !Claims(header) {
		return bad("the scheme is not %s", algorithm)
	}
	var a Authorization
	var seen [3]bool
	for field := range strings.SplitSeq(strings.TrimPrefix(header, algorithm), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		at := slices.Index([]string{"Credential", "SignedHeaders", "Signature"}, name)
		if at < 0 {
			return bad("field %q is not known", name)
		}
		if seen[at] {
			return bad("%s is given twice", name)
		}
		seen[at] = true
		switch at {
		case 0:
			parts := strings.Split(value, "/")
			n := len(parts) // the access key itself may hold a slash
			if n < 5 || parts[n-1] != terminator || parts[n-2] != service {
				return bad("Credential must be <access key>/<yyyymmdd>/<region>/%s/%s", service, terminator)
			}
			a.AccessKey = strings.Join(parts[:n-4], "/")
			a.Scope = Scope{Date: parts[n-4], Region: parts[n-3]}
			if a.AccessKey == "" || a.Scope.Region == "" || !isDate(a.Scope.Date) {
				return bad("Credential must be <access key>/<yyyymmdd>/<region>/%s/%s", service, terminator)
			}
		case 1:
			a.Headers = strings.Split(value, ";")
			for _, h := range a.Headers {
				if h == "" || h != strings.ToLower(h) || strings.ContainsAny(h, " \t:\r\n") {
					return bad("SignedHeaders must be lower-case names joined by semicolons")
				}
			}
		case 2:
			if !isHex(value, signatureLength) {
				return bad("Signature must be %d lower-case hex digits", signatureLength)
			}
			a.Signature = value
		}
	}
	if seen != [3]bool{true, true, true} {
		return bad("Credential, SignedHeaders and Signature are all needed")
	}
	return a, nil
}

func isDate(s string) bool {
	if len(s) != len(dateFormat) {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
