package gateway

import (
	"net/http"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/gateway/sigv4"
	"github.com/cairn-storage/cairn/store"
)

const copySourceHeader = "X-Amz-Copy-Source"

// copySource is the object that r wants copied, when its key may read it.
func (g *Gateway) copySource(r *request) (cairn.Key, error) {
	k, err := parseCopySource(r.Header.Get(copySourceHeader))
	if err != nil {
		return k, err
	}
	// The operation's level is of the bucket written to; this is the other one.
	if have := r.access.Allows(k.Bucket); have < store.Read {
		return k, fail(codeAccessDenied, "the access key %s has %s in bucket %s; copying from it needs %s", r.access.ID, have, k.Bucket, store.Read)
	}
	return k, nil
}

// parseCopySource reads /bucket/key, URL-encoded, the first slash optional; a
// plus sign is itself.
func parseCopySource(v string) (cairn.Key, error) {
	path, query, asked := strings.Cut(v, "?")
	if asked {
		version, ok := strings.CutPrefix(query, "versionId=")
		switch {
		case !ok:
			return cairn.Key{}, fail(codeInvalidArgument, "x-amz-copy-source %q: a ? that belongs to the key must be sent as %%3F", v)
		case version != "null":
			return cairn.Key{}, notImplemented("x-amz-copy-source with a versionId")
		}
	}
	if strings.HasPrefix(path, "arn:") {
		return cairn.Key{}, notImplemented("x-amz-copy-source with an access point")
	}
	// Some clients encode the slash between bucket and key too.
	path, err := sigv4.Unescape(path, false)
	if err != nil {
		return cairn.Key{}, fail(codeInvalidArgument, "x-amz-copy-source %q is not URL-encoded: %v", v, err)
	}
	bucket, object, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	k := cairn.Key{Bucket: bucket, Object: object}
	if err := k.Check(); err != nil {
		return cairn.Key{}, &failure{code: codeInvalidArgument, cause: err, message: "x-amz-copy-source does not name /bucket/key: " + err.Error()}
	}
	return k, nil
}

// sourceNames are the conditions on a copy's source, and what they are called
// on a plain read.
var sourceNames = []struct{ name, as string }{
	{"X-Amz-Copy-Source-If-Match", "If-Match"},
	{"X-Amz-Copy-Source-If-None-Match", "If-None-Match"},
	{"X-Amz-Copy-Source-If-Modified-Since", "If-Modified-Since"},
	{"X-Amz-Copy-Source-If-Unmodified-Since", "If-Unmodified-Since"},
}

// sourceCheck is what h demands of a copy's source. A condition that cannot be
// read is refused, as it is on a write.
func sourceCheck(h http.Header) (func(cairn.Object) error, error) {
	asRead := http.Header{}
	for _, n := range sourceNames {
		values, given := h[n.name]
		if !given {
			continue
		}
		ok := false
		if strings.HasSuffix(n.as, "Match") {
			_, ok = parseTags(values)
		} else {
			_, err := http.ParseTime(values[0])
			ok = err == nil
		}
		if !ok {
			return nil, fail(codeInvalidArgument, "%s: %q cannot be read", strings.ToLower(n.name), values[0])
		}
		asRead[n.as] = values
	}
	return func(source cairn.Object) error {
		if readCondition(asRead, source) != http.StatusOK {
			return fail(codePreconditionFailed, "the source of the copy is not as the request's conditions want it; its ETag is %s", quote(source.ETag))
		}
		return nil
	}, nil
}
