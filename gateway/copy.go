package gateway

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// copyXML is the answer to a copy of an object, or into a part.
type copyXML struct {
	XMLName      xml.Name // CopyObjectResult or CopyPartResult
	Namespace    string   `xml:"xmlns,attr"`
	LastModified string
	ETag         text
	checksumsXML
}

func copyHasNoBody(r *request) error {
	if r.ContentLength > 0 {
		return fail(codeInvalidRequest, "a request with x-amz-copy-source takes no body")
	}
	return nil
}

// copyObject makes the key another name of the source's bytes. They are read
// only where the client wants a checksum that is not known of them.
func (g *Gateway) copyObject(r *request) error {
	if err := copyHasNoBody(r); err != nil {
		return err
	}
	c, err := g.askedCopy(r)
	if err != nil {
		return err
	}
	algorithm, err := askedAlgorithm(r.Header)
	if err != nil {
		return err
	}
	fits := c.Check
	c.Check = func(source cairn.Object) error {
		if err := fits(source); err != nil {
			return err
		}
		if algorithm != nil && !hasChecksum(source, algorithm) {
			return errNoChecksum
		}
		return nil
	}
	o, err := g.c.Store.Copy(r.Context(), c)
	if errors.Is(err, errNoChecksum) {
		c.Check = fits
		o, err = g.copyBytes(r, c, algorithm)
	}
	if err != nil {
		return err
	}
	r.writeXML(http.StatusOK, copyXML{
		XMLName:   xml.Name{Local: "CopyObjectResult"},
		Namespace: s3Namespace, LastModified: o.Modified.UTC().Format(xmlTime), ETag: quotedText(o.ETag), checksumsXML: checksumsOf(o.Checksum),
	})
	return nil
}

// askedCopy is the copy that r asks for.
func (g *Gateway) askedCopy(r *request) (c store.Copy, err error) {
	c.To = r.key
	if c.From, err = g.copySource(r); err != nil {
		return c, err
	}
	if c.Check, err = sourceCheck(r.Header); err != nil {
		return c, err
	}
	if c.If, err = writeCondition(r.Header); err != nil {
		return c, err
	}
	if c.Replace, err = replaces(r.Header, "X-Amz-Metadata-Directive"); err != nil {
		return c, err
	}
	if c.From == c.To && !c.Replace {
		return c, fail(codeInvalidRequest, "this copies the object onto itself and changes nothing; send x-amz-metadata-directive: REPLACE to change its metadata")
	}
	if c.Replace {
		if c.Header, c.Meta, err = keptHeaders(r.Header); err != nil {
			return c, err
		}
		delete(c.Header, store.TagsHeader)
	}
	retag, err := replaces(r.Header, "X-Amz-Tagging-Directive")
	switch {
	case err != nil:
		return c, err
	case retag:
		tags, err := headerTags(r.Header)
		c.Tags = &tags
		return c, err
	case r.Header.Get(store.TagsHeader) != "":
		return c, fail(codeInvalidArgument, "x-amz-tagging on a copy needs x-amz-tagging-directive: REPLACE")
	}
	return c, nil
}

// replaces reads a directive: whether what it is about comes with the request
// instead of from the source.
func replaces(h http.Header, name string) (bool, error) {
	switch v := h.Get(name); v {
	case "", "COPY":
		return false, nil
	case "REPLACE":
		return true, nil
	default:
		return false, fail(codeInvalidArgument, "%s %q is neither COPY nor REPLACE", strings.ToLower(name), v)
	}
}

// askedAlgorithm is the checksum that the copy is to have; nil for any.
func askedAlgorithm(h http.Header) (*checksumAlgorithm, error) {
	v := h.Get("X-Amz-Checksum-Algorithm")
	if v == "" {
		return nil, nil
	}
	if a := algorithmNamed(v); a != nil {
		return a, nil
	}
	return nil, fail(codeInvalidRequest, "x-amz-checksum-algorithm %q is not known", v)
}

// errNoChecksum says that the source has no checksum of the wanted kind.
var errNoChecksum = errors.New("the source has no such checksum")

// hasChecksum reports whether a checksum of o's bytes, not of its parts' sums,
// is known.
func hasChecksum(o cairn.Object, a *checksumAlgorithm) bool {
	return slices.ContainsFunc(o.Checksum, func(c cairn.Checksum) bool {
		return c.Algorithm == a.name && !strings.Contains(c.Value, "-")
	})
}

// copyBytes carries c out as a read and a write, and computes a checksum on
// the way.
func (g *Gateway) copyBytes(r *request, c store.Copy, a *checksumAlgorithm) (cairn.Object, error) {
	o, src, err := g.c.Store.Open(r.Context(), c.From)
	if err != nil {
		return o, err
	}
	defer src.Close() // ends a pin; what was read is already proven or failed
	if err := c.Check(o); err != nil {
		return o, err
	}
	if o.Size > MaxObject {
		return o, fail(codeInvalidRequest, "a checksum is computed on a copy of at most %d bytes, the source has %d: use UploadPartCopy", int64(MaxObject), o.Size)
	}
	var content io.Reader = http.NoBody
	if o.Size > 0 {
		ranged, err := src.Range(r.Context(), 0, o.Size)
		if err != nil {
			return o, err
		}
		defer ranged.Close()
		content = ranged
	}
	tag, sum := md5.New(), a.make()
	p := store.Put{
		Key: c.To, Body: io.TeeReader(content, io.MultiWriter(tag, sum)), Size: o.Size, If: c.If,
		Header: maps.Clone(c.Header), Meta: c.Meta,
		Digest: func() (store.Digest, error) {
			return store.Digest{
				ETag:     hex.EncodeToString(tag.Sum(nil)),
				Checksum: []cairn.Checksum{a.value(sum)},
			}, nil
		},
	}
	if !c.Replace {
		p.Header, p.Meta = maps.Clone(o.Header), o.Meta
	}
	tags := o.Header[store.TagsHeader]
	if c.Tags != nil {
		tags = *c.Tags
	}
	p.Header = withTags(p.Header, tags)
	return g.c.Store.Put(r.Context(), p)
}

// withTags is header with tags in place of those it has; "" for none.
func withTags(header map[string]string, tags string) map[string]string {
	delete(header, store.TagsHeader)
	if tags == "" {
		return header
	}
	if header == nil {
		header = make(map[string]string)
	}
	header[store.TagsHeader] = tags
	return header
}
