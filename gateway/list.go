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

const xmlTime = "2006-01-02T15:04:05.000Z"

type listXML struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	Namespace             string   `xml:"xmlns,attr"`
	Name                  string
	Prefix                text
	StartAfter            *text
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	KeyCount              int
	MaxKeys               int
	Delimiter             *text
	EncodingType          string `xml:",omitempty"`
	IsTruncated           bool
	Contents              []entryXML
	CommonPrefixes        []prefixXML
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

// listObjects answers ListObjectsV2 with one page.
func (g *Gateway) listObjects(r *request) error {
	q := r.query
	page := maxPage
	if v := q.get("max-keys"); v != "" {
		n, err := strconv.ParseUint(v, 10, 31)
		if err != nil {
			return fail(codeInvalidArgument, "max-keys %q is not a number from 0 up", v)
		}
		page = min(int(n), maxPage)
	}
	encode := escapeText
	switch v := q.get("encoding-type"); v {
	case "":
	case "url":
		encode = func(s string) text { return text{string(sigv4.AppendEscaped(nil, s, true))} }
	default:
		return fail(codeInvalidArgument, "encoding-type %q is not known, only url is", v)
	}
	ask := store.ListRequest{Bucket: r.key.Bucket, Prefix: q.get("prefix"), Delimiter: q.get("delimiter"), After: q.get("start-after"), Max: page}
	token := q.get("continuation-token")
	if q.has("continuation-token") {
		after, ok := parseToken(token)
		if !ok {
			return fail(codeInvalidArgument, "the continuation token is not one of ours")
		}
		ask.After = after
	}
	var l store.Listing
	var err error
	if page > 0 {
		l, err = g.c.Store.List(r.Context(), ask)
	} else {
		_, err = g.c.Store.Bucket(r.Context(), r.key.Bucket)
	}
	if err != nil {
		return err
	}
	out := listXML{
		Namespace: s3Namespace, Name: r.key.Bucket, Prefix: encode(ask.Prefix), ContinuationToken: token,
		KeyCount: len(l.Objects) + len(l.Prefixes), MaxKeys: page, EncodingType: q.get("encoding-type"), IsTruncated: l.More,
		Contents: make([]entryXML, 0, len(l.Objects)), CommonPrefixes: make([]prefixXML, 0, len(l.Prefixes)),
	}
	if v := q.get("start-after"); v != "" {
		t := encode(v)
		out.StartAfter = &t
	}
	if ask.Delimiter != "" {
		t := encode(ask.Delimiter)
		out.Delimiter = &t
	}
	if l.More {
		out.NextContinuationToken = makeToken(l.Next)
	}
	withOwner := q.get("fetch-owner") == "true"
	for _, o := range l.Objects {
		out.Contents = append(out.Contents, entry(o, encode, withOwner))
	}
	for _, p := range l.Prefixes {
		out.CommonPrefixes = append(out.CommonPrefixes, prefixXML{encode(p)})
	}
	r.writeXML(http.StatusOK, out)
	return nil
}

func entry(o cairn.Object, encode func(string) text, withOwner bool) entryXML {
	e := entryXML{
		Key: encode(o.Key.Object), LastModified: o.Modified.UTC().Format(xmlTime), ETag: text{"&quot;" + o.ETag + "&quot;"},
		Size: o.Size, StorageClass: "STANDARD",
	}
	for _, c := range o.Checksum {
		e.ChecksumAlgorithm = append(e.ChecksumAlgorithm, c.Algorithm)
		e.ChecksumType = "FULL_OBJECT"
	}
	if withOwner {
		e.Owner = owner()
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

type bucketsXML struct {
	XMLName   xml.Name `xml:"ListAllMyBucketsResult"`
	Namespace string   `xml:"xmlns,attr"`
	Owner     *ownerXML
	Buckets   struct{ Bucket []bucketXML }
	Prefix    *text
}

type bucketXML struct {
	Name         string
	CreationDate string
}

// listBuckets answers with the buckets that the key may read.
func (g *Gateway) listBuckets(r *request) error {
	all, err := g.c.Store.Buckets(r.Context())
	if err != nil {
		return err
	}
	out := bucketsXML{Namespace: s3Namespace, Owner: owner()}
	prefix := r.query.get("prefix")
	if prefix != "" {
		t := escapeText(prefix)
		out.Prefix = &t
	}
	for _, b := range all {
		if r.access.Allows(b.Name) < store.Read || len(b.Name) < len(prefix) || b.Name[:len(prefix)] != prefix {
			continue
		}
		out.Buckets.Bucket = append(out.Buckets.Bucket, bucketXML{b.Name, b.Created.UTC().Format(xmlTime)})
	}
	r.writeXML(http.StatusOK, out)
	return nil
}
