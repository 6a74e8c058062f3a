package gateway

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"net/http"
	"strings"
)

// maxDocument is the largest XML body that is read, in bytes.
const maxDocument = 64 << 10

// defaultRegion is the one that S3 leaves unsaid in a bucket's location.
const defaultRegion = "us-east-1"

type createBucketXML struct {
	LocationConstraint string
	Location           *struct{}
	Bucket             *struct{}
	Tags               *struct{}
}

// createBucket makes a bucket. Any location is fine: there is only one.
func (g *Gateway) createBucket(r *request) error {
	document, err := g.readDocument(r)
	if err != nil {
		return err
	}
	if len(strings.TrimSpace(string(document))) > 0 {
		var c createBucketXML
		if err := parseXML(document, "CreateBucketConfiguration", &c); err != nil {
			return err
		}
		if c.Location != nil || c.Bucket != nil || c.Tags != nil {
			return notImplemented("a directory bucket or a bucket with tags")
		}
	}
	if err := g.c.Store.CreateBucket(r.Context(), r.key.Bucket); err != nil {
		return err
	}
	r.w.Header().Set("Location", "/"+r.key.Bucket)
	r.writeEmpty(http.StatusOK)
	return nil
}

// readDocument reads a small body, proven like any other.
func (g *Gateway) readDocument(r *request) ([]byte, error) { return g.readProven(r, maxDocument, 1) }

// readProven reads a body of at most limit bytes, and takes times its size of
// the budget for what will be made of it.
func (g *Gateway) readProven(r *request, limit, times int64) ([]byte, error) {
	b, size, release, err := g.openBody(r)
	if err != nil {
		return nil, err
	}
	defer release()
	if size > limit {
		return nil, fail(codeMalformedXML, "the body has %d bytes, at most %d are read", size, limit)
	}
	if err := g.reserve(r, size*times); err != nil {
		return nil, err
	}
	document := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	if _, err := document.ReadFrom(b); err != nil {
		return nil, err
	}
	return document.Bytes(), nil
}

// deleteBucket removes an empty bucket.
func (g *Gateway) deleteBucket(r *request) error {
	if err := g.c.Store.DeleteBucket(r.Context(), r.key.Bucket); err != nil {
		return err
	}
	r.w.WriteHeader(http.StatusNoContent)
	return nil
}

// headBucket says that the bucket is there.
func (g *Gateway) headBucket(r *request) error {
	if _, err := g.c.Store.Bucket(r.Context(), r.key.Bucket); err != nil {
		return err
	}
	r.w.Header().Set("X-Amz-Bucket-Region", g.regionOf(r))
	r.writeEmpty(http.StatusOK)
	return nil
}

// regionOf is the configured region, or what the client takes it to be.
func (g *Gateway) regionOf(r *request) string { return cmp.Or(g.c.Region, r.region) }

type locationXML struct {
	XMLName   xml.Name `xml:"LocationConstraint"`
	Namespace string   `xml:"xmlns,attr"`
	Region    string   `xml:",chardata"`
}

// bucketLocation answers with the region.
func (g *Gateway) bucketLocation(r *request) error {
	if _, err := g.c.Store.Bucket(r.Context(), r.key.Bucket); err != nil {
		return err
	}
	region := g.regionOf(r)
	if region == defaultRegion {
		region = ""
	}
	out := locationXML{Namespace: s3Namespace, Region: region}
	r.writeXML(http.StatusOK, out)
	return nil
}

type versioningXML struct {
	XMLName   xml.Name `xml:"VersioningConfiguration"`
	Namespace string   `xml:"xmlns,attr"`
}

// bucketVersioning says that versioning was never turned on.
func (g *Gateway) bucketVersioning(r *request) error {
	if _, err := g.c.Store.Bucket(r.Context(), r.key.Bucket); err != nil {
		return err
	}
	r.writeXML(http.StatusOK, versioningXML{Namespace: s3Namespace})
	return nil
}
