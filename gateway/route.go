package gateway

import (
	"net/http"

	"github.com/cairn-storage/cairn/store"
)

// operation is one thing a client can ask for.
type operation struct {
	name   string      // as S3 calls it
	class  string      // its metrics label, one of a closed set
	level  store.Level // that it needs in its bucket
	public bool        // anonymous too, where the bucket is public
	run    func(*Gateway, *request) error
}

// opUnknown stands for what could not be told or is refused.
var opUnknown = operation{name: "unknown", class: "other"}

// target is what an address names.
type target int

const (
	atRoot target = iota
	atBucket
	atObject
)

// route returns the operation that r asks for, or why there is none.
func route(r *request) (operation, error) {
	at := atObject
	switch {
	case r.key.Bucket == "":
		at = atRoot
	case r.key.Object == "":
		at = atBucket
	}
	sub := subresource(r.query)
	for _, o := range operations {
		if o.at == at && o.method == r.Method && o.sub == sub && (o.header == "" || r.Header.Get(o.header) != "") {
			return o.operation, nil
		}
	}
	if sub != "" {
		what := "a bucket's ?"
		switch at {
		case atRoot:
			what = "the root's ?"
		case atObject:
			what = "an object's ?"
		}
		return opUnknown, notImplemented(r.Method + " of " + what + sub)
	}
	if r.Method == http.MethodPost {
		return opUnknown, notImplemented("POST forms")
	}
	return opUnknown, notAllowed(r)
}

// routed is one row: where, how and by which subresource an operation is asked
// for. Of rows that differ in header alone the one with it stands first.
type routed struct {
	at     target
	method string
	sub    string // query parameter that S3 tells operations apart by
	header string // that must be there, canonical; "" for none
	operation
}

var operations = []routed{
	{atRoot, "GET", "", "", operation{"ListBuckets", "list", store.None, false, (*Gateway).listBuckets}},

	{atBucket, "GET", "", "", operation{"ListObjects", "list", store.Read, false, (*Gateway).listObjects}},
	{atBucket, "GET", "location", "", operation{"GetBucketLocation", "bucket", store.Read, false, (*Gateway).bucketLocation}},
	{atBucket, "GET", "versioning", "", operation{"GetBucketVersioning", "bucket", store.Read, false, (*Gateway).bucketVersioning}},
	{atBucket, "GET", "uploads", "", operation{"ListMultipartUploads", "list", store.Read, false, (*Gateway).listUploads}},
	{atBucket, "GET", "cors", "", operation{"GetBucketCors", "bucket", store.Read, false, (*Gateway).getCORS}},
	{atBucket, "PUT", "cors", "", operation{"PutBucketCors", "bucket", store.Admin, false, (*Gateway).putCORS}},
	{atBucket, "DELETE", "cors", "", operation{"DeleteBucketCors", "bucket", store.Admin, false, (*Gateway).deleteCORS}},
	{atBucket, "POST", "delete", "", operation{"DeleteObjects", "delete", store.Write, false, (*Gateway).deleteObjects}},
	{atBucket, "HEAD", "", "", operation{"HeadBucket", "bucket", store.Read, false, (*Gateway).headBucket}},
	{atBucket, "PUT", "", "", operation{"CreateBucket", "bucket", store.Admin, false, (*Gateway).createBucket}},
	{atBucket, "DELETE", "", "", operation{"DeleteBucket", "bucket", store.Admin, false, (*Gateway).deleteBucket}},

	{atObject, "GET", "", "", operation{"GetObject", "get", store.Read, true, (*Gateway).getObject}},
	{atObject, "GET", "partNumber", "", operation{"GetObject", "get", store.Read, true, (*Gateway).getObject}},
	{atObject, "HEAD", "", "", operation{"HeadObject", "head", store.Read, true, (*Gateway).headObject}},
	{atObject, "HEAD", "partNumber", "", operation{"HeadObject", "head", store.Read, true, (*Gateway).headObject}},
	{atObject, "GET", "attributes", "", operation{"GetObjectAttributes", "head", store.Read, false, (*Gateway).objectAttributes}},
	{atObject, "GET", "tagging", "", operation{"GetObjectTagging", "head", store.Read, false, (*Gateway).getTags}},
	{atObject, "PUT", "tagging", "", operation{"PutObjectTagging", "put", store.Write, false, (*Gateway).putTags}},
	{atObject, "DELETE", "tagging", "", operation{"DeleteObjectTagging", "put", store.Write, false, (*Gateway).deleteTags}},
	{atObject, "PUT", "", "X-Amz-Copy-Source", operation{"CopyObject", "copy", store.Write, false, (*Gateway).copyObject}},
	{atObject, "PUT", "", "", operation{"PutObject", "put", store.Write, false, (*Gateway).putObject}},
	{atObject, "DELETE", "", "", operation{"DeleteObject", "delete", store.Write, false, (*Gateway).deleteObject}},

	{atObject, "POST", "uploads", "", operation{"CreateMultipartUpload", "multipart", store.Write, false, (*Gateway).createUpload}},
	{atObject, "PUT", "uploadId", "X-Amz-Copy-Source", operation{"UploadPartCopy", "part", store.Write, false, (*Gateway).copyPart}},
	{atObject, "PUT", "uploadId", "", operation{"UploadPart", "part", store.Write, false, (*Gateway).putPart}},
	{atObject, "GET", "uploadId", "", operation{"ListParts", "list", store.Read, false, (*Gateway).listParts}},
	{atObject, "POST", "uploadId", "", operation{"CompleteMultipartUpload", "multipart", store.Write, false, (*Gateway).completeUpload}},
	{atObject, "DELETE", "uploadId", "", operation{"AbortMultipartUpload", "multipart", store.Write, false, (*Gateway).abortUpload}},
}

func notAllowed(r *request) error {
	return fail(codeMethodNotAllowed, "%s does not work on %s", r.Method, r.path)
}
