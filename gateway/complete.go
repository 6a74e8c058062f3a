package gateway

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

const (
	// minPart is the smallest a part may be unless it is the last, as S3 has it.
	minPart = 5 << 20
	// maxCompleteBody has room for 10,000 parts of 400 bytes; SDKs take 180.
	maxCompleteBody = 4 << 20
	// completeMemory is what a list of 10,000 parts takes at most. A shorter
	// one takes less than its body has. It fits the smallest budget together
	// with a decodeBuffer.
	completeMemory = 3 << 19
)

type completeXML struct {
	XMLName   xml.Name `xml:"CompleteMultipartUploadResult"`
	Namespace string   `xml:"xmlns,attr"`
	Location  text
	Bucket    string
	Key       text
	ETag      text
	checksumsXML
}

// completeUpload makes an object of the parts that the body lists. The same
// list again has the same answer.
func (g *Gateway) completeUpload(r *request) error {
	condition, err := writeCondition(r.Header)
	if err != nil {
		return err
	}
	c := completion{id: r.query.get("uploadId")}
	if c.size, err = statedSize(r.Header); err != nil {
		return err
	}
	if c.listed, err = g.listedParts(r); err != nil {
		return err
	}
	switch c.upload, err = g.c.Store.Upload(r.Context(), r.key, c.id); {
	case err == nil:
		if c.algorithm, c.want, err = statedChecksum(r.Header, c.upload); err != nil {
			return err
		}
	case !errors.Is(err, store.ErrNoUpload):
		return err
		// Else it may be one that this request has completed before.
	}
	numbers := make([]int, len(c.listed))
	for i, p := range c.listed {
		numbers[i] = p.number
	}
	o, err := g.c.Store.CompleteUpload(r.Context(), store.CompleteUpload{
		Key: r.key, Upload: c.id, Numbers: numbers, ETag: compositeETag(c.listed), If: condition, Decide: c.decide,
	})
	if err != nil {
		return err
	}
	r.writeXML(http.StatusOK, completeXML{
		Namespace: s3Namespace, Location: escapeText(r.location()), Bucket: r.key.Bucket, Key: escapeText(r.key.Object),
		ETag: quotedText(o.ETag), checksumsXML: checksumsOf(o.Checksum),
	})
	return nil
}

// listedParts reads the body of r. Headers with checksums are not of this
// body but of the object to be.
func (g *Gateway) listedParts(r *request) ([]listedPart, error) {
	switch size, err := bodySize(r); {
	case err != nil:
		return nil, err
	case size > maxCompleteBody:
		return nil, fail(codeMessageTooLong, "the list of parts has %d bytes, at most %d are read", size, maxCompleteBody)
	default:
		if err := g.reserve(r, min(size, completeMemory)); err != nil {
			return nil, err
		}
	}
	all := r.Header
	r.Header = all.Clone()
	defer func() { r.Header = all }()
	r.Header.Del("X-Amz-Checksum-Type")
	for _, a := range checksumAlgorithms {
		r.Header.Del(checksumPrefix + a.name)
	}
	b, _, release, err := g.openBody(r)
	if err != nil {
		return nil, err
	}
	defer release()
	parts, err := parseComplete(b)
	if err == nil {
		// The parser need not have read to the end, which is the proof.
		_, err = io.Copy(io.Discard, b)
	}
	if cause := b.failed(); cause != nil {
		return nil, cause
	}
	return parts, err
}

// completion is one CompleteMultipartUpload.
type completion struct {
	id        string
	upload    store.Upload // ID is empty when there was none to be found
	algorithm *checksumAlgorithm
	listed    []listedPart
	size      int64  // of the object, as the client states it; negative when not
	want      string // checksum of the object, as the client states it
}

// decide compares the parts that the store has with those that the client
// lists, and gives the digest of the object. It reads c only.
func (c *completion) decide(parts []store.Part) (store.Digest, error) {
	switch {
	case c.upload.ID == "":
		return store.Digest{}, store.ErrNoUpload
	case len(parts) != len(c.listed):
		return store.Digest{}, fmt.Errorf("gateway: the store gave %d parts of %d that were asked for", len(parts), len(c.listed))
	}
	var size int64
	for i, p := range parts {
		if err := c.listed[i].check(p); err != nil {
			return store.Digest{}, err.with("UploadId", c.id)
		}
		if p.Size < minPart && i < len(parts)-1 {
			return store.Digest{}, fail(codeEntityTooSmall, "part %d has %d bytes; every part but the last must have %d at least", p.Number, p.Size, minPart).
				with("ProposedSize", p.Size).with("MinSizeAllowed", minPart).with("PartNumber", p.Number).with("ETag", p.ETag)
		}
		size += p.Size
	}
	if c.size >= 0 && c.size != size {
		return store.Digest{}, fail(codeInvalidRequest, "the parts have %d bytes together, but x-amz-mp-object-size says %d", size, c.size)
	}
	d := store.Digest{ETag: compositeETag(c.listed)}
	if c.algorithm == nil {
		return d, nil
	}
	sum, err := wholeChecksum(parts, c.algorithm, c.upload.FullObject)
	if err != nil {
		return store.Digest{}, err
	}
	// Of a composite some clients send the number of parts, some do not.
	if bare, _, _ := strings.Cut(sum.Value, "-"); c.want != "" && c.want != sum.Value && c.want != bare {
		return store.Digest{}, fail(codeBadDigest, "the %s of the object is not the one in the request; nothing was completed", c.algorithm.name)
	}
	d.Checksum = []cairn.Checksum{sum}
	return d, nil
}

// check compares a part with what the client says of it.
func (l listedPart) check(p store.Part) *failure {
	switch {
	case l.number != p.Number || l.etag() != p.ETag:
		return invalidPart(l.number, "its ETag is %s, the list says %s", p.ETag, l.etag()).with("ETag", l.etag())
	case l.sum.Algorithm == "":
		return nil
	}
	for _, s := range p.Checksum {
		if s == l.sum {
			return nil
		}
	}
	return invalidPart(l.number, "it has no %s of %s", l.sum.Algorithm, l.sum.Value).with("ETag", l.etag())
}

func invalidPart(number int, format string, a ...any) *failure {
	f := fail(codeInvalidPart, format, a...)
	f.message = "part " + strconv.Itoa(number) + " is not as it is listed: " + f.message
	return f.with("PartNumber", number)
}

// statedSize is x-amz-mp-object-size, or -1.
func statedSize(h http.Header) (int64, error) {
	v := h.Get("X-Amz-Mp-Object-Size")
	if v == "" {
		return -1, nil
	}
	n, err := strconv.ParseUint(v, 10, 63)
	if err != nil {
		return 0, fail(codeInvalidArgument, "x-amz-mp-object-size %q is not a number of bytes", v)
	}
	return int64(n), nil
}

// statedChecksum is u's algorithm, nil for none, and what the client says that
// the checksum of the whole object is, "" when it does not.
func statedChecksum(h http.Header, u store.Upload) (own *checksumAlgorithm, value string, err error) {
	if u.Algorithm != "" {
		own = algorithmNamed(u.Algorithm)
	}
	if kind := h.Get("X-Amz-Checksum-Type"); kind != "" && own != nil && kind != typeOfWhole(u.FullObject) {
		return nil, "", fail(codeInvalidRequest, "the upload was created with the checksum type %s, the request says %s", typeOfWhole(u.FullObject), kind)
	}
	for _, a := range checksumAlgorithms {
		v := h.Get(checksumPrefix + a.name)
		switch {
		case v == "":
			continue
		case a != own:
			return nil, "", fail(codeInvalidRequest, "the upload was not created with x-amz-checksum-algorithm: %s, so that checksum cannot be verified", a.name)
		}
		bare := v
		if !u.FullObject {
			bare, _, _ = strings.Cut(v, "-")
		}
		if _, err := a.parse(bare); err != nil {
			return nil, "", err
		}
		value = v
	}
	return own, value, nil
}

// location is the address of r's object as the client knows it.
func (r *request) location() string {
	scheme := "http://"
	if r.TLS != nil || r.peer.trusted && allHTTPS(r.sent["X-Forwarded-Proto"]) {
		scheme = "https://"
	}
	return scheme + r.hosts[0] + r.path
}
