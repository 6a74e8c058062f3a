package gateway

import (
	"net/http"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// readCondition evaluates the conditions of a GET or HEAD of o in the order
// of RFC 9110 section 13.2.2 and returns 200, 304 or 412.
func readCondition(h http.Header, o cairn.Object) int {
	modified := o.Modified.Truncate(time.Second) // all a header can say
	if v, given := h["If-Match"]; given {
		if !anyTag(v, o.ETag, false) {
			return http.StatusPreconditionFailed
		}
	} else if t, err := http.ParseTime(h.Get("If-Unmodified-Since")); err == nil && modified.After(t) {
		return http.StatusPreconditionFailed
	}
	if v, given := h["If-None-Match"]; given {
		if anyTag(v, o.ETag, true) {
			return http.StatusNotModified
		}
	} else if t, err := http.ParseTime(h.Get("If-Modified-Since")); err == nil && !modified.After(t) {
		return http.StatusNotModified
	}
	return http.StatusOK
}

// ifRange reports whether a Range header counts: If-Range is absent or names
// exactly this version.
func ifRange(v string, o cairn.Object) bool {
	if v == "" {
		return true
	}
	if t, err := http.ParseTime(v); err == nil {
		return o.Modified.Truncate(time.Second).Equal(t)
	}
	return anyTag([]string{v}, o.ETag, false) && v != "*"
}

// anyTag reports whether a list of entity tags names etag. Weak tags count
// only where weak is set.
func anyTag(values []string, etag string, weak bool) bool {
	tags, _ := parseTags(values)
	for _, t := range tags {
		if weak {
			t = strings.TrimPrefix(t, `W/"`)
			t = strings.TrimSuffix(t, `"`)
		}
		if t == "*" || t == etag {
			return true
		}
	}
	return false
}

// parseTags reads a list of entity tags: strong ones without their quotes,
// weak ones as they are, so that they equal no ETag of an object. Clients of
// S3 also send tags without quotes. ok is false for a list that is not one.
func parseTags(values []string) (tags []string, ok bool) {
	for _, v := range values {
		for v = trimList(v); v != ""; v = trimList(v) {
			prefix := ""
			if strings.HasPrefix(v, `W/"`) {
				prefix, v = `W/"`, v[2:]
			}
			if v[0] != '"' {
				t, rest, _ := strings.Cut(v, ",")
				t = strings.TrimSpace(t)
				if strings.ContainsAny(t, `" `) {
					return tags, false
				}
				tags, v = append(tags, t), rest
				continue
			}
			end := strings.IndexByte(v[1:], '"')
			if end < 0 {
				return tags, false
			}
			t := v[1 : 1+end]
			if prefix != "" {
				t = prefix + t + `"`
			}
			tags, v = append(tags, t), v[end+2:]
			if v = strings.TrimLeft(v, " \t"); v != "" && v[0] != ',' {
				return tags, false
			}
		}
	}
	return tags, len(tags) > 0
}

func trimList(v string) string { return strings.TrimLeft(v, " \t,") }

// writeCondition is what the store must decide together with a write. A
// condition that cannot be read is refused: ignored, it would overwrite what
// the client meant to keep.
func writeCondition(h http.Header) (c store.Condition, err error) {
	for _, f := range []struct {
		name string
		tags *[]string
	}{{"If-Match", &c.Match}, {"If-None-Match", &c.NoneMatch}} {
		values, given := h[f.name]
		if !given {
			continue
		}
		tags, ok := parseTags(values)
		if !ok {
			return c, fail(codeInvalidArgument, "%s is not a list of ETags", f.name)
		}
		*f.tags = tags
	}
	for _, name := range []string{"If-Modified-Since", "If-Unmodified-Since"} {
		if _, given := h[name]; given {
			return c, notImplemented("a write with " + name)
		}
	}
	return c, nil
}

func quote(etag string) string { return `"` + etag + `"` }
