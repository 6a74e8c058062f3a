package gateway

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

const (
	metaPrefix      = "X-Amz-Meta-"
	lowerMetaPrefix = "x-amz-meta-"
	maxMeta         = 2 << 10 // bytes of names and values, as S3 has it
	// defaultType is what S3 says of an object that came without a type.
	defaultType = "binary/octet-stream"
)

// keptNames are the content headers that belong to an object, and the query
// parameters by which a reader asks for another value.
var keptNames = []struct{ name, override string }{
	{"Content-Type", "response-content-type"},
	{"Content-Encoding", "response-content-encoding"},
	{"Cache-Control", "response-cache-control"},
	{"Content-Disposition", "response-content-disposition"},
	{"Content-Language", "response-content-language"},
	{"Expires", "response-expires"},
}

// keptHeaders picks from a PUT what is stored with the object: content
// headers, without the encoding that was only for the way, tags (as
// store.TagsHeader) and metadata.
func keptHeaders(h http.Header) (header, meta map[string]string, err error) {
	var headerBytes, metaBytes int
	for _, k := range keptNames {
		v := strings.Join(h[k.name], ", ")
		if k.name == "Content-Encoding" {
			v = withoutToken(v, "aws-chunked")
		}
		if v == "" {
			continue
		}
		if header == nil {
			header = make(map[string]string)
		}
		header[k.name] = v
		headerBytes += len(k.name) + len(v)
	}
	for name, values := range h {
		short, ok := strings.CutPrefix(name, metaPrefix)
		if !ok {
			continue
		}
		if meta == nil {
			meta = make(map[string]string)
		}
		v := strings.Join(values, ",")
		meta[strings.ToLower(short)] = v
		metaBytes += len(short) + len(v)
	}
	for _, n := range []int{headerBytes, metaBytes} {
		if n > maxMeta {
			return nil, nil, fail(codeMetadataTooLarge, "the headers or metadata kept with the object have %d bytes, at most %d are allowed", n, maxMeta)
		}
	}
	tags, err := headerTags(h)
	if err != nil {
		return nil, nil, err
	}
	return withTags(header, tags), meta, nil
}

// withoutToken takes token out of a comma-separated list.
func withoutToken(list, token string) string {
	if !strings.Contains(strings.ToLower(list), token) {
		return list
	}
	var rest []string
	for t := range strings.SplitSeq(list, ",") {
		if t = strings.TrimSpace(t); t != "" && !strings.EqualFold(t, token) {
			rest = append(rest, t)
		}
	}
	return strings.Join(rest, ", ")
}

// setObjectHeaders writes what is known of o into an answer.
func setObjectHeaders(h http.Header, o cairn.Object) {
	h.Set("Content-Type", defaultType)
	for k, v := range o.Header {
		if k == store.TagsHeader { // tags may be read by those who ask for them alone
			h.Set("X-Amz-Tagging-Count", strconv.Itoa(1+strings.Count(v, "&")))
			continue
		}
		h.Set(k, v)
	}
	for k, v := range o.Meta {
		// Past Set, which would capitalise: some SDKs show the name as it came.
		h[lowerMetaPrefix+k] = []string{v}
	}
	h.Set("ETag", quote(o.ETag))
	h.Set("Last-Modified", o.Modified.UTC().Format(http.TimeFormat))
	h.Set("Accept-Ranges", "bytes")
}

// checkOverrides refuses response-* parameters to the public: else anyone
// could make a link by which a public object comes as, say, a web page.
func checkOverrides(r *request) error {
	if !r.anonymous {
		return nil
	}
	for _, k := range keptNames {
		if r.query.has(k.override) {
			return fail(codeInvalidRequest, "%s needs a signed request", k.override)
		}
	}
	return nil
}

// override carries response-* parameters out.
func override(r *request, h http.Header) {
	if len(r.query) == 0 {
		return
	}
	for _, k := range keptNames {
		if v := r.query.get(k.override); v != "" {
			h.Set(k.name, v)
		}
	}
}
