package gateway

import (
	"net/http"

	"github.com/cairn-storage/cairn/store"
)

// putObject stores the body under the key once everything the client said of
// it is proven.
func (g *Gateway) putObject(r *request) error {
	condition, err := writeCondition(r.Header)
	if err != nil {
		return err
	}
	header, meta, err := keptHeaders(r.Header)
	if err != nil {
		return err
	}
	b, size, release, err := g.openBody(r)
	if err != nil {
		return err
	}
	defer release()
	o, err := g.c.Store.Put(r.Context(), store.Put{
		Key: r.key, Body: b, Size: size, Header: header, Meta: meta, If: condition, Digest: b.digest,
	})
	if err != nil {
		if cause := b.failed(); cause != nil { // what the client did wrong says more
			return cause
		}
		return err
	}
	h := r.w.Header()
	h.Set("ETag", quote(o.ETag))
	setChecksums(h, o.Checksum)
	r.writeEmpty(http.StatusOK)
	return nil
}
