package gateway

import (
	"encoding/xml"
	"net/http"
	"strings"

	"github.com/cairn-storage/cairn/store"
)

// maxBuckets is the most buckets of one page, as S3 has it.
const maxBuckets = 10_000

type bucketsXML struct {
	XMLName           xml.Name `xml:"ListAllMyBucketsResult"`
	Namespace         string   `xml:"xmlns,attr"`
	Owner             *ownerXML
	Buckets           struct{ Bucket []bucketXML }
	ContinuationToken string `xml:",omitempty"` // of the next page, unlike in other listings
	Prefix            *text
}

type bucketXML struct {
	Name         string
	CreationDate string
}

// listBuckets answers with one page of the buckets that the key may read.
func (g *Gateway) listBuckets(r *request) error {
	limit, err := pageSize(r.query, "max-buckets", maxBuckets)
	if err != nil {
		return err
	}
	if limit == 0 {
		return fail(codeInvalidArgument, "max-buckets is 0, at least 1 is needed")
	}
	after := ""
	if token := r.query.get("continuation-token"); token != "" {
		var ok bool
		if after, ok = parseToken(token); !ok {
			return fail(codeInvalidArgument, "the continuation token is not one of ours")
		}
	}
	all, err := g.c.Store.Buckets(r.Context())
	if err != nil {
		return err
	}
	out := bucketsXML{Namespace: s3Namespace, Owner: owner()}
	prefix := r.query.get("prefix")
	if prefix != "" {
		out.Prefix = some(escapeText(prefix))
	}
	last := ""
	for _, b := range all {
		if b.Name <= after || r.access.Allows(b.Name) < store.Read || !strings.HasPrefix(b.Name, prefix) {
			continue
		}
		if len(out.Buckets.Bucket) == limit {
			out.ContinuationToken = makeToken(last)
			break
		}
		last = b.Name
		out.Buckets.Bucket = append(out.Buckets.Bucket, bucketXML{b.Name, b.Created.UTC().Format(xmlTime)})
	}
	r.writeXML(http.StatusOK, out)
	return nil
}
