package gateway

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cairn-storage/cairn"
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
			b.WriteString("&#" + strconv.Itoa(int(c)) + ";")
			continue
		}
		b.WriteRune(c)
	}
	return text{b.String()}
}

func needsEscape(c rune) bool {
	return c < 0x20 || c == 0x7f || c == 0xfffe || c == 0xffff || strings.ContainsRune(`&<>"'`, c)
}

// quotedText is an ETag in the quotes that documents show it in.
func quotedText(etag string) text { return escapeText(quote(etag)) }

// checksumsXML is an object's checksums as elements of a document.
type checksumsXML struct {
	ChecksumCRC32     string `xml:",omitempty"`
	ChecksumCRC32C    string `xml:",omitempty"`
	ChecksumCRC64NVME string `xml:",omitempty"`
	ChecksumSHA1      string `xml:",omitempty"`
	ChecksumSHA256    string `xml:",omitempty"`
	ChecksumType      string `xml:",omitempty"`
}

func checksumsOf(sums []cairn.Checksum) (c checksumsXML) {
	for _, s := range sums {
		switch s.Algorithm {
		case "CRC32":
			c.ChecksumCRC32 = s.Value
		case "CRC32C":
			c.ChecksumCRC32C = s.Value
		case "CRC64NVME":
			c.ChecksumCRC64NVME = s.Value
		case "SHA1":
			c.ChecksumSHA1 = s.Value
		case "SHA256":
			c.ChecksumSHA256 = s.Value
		}
		c.ChecksumType = checksumType(s)
	}
	return c
}

// checksumType says what s is a checksum of: the bytes, or the parts' sums.
func checksumType(s cairn.Checksum) string {
	if strings.Contains(s.Value, "-") { // base64 has none: a composite of parts
		return composite
	}
	return fullObject
}

// parseXML reads a document whose root is of that name, with or without a
// namespace, into v. Elements that v does not have are passed over; document
// types, of which entity bombs are made, and a second root are refused.
func parseXML(document []byte, root string, v any) error {
	malformed := func(why string) error {
		return fail(codeMalformedXML, "the body is not a well-formed %s document: %s", root, why)
	}
	d := xml.NewDecoder(bytes.NewReader(document))
	found := false
	for {
		t, err := d.Token()
		switch {
		case err == io.EOF && found:
			return nil
		case err == io.EOF:
			return malformed("it is empty")
		case err != nil:
			return malformed(err.Error())
		}
		switch t := t.(type) {
		case xml.Directive:
			return malformed("a document type is not allowed")
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return malformed("there is text beside the root")
			}
		case xml.StartElement:
			if found || t.Name.Local != root {
				return malformed("its root is " + t.Name.Local)
			}
			found = true
			if err := d.DecodeElement(v, &t); err != nil {
				return malformed(err.Error())
			}
		}
	}
}

// writeEmpty answers without a body.
func (r *request) writeEmpty(status int) {
	r.w.Header().Set("Content-Length", "0")
	r.w.WriteHeader(status)
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
