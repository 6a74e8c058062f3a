package gateway

import (
	"encoding/xml"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/cairn-storage/cairn/store"
)

// Limits of S3 for the tags of one object, in tags and characters.
const (
	maxTags     = 10
	maxTagKey   = 128
	maxTagValue = 256
	// maxTagBytes is the most that all of an object's tags may take as they are
	// kept: what a record holds of one header.
	maxTagBytes = 8 << 10
)

type tag struct{ key, value string }

type taggingXML struct {
	XMLName   xml.Name `xml:"Tagging"`
	Namespace string   `xml:"xmlns,attr"`
	TagSet    struct{ Tag []tagXML }
}

type tagXML struct{ Key, Value text }

// getTags answers with an object's tags.
func (g *Gateway) getTags(r *request) error {
	o, err := g.c.Store.Stat(r.Context(), r.key)
	if err != nil {
		return err
	}
	tags, err := decodeTags(o.Header[store.TagsHeader])
	if err != nil {
		return err
	}
	out := taggingXML{Namespace: s3Namespace}
	for _, t := range tags {
		out.TagSet.Tag = append(out.TagSet.Tag, tagXML{escapeText(t.key), escapeText(t.value)})
	}
	r.writeXML(http.StatusOK, out)
	return nil
}

// putTags replaces an object's tags.
func (g *Gateway) putTags(r *request) error {
	document, err := g.readDocument(r)
	if err != nil {
		return err
	}
	tags, err := parseTagging(document)
	if err != nil {
		return err
	}
	if err := g.c.Store.SetTags(r.Context(), r.key, tags); err != nil {
		return err
	}
	r.writeEmpty(http.StatusOK)
	return nil
}

// deleteTags takes all tags off an object.
func (g *Gateway) deleteTags(r *request) error {
	if err := g.c.Store.SetTags(r.Context(), r.key, ""); err != nil {
		return err
	}
	r.w.WriteHeader(http.StatusNoContent)
	return nil
}

// parseTagging reads a Tagging document and returns its tags as they are kept.
func parseTagging(document []byte) (string, error) {
	var in struct {
		TagSet *struct {
			Tag []struct{ Key, Value *string }
		}
	}
	if err := parseXML(document, "Tagging", &in); err != nil {
		return "", err
	}
	if in.TagSet == nil {
		return "", fail(codeMalformedXML, "the Tagging has no TagSet")
	}
	var tags []tag
	for _, t := range in.TagSet.Tag {
		if t.Key == nil || t.Value == nil {
			return "", fail(codeMalformedXML, "a Tag has no Key or no Value")
		}
		tags = append(tags, tag{*t.Key, *t.Value})
	}
	return encodeTags(tags)
}

// headerTags returns the tags that come with an object in x-amz-tagging, as
// they are kept.
func headerTags(h http.Header) (string, error) {
	values := h[store.TagsHeader]
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return "", nil
	}
	tags, err := decodeTags(strings.Join(values, "&"))
	if err != nil {
		return "", fail(codeInvalidArgument, "x-amz-tagging is not URL-encoded: %v", err)
	}
	return encodeTags(tags)
}

// decodeTags reads tags as they are sent in a header and kept: a query.
func decodeTags(s string) ([]tag, error) {
	pairs, err := parseQuery(s)
	if err != nil {
		return nil, err
	}
	var tags []tag
	for _, p := range pairs {
		tags = append(tags, tag{p.name, p.value})
	}
	return tags, nil
}

// encodeTags checks tags and writes them as a query. Only what would not be
// read back is escaped, so that ten full tags of most languages have room.
func encodeTags(tags []tag) (string, error) {
	if len(tags) > maxTags {
		return "", fail(codeInvalidTag, "there are %d tags, an object has at most %d", len(tags), maxTags)
	}
	var b strings.Builder
	seen := make(map[string]bool, len(tags))
	for i, t := range tags {
		if err := t.check(); err != nil {
			return "", err
		}
		if seen[t.key] {
			return "", fail(codeInvalidTag, "the tag %q is there more than once", t.key)
		}
		seen[t.key] = true
		if i > 0 {
			b.WriteByte('&')
		}
		tagEscaper.WriteString(&b, t.key) // a Builder takes everything
		b.WriteByte('=')
		tagEscaper.WriteString(&b, t.value)
	}
	if b.Len() > maxTagBytes {
		return "", fail(codeInvalidTag, "the tags take %d bytes, at most %d are kept", b.Len(), maxTagBytes)
	}
	return b.String(), nil
}

var tagEscaper = strings.NewReplacer("%", "%25", "&", "%26", "=", "%3D", "+", "%2B", ";", "%3B")

func (t tag) check() error {
	for _, s := range []string{t.key, t.value} {
		if !utf8.ValidString(s) || strings.IndexFunc(s, unspeakable) >= 0 {
			return fail(codeInvalidTag, "the tag %q is not UTF-8 without control characters", t.key)
		}
	}
	switch n, v := utf8.RuneCountInString(t.key), utf8.RuneCountInString(t.value); {
	case n == 0 || n > maxTagKey:
		return fail(codeInvalidTag, "a tag's key has %d characters, 1 to %d are allowed", n, maxTagKey)
	case v > maxTagValue:
		return fail(codeInvalidTag, "the value of tag %q has %d characters, at most %d are allowed", t.key, v, maxTagValue)
	case strings.HasPrefix(t.key, "aws:"):
		return fail(codeInvalidTag, "the tag %q begins with aws:, which is reserved", t.key)
	}
	return nil
}
