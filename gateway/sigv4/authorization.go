package sigv4

import (
	"errors"
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

// Authorization is what an AWS4-HMAC-SHA256 Authorization header, or a query,
// says. None of it is believed before Verify.
type Authorization struct {
	AccessKey string
	Scope     Scope
	Headers   []string // names that are signed, in lower case, as listed
	Signature string   // 64 hex digits

	inQuery bool // the query carries it, and all of it but the signature is signed
}

// Claims reports whether an Authorization header is of this scheme at all.
func Claims(header string) bool {
	return header == algorithm || strings.HasPrefix(header, algorithm+" ")
}

// ParseAuthorization reads the header. Any departure from the form is
// ErrMalformed with the reason.
func ParseAuthorization(header string) (Authorization, error) {
	bad := func(format string, a ...any) (Authorization, error) {
		return Authorization{}, fmt.Errorf("%w: %w", fmt.Errorf(format, a...), ErrMalformed)
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
		var err error
		switch at {
		case 0:
			err = a.readCredential(value)
		case 1:
			err = a.readHeaders(value)
		case 2:
			err = a.readSignature(value)
		}
		if err != nil {
			return bad("%w", err)
		}
	}
	if seen != [3]bool{true, true, true} {
		return bad("Credential, SignedHeaders and Signature are all needed")
	}
	return a, nil
}

func (a *Authorization) readCredential(value string) error {
	parts := strings.Split(value, "/")
	n := len(parts) // the access key itself may hold a slash
	if n >= 5 && parts[n-1] == terminator && parts[n-2] == service {
		a.AccessKey = strings.Join(parts[:n-4], "/")
		a.Scope = Scope{Date: parts[n-4], Region: parts[n-3]}
		if a.AccessKey != "" && a.Scope.Region != "" && isDate(a.Scope.Date) {
			return nil
		}
	}
	return fmt.Errorf("the field Credential must be <access key>/<yyyymmdd>/<region>/%s/%s", service, terminator)
}

func (a *Authorization) readHeaders(value string) error {
	a.Headers = strings.Split(value, ";")
	for _, h := range a.Headers {
		if h == "" || h != strings.ToLower(h) || strings.ContainsAny(h, " \t:\r\n") {
			return errors.New("the field SignedHeaders must be lower-case names joined by semicolons")
		}
	}
	return nil
}

func (a *Authorization) readSignature(value string) error {
	if !isHex(value, signatureLength) {
		return fmt.Errorf("the field Signature must be %d lower-case hex digits", signatureLength)
	}
	a.Signature = value
	return nil
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
