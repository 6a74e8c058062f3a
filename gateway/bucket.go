package gateway

import (
	"cmp"
	"encoding/xml"
	"io"
	"net/http"
	"strings"
)

// maxDocument is the largest XML body that is read, in bytes.
const maxDocument = 64 << 10

// defaultRegion is the one that S3 leaves unsaid in a bucket's location.
const defaultRegion = "us-east-1"

type createBucketXML struct {
	XMLName            xml.Name
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
		if err := xml.Unmarshal(document, &c); err != nil || c.XMLName.Local != "CreateBucketConfiguration" {
			return fail(codeMalformedXML, "the body is not a CreateBucketConfiguration")
		}
		if c.Location != nil || c.Bucket != nil || c.Tags != nil {
			return notImplemented("a directory bucket or a bucket with tags")
		}
	}
	if err := g.c.Store.CreateBucket(r.Context(), r.key.Bucket); err != nil {
		return err
	}
	h := r.w.Header()
	h.Set("Location", "/"+r.key.Bucket)
	h.Set("Content-Length", "0")
	r.w.WriteHeader(http.StatusOK)
	return nil
}

// readDocument reads a small body, proven like any other.
func (g *Gateway) readDocument(r *request) ([]byte, error) {
	b, size, release, err := g.openBody(r)
	if err != nil {
		return nil, err
	}
	defer release()
	if size > maxDocument {
		return nil, fail(codeMalformedXML, "the body has %d bytes, at most %d are read", size, maxDocument)
	}
	if err := g.reserve(r, size); err != nil {
		return nil, err
	}
	return io.ReadAll(b)
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
	h := r.w.Header()
	h.Set("X-Amz-Bucket-Region", g.regionOf(r))
	h.Set("Content-Length", "0")
	r.w.WriteHeader(http.StatusOK)
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
