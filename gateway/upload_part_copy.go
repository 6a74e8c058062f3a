package gateway

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"hash"
	"io"
	"net/http"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// copyPart makes a part of an object that is here already, or of a range of
// it. The bytes stream from one into the other: a part has an ETag and a
// checksum of its own, which only its bytes can give.
func (g *Gateway) copyPart(r *request) error {
	if err := copyHasNoBody(r); err != nil {
		return err
	}
	number, err := uploadPartNumber(r.query)
	if err != nil {
		return err
	}
	from, err := g.copySource(r)
	if err != nil {
		return err
	}
	fits, err := sourceCheck(r.Header)
	if err != nil {
		return err
	}
	u, err := g.c.Store.Upload(r.Context(), r.key, r.query.get("uploadId"))
	if err != nil {
		return err
	}
	o, src, err := g.c.Store.Open(r.Context(), from)
	if err != nil {
		return err
	}
	defer src.Close() // ends a pin; what was read is already proven or failed
	if err := fits(o); err != nil {
		return err
	}
	off, n, err := copyRange(r.Header, o)
	if err != nil {
		return err
	}
	var content io.ReadCloser = http.NoBody
	if n > 0 {
		if content, err = src.Range(r.Context(), off, n); err != nil {
			return err
		}
	}
	defer content.Close()
	c := copiedPart{rest: io.LimitedReader{R: content, N: n}, md5: md5.New(), own: algorithmNamed(u.Algorithm)}
	if c.own != nil {
		c.sum = c.own.make()
	}
	part, err := g.c.Store.PutPart(r.Context(), store.PutPart{Key: r.key, Upload: u.ID, Number: number, Body: &c, Size: n, Digest: c.digest})
	if err != nil {
		return err
	}
	sums := checksumsOf(part.Checksum)
	sums.ChecksumType = "" // is said of uploads and objects only
	r.writeXML(http.StatusOK, copyXML{
		XMLName:   xml.Name{Local: "CopyPartResult"},
		Namespace: s3Namespace, LastModified: part.Modified.UTC().Format(xmlTime), ETag: quotedText(part.ETag), checksumsXML: sums,
	})
	return nil
}

// copiedPart hashes the bytes of a part as they go from the source to it.
type copiedPart struct {
	rest io.LimitedReader
	md5  hash.Hash
	own  *checksumAlgorithm // of the upload; nil for none
	sum  hash.Hash
}

// Read implements io.Reader.
func (c *copiedPart) Read(p []byte) (int, error) {
	n, err := c.rest.Read(p)
	c.md5.Write(p[:n])
	if c.sum != nil {
		c.sum.Write(p[:n])
	}
	if err == io.EOF && c.rest.N > 0 {
		err = errShort
	}
	return n, err
}

// digest is store.PutPart.Digest.
func (c *copiedPart) digest() (store.Digest, error) {
	d := store.Digest{ETag: hex.EncodeToString(c.md5.Sum(nil))}
	if c.own != nil {
		d.Checksum = []cairn.Checksum{c.own.value(c.sum)}
	}
	return d, nil
}

// copyRange is which bytes of o to copy: those that x-amz-copy-source-range
// names, which must all be there, or all.
func copyRange(h http.Header, o cairn.Object) (off, n int64, err error) {
	n = o.Size
	if v := h.Get("X-Amz-Copy-Source-Range"); v != "" {
		spec, ok := strings.CutPrefix(v, "bytes=")
		from, to, hyphen := strings.Cut(spec, "-")
		first, okFirst := position(from)
		last, okLast := position(to)
		switch {
		case !ok || !hyphen || !okFirst || !okLast || last < first:
			return 0, 0, fail(codeInvalidArgument, "x-amz-copy-source-range %q must be of the form bytes=first-last, both counted from 0", v)
		case last >= o.Size:
			return 0, 0, fail(codeInvalidRange, "the range %q is not within the %d bytes of the source", v, o.Size)
		}
		off, n = first, last-first+1
	}
	if n > MaxObject {
		return 0, 0, fail(codeInvalidRequest, "a part has %d bytes at most, this would copy %d: send x-amz-copy-source-range", int64(MaxObject), n)
	}
	return off, n, nil
}
