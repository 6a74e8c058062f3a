package gateway

import (
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"strconv"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/gateway/sigv4"
	"github.com/cairn-storage/cairn/store"
)

// maxPage is the most entries of one page, as S3 has it.
const maxPage = 1000

// listCost is about what an entry takes while its page is made, in bytes.
const listCost = 2 << 10

const xmlTime = "2006-01-02T15:04:05.000Z"

// listXML is a page in either version; each leaves the other's fields out.
type listXML struct {
	XMLName   xml.Name `xml:"ListBucketResult"`
	Namespace string   `xml:"xmlns,attr"`
	Name      string
	Prefix    text

	// Version 1.
	Marker     *text
	NextMarker *text

	// Version 2.
	StartAfter            *text
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	KeyCount              *int

	MaxKeys        int
	Delimiter      *text
	EncodingType   string `xml:",omitempty"`
	IsTruncated    bool
	Contents       []entryXML
	CommonPrefixes []prefixXML
}

type entryXML struct {
	Key               text
	LastModified      string
	ETag              text
	ChecksumAlgorithm []string
	ChecksumType      string `xml:",omitempty"`
	Size              int64
	Owner             *ownerXML
	StorageClass      string
}

type prefixXML struct{ Prefix text }

// ownerXML names whom objects belong to: all to the store.
type ownerXML struct {
	ID          text
	DisplayName text
}

func owner() *ownerXML { return &ownerXML{ID: text{"cairn"}, DisplayName: text{"cairn"}} }

// listObjects answers ListObjects, or ListObjectsV2, with one page.
func (g *Gateway) listObjects(r *request) error {
	q := r.query
	max, err := pageSize(q, "max-keys", maxPage)
	if err != nil {
		return err
	}
	encode, err := keyEncoding(q)
	if err != nil {
		return err
	}
	second := false
	switch v := q.get("list-type"); v {
	case "":
	case "2":
		second = true
	default:
		return fail(codeInvalidArgument, "list-type %q is not known, only 2 is", v)
	}
	ask := store.ListRequest{Bucket: r.key.Bucket, Prefix: q.get("prefix"), Delimiter: q.get("delimiter"), After: q.get("marker"), Max: max}
	if second {
		ask.After = q.get("start-after")
		if q.has("continuation-token") {
			after, ok := parseToken(q.get("continuation-token"))
			if !ok {
				return fail(codeInvalidArgument, "the continuation token is not one of ours")
			}
			ask.After = after
		}
	}
	if err := g.reserve(r, int64(max)*listCost); err != nil {
		return err
	}
	var l store.Listing
	if max > 0 {
		l, err = g.c.Store.List(r.Context(), ask)
	} else {
		_, err = g.c.Store.Bucket(r.Context(), r.key.Bucket)
	}
	if err != nil {
		return err
	}
	out := listXML{
		Namespace: s3Namespace, Name: r.key.Bucket, Prefix: encode(ask.Prefix),
		MaxKeys: max, EncodingType: q.get("encoding-type"), IsTruncated: l.More,
		Contents: make([]entryXML, 0, len(l.Objects)), CommonPrefixes: make([]prefixXML, 0, len(l.Prefixes)),
	}
	if ask.Delimiter != "" {
		out.Delimiter = some(encode(ask.Delimiter))
	}
	if second {
		out.second(q, l, encode)
	} else {
		out.first(ask, l, encode)
	}
	var whose *ownerXML
	if !second || q.get("fetch-owner") == "true" {
		whose = owner()
	}
	for _, o := range l.Objects {
		out.Contents = append(out.Contents, entry(o, encode, whose))
	}
	for _, p := range l.Prefixes {
		out.CommonPrefixes = append(out.CommonPrefixes, prefixXML{encode(p)})
	}
	r.writeXML(http.StatusOK, out)
	return nil
}

// first fills in what only version 1 has. Without a delimiter clients go on
// from the last key; S3 names a NextMarker only where that is not enough.
func (x *listXML) first(ask store.ListRequest, l store.Listing, encode func(string) text) {
	x.Marker = some(encode(ask.After))
	if l.More && ask.Delimiter != "" {
		x.NextMarker = some(encode(l.Next))
	}
}

// second fills in what only version 2 has.
func (x *listXML) second(q params, l store.Listing, encode func(string) text) {
	x.KeyCount = some(len(l.Objects) + len(l.Prefixes))
	x.ContinuationToken = q.get("continuation-token")
	if v := q.get("start-after"); v != "" {
		x.StartAfter = some(encode(v))
	}
	if l.More {
		x.NextContinuationToken = makeToken(l.Next)
	}
}

func some[T any](v T) *T { return &v }

// pageSize reads how many entries a page shall have: most where nothing was
// said, and never more.
func pageSize(q params, name string, most int) (int, error) {
	v := q.get(name)
	if v == "" {
		return most, nil
	}
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		return 0, fail(codeInvalidArgument, "%s %q is not a number from 0 to %d", name, v, 1<<31-1)
	}
	return min(int(n), most), nil
}

// keyEncoding is how keys are written in an answer to q.
func keyEncoding(q params) (func(string) text, error) {
	switch v := q.get("encoding-type"); v {
	case "":
		return escapeText, nil
	case "url":
		return func(s string) text { return text{string(sigv4.AppendEscaped(nil, s, true))} }, nil
	default:
		return nil, fail(codeInvalidArgument, "encoding-type %q is not known, only url is", v)
	}
}

func entry(o cairn.Object, encode func(string) text, whose *ownerXML) entryXML {
	e := entryXML{
		Key: encode(o.Key.Object), LastModified: o.Modified.UTC().Format(xmlTime), ETag: quotedText(o.ETag),
		Size: o.Size, Owner: whose, StorageClass: "STANDARD",
	}
	for _, c := range o.Checksum {
		e.ChecksumAlgorithm = append(e.ChecksumAlgorithm, c.Algorithm)
		e.ChecksumType = checksumType(c)
	}
	return e
}

// Continuation tokens are opaque to clients, so that what stands in them can
// change: a version, then where the next page begins.
const tokenVersion = "1"

func makeToken(next string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(tokenVersion + next))
}

func parseToken(token string) (next string, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) < 2 || string(raw[:1]) != tokenVersion {
		return "", false
	}
	return string(raw[1:]), true
}
