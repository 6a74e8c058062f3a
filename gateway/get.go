package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// errShort is a store's reader that ended cleanly too early: a bug, but one
// that must not reach the client as a clean end.
var errShort = errors.New("the store gave fewer bytes than it promised")

// getObject answers with the object or a range of it.
func (g *Gateway) getObject(r *request) error {
	if err := checkOverrides(r); err != nil {
		return err
	}
	if err := g.reserve(r, bufferSize); err != nil {
		return err
	}
	o, src, err := g.c.Store.Open(r.Context(), r.key)
	if err != nil {
		return err
	}
	defer src.Close() // ends a pin; what was read is already proven or failed
	p, err := plan(r, o)
	if err != nil {
		return err
	}
	if p.n == 0 {
		p.writeHeader(r, o)
		return nil
	}
	// Nothing is answered before the first bytes are verified and in hand:
	// until then an error is still an honest 5xx.
	content, err := src.Range(r.Context(), p.off, p.n)
	if err != nil {
		return err
	}
	defer content.Close()
	p.writeHeader(r, o)
	return g.copy(r, content, p.n)
}

// copy sends n bytes of content. An error means that the answer is torn.
func (g *Gateway) copy(r *request, content io.Reader, n int64) error {
	buf := g.buffers.Get().(*[]byte)
	defer g.buffers.Put(buf)
	for n > 0 {
		got, err := content.Read((*buf)[:min(n, bufferSize)])
		if got > 0 {
			if _, werr := r.w.Write((*buf)[:got]); werr != nil {
				return fmt.Errorf("%w: %w", errClientGone, werr)
			}
			n -= int64(got)
		}
		switch {
		case n == 0:
			return nil
		case err == io.EOF:
			return errShort
		case err != nil:
			return err
		}
	}
	return nil
}

// headObject answers as getObject does, without a body.
func (g *Gateway) headObject(r *request) error {
	if err := checkOverrides(r); err != nil {
		return err
	}
	o, err := g.c.Store.Stat(r.Context(), r.key)
	if err != nil {
		return err
	}
	p, err := plan(r, o)
	if err != nil {
		return err
	}
	p.writeHeader(r, o)
	return nil
}

// answer is what a read of one object comes to.
type answer struct {
	status int   // 200, 206 or 304
	off, n int64 // the bytes to send
	parts  int   // of the object, where one of several was asked for
}

// plan decides, from the request's conditions and range, what to send of o.
func plan(r *request, o cairn.Object) (answer, error) {
	switch readCondition(r.Header, o) {
	case http.StatusNotModified:
		return answer{status: http.StatusNotModified}, nil
	case http.StatusPreconditionFailed:
		return answer{}, fail(codePreconditionFailed, "the object is not as the request's conditions want it; its ETag is %s", quote(o.ETag))
	}
	v := r.Header.Get("Range")
	if number := r.query.get("partNumber"); number != "" {
		if v != "" {
			return answer{}, fail(codeInvalidRequest, "a read has either a Range header or a partNumber, not both")
		}
		return planPart(number, o)
	}
	whole := answer{status: http.StatusOK, n: o.Size}
	if v == "" || !ifRange(r.Header.Get("If-Range"), o) {
		return whole, nil
	}
	off, n, kind := parseRange(v, o.Size)
	switch kind {
	case rangePart:
		return answer{status: http.StatusPartialContent, off: off, n: n}, nil
	case rangeBeyond:
		r.w.Header().Set("Content-Range", "bytes */"+strconv.FormatInt(o.Size, 10))
		return answer{}, fail(codeInvalidRange, "the range %q lies beyond the object's %d bytes", v, o.Size)
	}
	return whole, nil
}

// planPart decides what to send for a partNumber. An object that was not
// uploaded in parts is one.
func planPart(v string, o cairn.Object) (answer, error) {
	number, err := strconv.ParseUint(v, 10, 31)
	if err != nil || number < 1 || number > store.MaxParts {
		return answer{}, fail(codeInvalidArgument, "partNumber %q is not a number from 1 to %d", v, store.MaxParts)
	}
	sizes := o.Parts
	if len(sizes) == 0 {
		sizes = []int64{o.Size}
	}
	if number > uint64(len(sizes)) {
		return answer{}, fail(codeInvalidPartNumber, "the object has no part %d, its last is %d", number, len(sizes))
	}
	a := answer{status: http.StatusPartialContent, parts: len(o.Parts), n: sizes[number-1]}
	for _, size := range sizes[:number-1] {
		a.off += size
	}
	return a, nil
}

// writeHeader sends status and headers of o.
func (p answer) writeHeader(r *request, o cairn.Object) {
	h := r.w.Header()
	setObjectHeaders(h, o)
	override(r, h)
	if p.status == http.StatusNotModified {
		h.Del("Content-Type")
		r.w.WriteHeader(p.status)
		return
	}
	h.Set("Content-Length", strconv.FormatInt(p.n, 10))
	if p.status == http.StatusPartialContent && p.n > 0 { // no range says no bytes
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", p.off, p.off+p.n-1, o.Size))
	}
	if p.parts > 0 {
		h.Set("X-Amz-Mp-Parts-Count", strconv.Itoa(p.parts))
	}
	if p.n == o.Size && r.Header.Get("X-Amz-Checksum-Mode") == "ENABLED" {
		// Of the whole object: a client would check a part against it and fail.
		setChecksums(h, o.Checksum)
	}
	r.w.WriteHeader(p.status)
}
