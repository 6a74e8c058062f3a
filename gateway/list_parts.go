package gateway

import (
	"encoding/xml"
	"net/http"
	"strconv"

	"github.com/cairn-storage/cairn/store"
)

type listPartsXML struct {
	XMLName              xml.Name `xml:"ListPartsResult"`
	Namespace            string   `xml:"xmlns,attr"`
	Bucket               string
	Key                  text
	UploadID             string `xml:"UploadId"`
	PartNumberMarker     int
	NextPartNumberMarker int
	MaxParts             int
	IsTruncated          bool
	Part                 []partEntryXML
	Initiator, Owner     *ownerXML
	StorageClass         string
	ChecksumAlgorithm    string `xml:",omitempty"`
	ChecksumType         string `xml:",omitempty"`
}

type partEntryXML struct {
	PartNumber   int
	LastModified string
	ETag         text
	Size         int64
	checksumsXML
}

// listParts answers with one page of an upload's parts.
func (g *Gateway) listParts(r *request) error {
	q := r.query
	limit, err := pageSize(q, "max-parts", maxPage)
	if err != nil {
		return err
	}
	after, err := partMarker(q)
	if err != nil {
		return err
	}
	var l store.PartList
	if limit > 0 {
		l, err = g.c.Store.Parts(r.Context(), r.key, q.get("uploadId"), after, limit)
	} else {
		l.Upload, err = g.c.Store.Upload(r.Context(), r.key, q.get("uploadId"))
	}
	if err != nil {
		return err
	}
	out := listPartsXML{
		Namespace: s3Namespace, Bucket: r.key.Bucket, Key: escapeText(r.key.Object), UploadID: l.Upload.ID,
		PartNumberMarker: after, NextPartNumberMarker: after, MaxParts: limit, IsTruncated: l.More,
		Part: make([]partEntryXML, 0, len(l.Parts)), Initiator: owner(), Owner: owner(), StorageClass: "STANDARD",
		ChecksumAlgorithm: l.Upload.Algorithm,
	}
	if l.Upload.Algorithm != "" {
		out.ChecksumType = typeOfWhole(l.Upload.FullObject)
	}
	for _, p := range l.Parts {
		sums := checksumsOf(p.Checksum)
		sums.ChecksumType = "" // is said once, of the upload
		out.Part = append(out.Part, partEntryXML{
			PartNumber: p.Number, LastModified: p.Modified.UTC().Format(xmlTime), ETag: quotedText(p.ETag),
			Size: p.Size, checksumsXML: sums,
		})
		out.NextPartNumberMarker = p.Number
	}
	r.writeXML(http.StatusOK, out)
	return nil
}

// partMarker is the number after which a page of parts begins.
func partMarker(q params) (int, error) {
	v := q.get("part-number-marker")
	if v == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		return 0, fail(codeInvalidArgument, "part-number-marker %q is not the number of a part", v)
	}
	return int(n), nil
}
