package gateway

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cairn-storage/cairn"
)

const (
	maxCORSRules = 100 // as S3 has it
	// maxCORSBytes is the most that rules may take as they are kept.
	maxCORSBytes = 8 << 10
)

// corsRules is a bucket's cross-origin configuration: in XML as S3 sends it,
// in JSON as it is kept, which is also what aws-cli takes.
type corsRules struct {
	CORSRules []corsRule `xml:"CORSRule"`
}

// corsRule allows some requests from pages of some origins.
type corsRule struct {
	ID             string   `xml:",omitempty" json:",omitempty"`
	AllowedOrigins []string `xml:"AllowedOrigin"` // each with at most one *
	AllowedMethods []string `xml:"AllowedMethod"`
	AllowedHeaders []string `xml:"AllowedHeader" json:",omitempty"` // each with at most one *
	ExposeHeaders  []string `xml:"ExposeHeader" json:",omitempty"`
	MaxAgeSeconds  *int     `xml:",omitempty" json:",omitempty"`
}

type corsXML struct {
	XMLName   xml.Name
	Namespace string `xml:"xmlns,attr"`
	CORSRule  []corsRuleXML
}

type corsRuleXML struct {
	ID            *text
	AllowedOrigin []text
	AllowedMethod []text
	AllowedHeader []text
	ExposeHeader  []text
	MaxAgeSeconds *int
}

// escaped is r ready to be written.
func (r corsRules) escaped() (out []corsRuleXML) {
	all := func(values []string) (texts []text) {
		for _, v := range values {
			texts = append(texts, escapeText(v))
		}
		return texts
	}
	for _, c := range r.CORSRules {
		x := corsRuleXML{AllowedOrigin: all(c.AllowedOrigins), AllowedMethod: all(c.AllowedMethods),
			AllowedHeader: all(c.AllowedHeaders), ExposeHeader: all(c.ExposeHeaders), MaxAgeSeconds: c.MaxAgeSeconds}
		if c.ID != "" {
			x.ID = some(escapeText(c.ID))
		}
		out = append(out, x)
	}
	return out
}

// parseCORS reads a CORSConfiguration document and returns its rules as they
// are kept.
func parseCORS(document []byte) (string, error) {
	var rules corsRules
	if err := parseXML(document, "CORSConfiguration", &rules); err != nil {
		return "", err
	}
	return rules.encode()
}

// ParseCORS reads cross-origin rules as people keep them in files, the XML of
// S3 or the JSON of aws-cli, and returns them as a bucket has them; ErrInvalid
// says what is wrong with them.
func ParseCORS(file []byte) (string, error) {
	file = bytes.TrimSpace(file)
	var encoded string
	var err error
	if bytes.HasPrefix(file, []byte("<")) {
		encoded, err = parseCORS(file)
	} else {
		var rules corsRules
		if rules, err = decodeCORS(string(file)); err == nil {
			encoded, err = rules.encode()
		}
	}
	if err != nil {
		return "", fmt.Errorf("CORS rules: %w: %w", err, cairn.ErrInvalid)
	}
	return encoded, nil
}

// decodeCORS reads rules as they are kept.
func decodeCORS(encoded string) (rules corsRules, err error) {
	d := json.NewDecoder(strings.NewReader(encoded))
	d.DisallowUnknownFields() // half a rule may allow more than the whole
	if err := d.Decode(&rules); err != nil {
		return rules, fmt.Errorf("gateway: CORS rules: %w", err)
	}
	if d.More() {
		return rules, fmt.Errorf("gateway: CORS rules: there is more after them")
	}
	return rules, nil
}

// encode checks r and writes it as it is kept.
func (r corsRules) encode() (string, error) {
	if n := len(r.CORSRules); n == 0 || n > maxCORSRules {
		return "", fail(codeMalformedXML, "there are %d CORS rules, 1 to %d are allowed", n, maxCORSRules)
	}
	for _, c := range r.CORSRules {
		if err := c.check(); err != nil {
			return "", err
		}
	}
	out, err := json.Marshal(r)
	if err != nil {
		panic("gateway: " + err.Error()) // unreachable: strings and numbers
	}
	if len(out) > maxCORSBytes {
		return "", fail(codeInvalidRequest, "the CORS rules take %d bytes, at most %d are kept", len(out), maxCORSBytes)
	}
	return string(out), nil
}

func (c corsRule) check() error {
	if len(c.AllowedOrigins) == 0 || len(c.AllowedMethods) == 0 {
		return fail(codeMalformedXML, "a CORS rule needs an AllowedOrigin and an AllowedMethod at least")
	}
	if n := utf8.RuneCountInString(c.ID); n > 255 || strings.IndexFunc(c.ID, unspeakable) >= 0 {
		return fail(codeInvalidRequest, "the ID of a CORS rule has %d characters, at most 255 are allowed and none that control", n)
	}
	for _, v := range slices.Concat(c.AllowedOrigins, c.AllowedHeaders) {
		if v == "" || strings.Count(v, "*") > 1 {
			return fail(codeInvalidRequest, "%q in a CORS rule: an origin or header is not empty and has at most one *", v)
		}
	}
	for _, v := range c.AllowedMethods {
		if !slices.Contains([]string{"GET", "PUT", "HEAD", "POST", "DELETE"}, v) {
			return fail(codeInvalidRequest, "found unsupported HTTP method in CORS config: %q; GET, PUT, HEAD, POST and DELETE are supported", v)
		}
	}
	for _, v := range c.ExposeHeaders {
		if v == "" || strings.Contains(v, "*") {
			return fail(codeInvalidRequest, "ExposeHeader %q: name each header, wildcards are not allowed", v)
		}
	}
	// These travel in headers of answers.
	for _, v := range slices.Concat(c.AllowedOrigins, c.AllowedHeaders, c.ExposeHeaders) {
		if strings.IndexFunc(v, func(r rune) bool { return r <= ' ' || r >= 0x7f }) >= 0 {
			return fail(codeInvalidRequest, "%q in a CORS rule: only visible ASCII characters are allowed", v)
		}
	}
	if c.MaxAgeSeconds != nil && *c.MaxAgeSeconds < 0 {
		return fail(codeInvalidRequest, "MaxAgeSeconds %d is negative", *c.MaxAgeSeconds)
	}
	return nil
}

// match is the first rule that allows a request of that method with these
// headers, in lower case, from a page of origin.
func (r corsRules) match(origin, method string, headers []string) (corsRule, bool) {
	for _, c := range r.CORSRules {
		if c.allows(origin, method, headers) {
			return c, true
		}
	}
	return corsRule{}, false
}

func (c corsRule) allows(origin, method string, headers []string) bool {
	if !slices.ContainsFunc(c.AllowedOrigins, func(p string) bool { return fitsPattern(p, origin) }) || !slices.Contains(c.AllowedMethods, method) {
		return false
	}
	for _, h := range headers {
		if !slices.ContainsFunc(c.AllowedHeaders, func(p string) bool { return fitsPattern(strings.ToLower(p), h) }) {
			return false
		}
	}
	return true
}

// anyOrigin reports whether c is for everyone, not for an origin that fits.
func (c corsRule) anyOrigin() bool { return slices.Contains(c.AllowedOrigins, "*") }

// fitsPattern compares with a pattern in which one * stands for anything.
func fitsPattern(pattern, s string) bool {
	before, after, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == s
	}
	return len(s) >= len(before)+len(after) && strings.HasPrefix(s, before) && strings.HasSuffix(s, after)
}
