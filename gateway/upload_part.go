package gateway

import (
	"encoding/base64"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// putPart stores the body as a part once everything the client said of it is
// proven.
func (g *Gateway) putPart(r *request) error {
	number, err := uploadPartNumber(r.query)
	if err != nil {
		return err
	}
	u, err := g.c.Store.Upload(r.Context(), r.key, r.query.get("uploadId"))
	if err != nil {
		return err
	}
	b, size, release, err := g.openBody(r)
	if err != nil {
		return err
	}
	defer release()
	own := algorithmNamed(u.Algorithm)
	p := store.PutPart{Key: r.key, Upload: u.ID, Number: number, Body: b, Size: size, Digest: b.digest}
	switch sent := b.want.algorithm; {
	case own == nil || sent == own:
	case sent != nil:
		return fail(codeInvalidRequest, "the upload was created with x-amz-checksum-algorithm: %s, the part comes with a checksum of %s", own.name, sent.name)
	default:
		// The whole is to have a checksum, which is made of its parts'.
		sum := own.make()
		p.Body = io.TeeReader(b, sum)
		p.Digest = func() (store.Digest, error) {
			d, err := b.digest()
			d.Checksum = []cairn.Checksum{own.value(sum)}
			return d, err
		}
	}
	part, err := g.c.Store.PutPart(r.Context(), p)
	if err != nil {
		if cause := b.failed(); cause != nil { // what the client did wrong says more
			return cause
		}
		return err
	}
	h := r.w.Header()
	h.Set("ETag", quote(part.ETag))
	for _, s := range part.Checksum {
		h.Set(checksumPrefix+s.Algorithm, s.Value)
	}
	h.Set("Content-Length", "0")
	r.w.WriteHeader(http.StatusOK)
	return nil
}

// value is what h, one of a's hashes, has come to.
func (a *checksumAlgorithm) value(h hash.Hash) cairn.Checksum {
	return cairn.Checksum{Algorithm: a.name, Value: base64.StdEncoding.EncodeToString(h.Sum(nil))}
}

// uploadPartNumber reads which part of an upload a request is about.
func uploadPartNumber(q params) (int, error) {
	v := q.get("partNumber")
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > store.MaxParts {
		return 0, errPartNumber(v)
	}
	return n, nil
}

func errPartNumber(v string) error {
	return fail(codeInvalidArgument, "the part number must be an integer between 1 and %d, it is %q", store.MaxParts, strings.TrimSpace(v)).
		with("ArgumentName", "partNumber").with("ArgumentValue", v)
}
