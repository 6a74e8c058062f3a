package sigv4

import (
	"errors"
	"strings"
)

// errEscape is returned for a percent sign without two hex digits.
var errEscape = errors.New("a percent sign is not followed by two hex digits")

// AppendEscaped appends s in AWS's URI encoding: everything but unreserved
// characters as %XX in upper case, the slash too unless keepSlash.
func AppendEscaped(b []byte, s string, keepSlash bool) []byte {
	const upper = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if unreserved(c) || c == '/' && keepSlash {
			b = append(b, c)
			continue
		}
		b = append(b, '%', upper[c>>4], upper[c&15])
	}
	return b
}

// Unescape undoes percent encoding; with plus, a plus sign is a space, as in
// queries. Nothing else is touched.
func Unescape(s string, plus bool) (string, error) {
	if !strings.Contains(s, "%") && (!plus || !strings.Contains(s, "+")) {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%':
			if i+2 >= len(s) {
				return "", errEscape
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi > 15 || lo > 15 {
				return "", errEscape
			}
			b = append(b, hi<<4|lo)
			i += 2
		case c == '+' && plus:
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return string(b), nil
}

func unreserved(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
