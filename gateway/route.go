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

// route returns the operation that r asks for, or why there is none.
func route(r *request) (operation, error) {
	if r.Method == http.MethodPost {
		return opUnknown, notImplemented("POST (multipart uploads, multi-object delete, forms)")
	}
	switch {
	case r.key.Bucket == "":
		return routeRoot(r)
	case r.key.Object == "":
		return routeBucket(r)
	}
	return routeObject(r)
}

func routeRoot(r *request) (operation, error) {
	if r.Method == http.MethodGet {
		return operation{"ListBuckets", "list", store.None, false, (*Gateway).listBuckets}, nil
	}
	return opUnknown, notAllowed(r)
}

func routeBucket(r *request) (operation, error) {
	if name := subresource(r.query); name != "" {
		switch {
		case r.Method == http.MethodGet && name == "location":
			return operation{"GetBucketLocation", "bucket", store.Read, false, (*Gateway).bucketLocation}, nil
		case r.Method == http.MethodGet && name == "versioning":
			return operation{"GetBucketVersioning", "bucket", store.Read, false, (*Gateway).bucketVersioning}, nil
		}
		return opUnknown, notImplemented(r.Method + " of a bucket's ?" + name)
	}
	switch r.Method {
	case http.MethodGet:
		if r.query.get("list-type") != "2" {
			return opUnknown, notImplemented("ListObjects version 1 (ask with list-type=2)")
		}
		return operation{"ListObjectsV2", "list", store.Read, false, (*Gateway).listObjects}, nil
	case http.MethodHead:
		return operation{"HeadBucket", "bucket", store.Read, false, (*Gateway).headBucket}, nil
	case http.MethodPut:
		return operation{"CreateBucket", "bucket", store.Admin, false, (*Gateway).createBucket}, nil
	case http.MethodDelete:
		return operation{"DeleteBucket", "bucket", store.Admin, false, (*Gateway).deleteBucket}, nil
	}
	return opUnknown, notAllowed(r)
}

func routeObject(r *request) (operation, error) {
	if name := subresource(r.query); name != "" {
		return opUnknown, notImplemented(r.Method + " of an object's ?" + name)
	}
	switch r.Method {
	case http.MethodGet:
		return operation{"GetObject", "get", store.Read, true, (*Gateway).getObject}, nil
	case http.MethodHead:
		return operation{"HeadObject", "head", store.Read, true, (*Gateway).headObject}, nil
	case http.MethodPut:
		return operation{"PutObject", "put", store.Write, false, (*Gateway).putObject}, nil
	case http.MethodDelete:
		return operation{"DeleteObject", "delete", store.Write, false, (*Gateway).deleteObject}, nil
	}
	return opUnknown, notAllowed(r)
}

func notAllowed(r *request) error {
	return fail(codeMethodNotAllowed, "%s does not work on %s", r.Method, r.path)
}
