package gateway

import (
	"encoding/xml"
	"net/http"

	"github.com/cairn-storage/cairn/store"
)

type uploadsXML struct {
	XMLName            xml.Name `xml:"ListMultipartUploadsResult"`
	Namespace          string   `xml:"xmlns,attr"`
	Bucket             string
	KeyMarker          text
	UploadIDMarker     text `xml:"UploadIdMarker"`
	NextKeyMarker      *text
	NextUploadIDMarker *text `xml:"NextUploadIdMarker"`
	Prefix             text
	Delimiter          *text
	EncodingType       string `xml:",omitempty"`
	MaxUploads         int
	IsTruncated        bool
	Upload             []uploadEntryXML
	CommonPrefixes     []prefixXML
}

type uploadEntryXML struct {
	Key               text
	UploadID          string `xml:"UploadId"`
	Initiator, Owner  *ownerXML
	StorageClass      string
	Initiated         string
	ChecksumAlgorithm string `xml:",omitempty"`
	ChecksumType      string `xml:",omitempty"`
}

// listUploads answers with one page of a bucket's uploads in progress.
func (g *Gateway) listUploads(r *request) error {
	q := r.query
	limit, err := pageSize(q, "max-uploads", maxPage)
	if err != nil {
		return err
	}
	encode, err := keyEncoding(q)
	if err != nil {
		return err
	}
	ask := store.UploadsRequest{
		Bucket: r.key.Bucket, Prefix: q.get("prefix"), Delimiter: q.get("delimiter"),
		AfterKey: q.get("key-marker"), Max: limit,
	}
	if ask.AfterKey != "" { // alone the other marker means nothing, as S3 has it
		ask.AfterUpload = q.get("upload-id-marker")
	}
	var l store.UploadList
	if ask.Max > 0 {
		l, err = g.c.Store.Uploads(r.Context(), ask)
	} else {
		_, err = g.c.Store.Bucket(r.Context(), r.key.Bucket)
	}
	if err != nil {
		return err
	}
	out := uploadsXML{
		Namespace: s3Namespace, Bucket: r.key.Bucket, KeyMarker: encode(ask.AfterKey), UploadIDMarker: escapeText(ask.AfterUpload),
		Prefix: encode(ask.Prefix), EncodingType: q.get("encoding-type"), MaxUploads: ask.Max, IsTruncated: l.More,
		Upload: make([]uploadEntryXML, 0, len(l.Uploads)), CommonPrefixes: make([]prefixXML, 0, len(l.Prefixes)),
	}
	if ask.Delimiter != "" {
		out.Delimiter = some(encode(ask.Delimiter))
	}
	if l.More {
		out.NextKeyMarker, out.NextUploadIDMarker = some(encode(l.NextKey)), some(escapeText(l.NextUpload))
	}
	for _, u := range l.Uploads {
		e := uploadEntryXML{
			Key: encode(u.Key.Object), UploadID: u.ID, Initiator: owner(), Owner: owner(), StorageClass: "STANDARD",
			Initiated: u.Created.UTC().Format(xmlTime), ChecksumAlgorithm: u.Algorithm,
		}
		if u.Algorithm != "" {
			e.ChecksumType = typeOfWhole(u.FullObject)
		}
		out.Upload = append(out.Upload, e)
	}
	for _, p := range l.Prefixes {
		out.CommonPrefixes = append(out.CommonPrefixes, prefixXML{encode(p)})
	}
	r.writeXML(http.StatusOK, out)
	return nil
}
