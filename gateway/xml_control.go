package gateway

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Keys may have characters that XML 1.0 cannot say, and clients send them all
// the same, raw or as a reference, as S3 takes them. encoding/xml refuses them,
// so hideControls writes them as two characters that it takes, and showControls
// turns what was read back. hidden begins such a pair, and stands for itself
// in one.
const (
	hidden     = '\x7f'
	hiddenBase = '@' // control character c is hidden by c+hiddenBase
	hiddenFFFE = '~'
	hiddenFFFF = '}'
	hiddenSelf = '?'
)

var (
	sectionStart = []byte("<![CDATA[")
	sectionEnd   = []byte("]]>")
)

// hideControls is at most twice as long as document.
func hideControls(document []byte) []byte {
	out := make([]byte, 0, len(document)+64)
	for len(document) > 0 {
		// In a CDATA section a reference is no reference.
		section := 0
		if bytes.HasPrefix(document, sectionStart) {
			section = len(document)
			if end := bytes.Index(document, sectionEnd); end >= 0 {
				section = end + len(sectionEnd)
			}
		}
		for section > 0 {
			c, n := utf8.DecodeRune(document)
			out = appendHidden(out, c, document[:n])
			document, section = document[n:], section-n
		}
		if len(document) == 0 {
			break
		}
		c, n := utf8.DecodeRune(document)
		if c == '&' {
			if referred, length := reference(document); length > 0 && hides(referred) {
				c, n = referred, length
			}
		}
		out = appendHidden(out, c, document[:n])
		document = document[n:]
	}
	return out
}

// hides reports whether c must be hidden. Tab, line feed and carriage return
// are XML's own.
func hides(c rune) bool {
	return c < 0x20 && c != '\t' && c != '\n' && c != '\r' || c == hidden || c == 0xfffe || c == 0xffff
}

// unspeakable reports whether c may not be in a text that is shown in XML and
// need not be what the client likes.
func unspeakable(c rune) bool { return c < 0x20 || hides(c) }

// appendHidden appends c, which came as raw.
func appendHidden(out []byte, c rune, raw []byte) []byte {
	switch {
	case !hides(c):
		return append(out, raw...)
	case c == hidden:
		return append(out, hidden, hiddenSelf)
	case c == 0xfffe:
		return append(out, hidden, hiddenFFFE)
	case c == 0xffff:
		return append(out, hidden, hiddenFFFF)
	}
	return append(out, hidden, byte(c)+hiddenBase)
}

// reference reads a numeric character reference at the start of b; length is 0
// where there is none.
func reference(b []byte) (c rune, length int) {
	const longest = 32 // bytes; zeros may lead
	end := bytes.IndexByte(b[:min(len(b), longest)], ';')
	if end < 0 || !bytes.HasPrefix(b, []byte("&#")) {
		return 0, 0
	}
	digits, base := string(b[2:end]), 10
	if rest, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = rest, 16
	}
	n, err := strconv.ParseUint(digits, base, 31)
	if err != nil {
		return 0, 0
	}
	return rune(n), end + 1
}

// showControls undoes hideControls in what was read of the document.
func showControls(s string) string {
	if strings.IndexByte(s, hidden) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != hidden || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case hiddenSelf:
			b.WriteByte(hidden)
		case hiddenFFFE:
			b.WriteRune(0xfffe)
		case hiddenFFFF:
			b.WriteRune(0xffff)
		default:
			b.WriteByte(c - hiddenBase)
		}
	}
	return b.String()
}
