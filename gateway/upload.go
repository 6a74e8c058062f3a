package gateway

import (
	"encoding/xml"
	"net/http"
	"strings"

	"github.com/cairn-storage/cairn/store"
)

type initiateXML struct {
	XMLName   xml.Name `xml:"InitiateMultipartUploadResult"`
	Namespace string   `xml:"xmlns,attr"`
	Bucket    string
	Key       text
	UploadID  string `xml:"UploadId"`
}

// createUpload begins a multipart upload. Its request has no body; a
// Content-MD5 is ignored, for Nix sends that of the whole object.
func (g *Gateway) createUpload(r *request) error {
	u := store.Upload{Key: r.key}
	var err error
	if u.Header, u.Meta, err = keptHeaders(r.Header); err != nil {
		return err
	}
	a, full, err := uploadAlgorithm(r.Header)
	if err != nil {
		return err
	}
	if a != nil {
		u.Algorithm, u.FullObject = a.name, full
	}
	if u, err = g.c.Store.CreateUpload(r.Context(), u); err != nil {
		return err
	}
	if a != nil {
		h := r.w.Header()
		h.Set("X-Amz-Checksum-Algorithm", a.name)
		h.Set("X-Amz-Checksum-Type", typeOfWhole(full))
	}
	r.writeXML(http.StatusOK, initiateXML{Namespace: s3Namespace, Bucket: r.key.Bucket, Key: escapeText(r.key.Object), UploadID: u.ID})
	return nil
}

// uploadAlgorithm reads which checksums an upload is to have; nil for none.
func uploadAlgorithm(h http.Header) (a *checksumAlgorithm, full bool, err error) {
	name, kind := h.Get("X-Amz-Checksum-Algorithm"), h.Get("X-Amz-Checksum-Type")
	switch {
	case name == "" && kind == "":
		return nil, false, nil
	case name == "":
		return nil, false, fail(codeInvalidRequest, "the header x-amz-checksum-type needs x-amz-checksum-algorithm beside it")
	}
	if a = algorithmNamed(name); a == nil {
		return nil, false, fail(codeInvalidRequest, "the checksum algorithm %q is not supported, use one of CRC32, CRC32C, CRC64NVME, SHA1, SHA256", name)
	}
	_, isCRC := combinerOf(a)
	onlyFull := a.name == "CRC64NVME"
	switch {
	case kind == "":
		return a, onlyFull, nil
	case kind != composite && kind != fullObject:
		return nil, false, fail(codeInvalidRequest, "the checksum type %q is not known, use COMPOSITE or FULL_OBJECT", kind)
	case kind == fullObject && !isCRC, kind == composite && onlyFull:
		return nil, false, fail(codeInvalidRequest, "the %s checksum type cannot be used with the %s checksum algorithm", kind, strings.ToLower(a.name))
	}
	return a, kind == fullObject, nil
}

// abortUpload ends an upload and forgets its parts.
func (g *Gateway) abortUpload(r *request) error {
	if err := g.c.Store.AbortUpload(r.Context(), r.key, r.query.get("uploadId")); err != nil {
		return err
	}
	r.w.WriteHeader(http.StatusNoContent)
	return nil
}
