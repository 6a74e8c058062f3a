package gateway

import (
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"

	"github.com/cairn-storage/cairn"
)

type attributesXML struct {
	XMLName      xml.Name      `xml:"GetObjectAttributesResponse"`
	Namespace    string        `xml:"xmlns,attr"`
	ETag         *text         // without quotes here, unlike anywhere else
	Checksum     *checksumsXML `xml:",omitempty"`
	ObjectParts  *partsXML     `xml:",omitempty"`
	StorageClass string        `xml:",omitempty"`
	ObjectSize   *int64
}

type partsXML struct {
	PartsCount           int
	PartNumberMarker     int
	NextPartNumberMarker int
	MaxParts             int
	IsTruncated          bool
	Part                 []partXML
}

type partXML struct {
	PartNumber int
	Size       int64
}

// objectAttributes answers with those attributes of an object that
// x-amz-object-attributes lists.
func (g *Gateway) objectAttributes(r *request) error {
	limit, err := headerNumber(r.Header, "X-Amz-Max-Parts", maxPage)
	if err != nil {
		return err
	}
	marker, err := headerNumber(r.Header, "X-Amz-Part-Number-Marker", 0)
	if err != nil {
		return err
	}
	asked := strings.Join(r.Header["X-Amz-Object-Attributes"], ",")
	if asked == "" {
		return fail(codeInvalidArgument, "x-amz-object-attributes must list the attributes wanted")
	}
	o, err := g.c.Store.Stat(r.Context(), r.key)
	if err != nil {
		return err
	}
	out := attributesXML{Namespace: s3Namespace}
	for name := range strings.SplitSeq(asked, ",") {
		switch name = strings.TrimSpace(name); name {
		case "ETag":
			t := escapeText(o.ETag)
			out.ETag = &t
		case "Checksum":
			if len(o.Checksum) > 0 {
				c := checksumsOf(o.Checksum)
				out.Checksum = &c
			}
		case "ObjectParts":
			out.ObjectParts = partsOf(o, marker, min(limit, maxPage))
		case "StorageClass":
			out.StorageClass = "STANDARD"
		case "ObjectSize":
			out.ObjectSize = &o.Size
		default:
			return fail(codeInvalidArgument, "the attribute %q is not one of ETag, Checksum, ObjectParts, StorageClass, ObjectSize", name)
		}
	}
	r.w.Header().Set("Last-Modified", o.Modified.UTC().Format(http.TimeFormat))
	r.writeXML(http.StatusOK, out)
	return nil
}

// partsOf is a page of the parts that o was uploaded in; nil for a single PUT.
func partsOf(o cairn.Object, marker, limit int) *partsXML {
	if len(o.Parts) == 0 {
		return nil
	}
	p := &partsXML{PartsCount: len(o.Parts), PartNumberMarker: marker, NextPartNumberMarker: marker, MaxParts: limit}
	for number := marker + 1; number <= len(o.Parts); number++ {
		if len(p.Part) == limit {
			p.IsTruncated = limit > 0
			break
		}
		p.Part = append(p.Part, partXML{number, o.Parts[number-1]})
		p.NextPartNumberMarker = number
	}
	return p
}

// headerNumber reads a number from 0 up, or is otherwise where none was sent.
func headerNumber(h http.Header, name string, otherwise int) (int, error) {
	v := h.Get(name)
	if v == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		return 0, fail(codeInvalidArgument, "%s %q is not a number from 0 up", strings.ToLower(name), v)
	}
	return int(n), nil
}
