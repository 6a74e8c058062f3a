package gateway

import (
	"bytes"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// listedPart is a part as CompleteMultipartUpload lists it.
type listedPart struct {
	number int
	md5    [16]byte       // its ETag
	sum    cairn.Checksum // zero when the client lists none
}

func (p listedPart) etag() string { return hex.EncodeToString(p.md5[:]) }

// listedPartXML is one Part element. Names of namespaces do not matter: some
// clients send S3's, some none.
type listedPartXML struct {
	PartNumber string
	ETag       *string
	checksumsXML
}

const (
	completeElement = "CompleteMultipartUpload"
	// maxElement is how many bytes of a list may come without a part being
	// complete. The parser keeps them, and a part has less than 400.
	maxElement = 64 << 10
)

// rationed gives so many bytes and then an error.
type rationed struct {
	src  io.Reader
	left int
}

var errRation = errors.New("there are over 64 KiB without a part")

// Read implements io.Reader.
func (r *rationed) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, errRation
	}
	n, err := r.src.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err
}

// parseComplete reads the list of parts that is the body of
// CompleteMultipartUpload, part after part, so that it takes little more
// memory than the list. The numbers of a list without error rise.
func parseComplete(body io.Reader) ([]listedPart, error) {
	ration := &rationed{body, maxElement}
	d := xml.NewDecoder(ration)
	var parts []listedPart
	depth := 0 // 1 inside of the root element
	for roots := 0; ; {
		token, err := d.Token()
		switch {
		case err == io.EOF && roots == 1: // the decoder has seen its end
			return parts, checkListed(parts)
		case err != nil:
			return nil, malformed(err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth == 0 {
				if roots++; roots > 1 || t.Name.Local != completeElement {
					return nil, fail(codeMalformedXML, "the body must be one %s element", completeElement)
				}
				depth++
				continue
			}
			if t.Name.Local != "Part" {
				if err := d.Skip(); err != nil {
					return nil, malformed(err)
				}
				continue
			}
			p, err := decodePart(d, t)
			if err != nil {
				return nil, err
			}
			if n := len(parts); n > 0 && p.number <= parts[n-1].number {
				return nil, fail(codeInvalidPartOrder, "the list of parts is not in ascending order: %d stands after %d", p.number, parts[n-1].number)
			}
			parts = append(parts, p)
			ration.left = maxElement
		case xml.EndElement:
			depth--
		case xml.Directive: // of which entity bombs are made
			return nil, fail(codeMalformedXML, "a document type is not allowed in the list of parts")
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return nil, fail(codeMalformedXML, "there is text between the parts")
			}
		}
	}
}

func checkListed(parts []listedPart) error {
	if len(parts) == 0 {
		return fail(codeMalformedXML, "the list of parts is empty; an object needs one at least")
	}
	return nil
}

// decodePart reads one Part.
func decodePart(d *xml.Decoder, start xml.StartElement) (p listedPart, err error) {
	var x listedPartXML
	if err := d.DecodeElement(&x, &start); err != nil {
		return p, malformed(err)
	}
	if p.number, err = strconv.Atoi(strings.TrimSpace(x.PartNumber)); err != nil {
		return p, fail(codeMalformedXML, "the part number %q is not a number", x.PartNumber)
	}
	if p.number < 1 || p.number > store.MaxParts {
		return p, errPartNumber(x.PartNumber)
	}
	if x.ETag == nil {
		return p, fail(codeMalformedXML, "part %d is listed without an ETag", p.number)
	}
	etag := strings.Trim(strings.TrimSpace(*x.ETag), `"`)
	if len(etag) != hex.EncodedLen(len(p.md5)) {
		return p, invalidPart(p.number, "the ETag %q is none of a part", etag)
	}
	if _, err := hex.Decode(p.md5[:], []byte(etag)); err != nil {
		return p, invalidPart(p.number, "the ETag %q is none of a part", etag)
	}
	for _, a := range checksumAlgorithms {
		value := strings.TrimSpace(x.of(a))
		if value == "" {
			continue
		}
		if p.sum.Algorithm != "" {
			return p, fail(codeInvalidRequest, "part %d is listed with checksums of more than one algorithm", p.number)
		}
		if value, err = a.parse(value); err != nil {
			return p, err
		}
		p.sum = cairn.Checksum{Algorithm: a.name, Value: value}
	}
	return p, nil
}

// malformed is the error of a body that is no list of parts. Where the body
// could not be read, its own error says more.
func malformed(err error) error {
	return &failure{code: codeMalformedXML, message: "the body is not a well-formed list of parts: " + err.Error(), cause: err}
}
