package gateway

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

const s3Namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// text is character data, already escaped. encoding/xml would write U+FFFD
// for control characters and so name another key; as references, which S3
// sends too, they arrive, or at worst the client's parser says so.
type text struct {
	Escaped string `xml:",innerxml"`
}

func escapeText(s string) text {
	if strings.IndexFunc(s, needsEscape) < 0 && utf8.ValidString(s) {
		return text{s}
	}
	var b strings.Builder
	for _, c := range s {
		if needsEscape(c) {
			fmt.Fprintf(&b, "&#%d;", c)
			continue
		}
		b.WriteRune(c)
	}
	return text{b.String()}
}

func needsEscape(c rune) bool {
	return c < 0x20 || c == 0x7f || c == 0xfffe || c == 0xffff || strings.ContainsRune(`&<>"'`, c)
}

// writeXML answers with a document. To HEAD only its headers go.
func (r *request) writeXML(status int, document any) {
	out, err := xml.Marshal(document)
	if err != nil {
		panic("gateway: " + err.Error()) // unreachable: the types are ours and plain
	}
	h := r.w.Header()
	h.Set("Content-Type", "application/xml")
	h.Set("Content-Length", strconv.Itoa(len(xml.Header)+len(out)))
	r.w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	// A client that does not take it is noticed by the server.
	_, _ = r.w.Write(append([]byte(xml.Header), out...))
}
