package gateway

import (
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// copyOf is a CopyObject as writer.
func copyOf(source, to string, header ...string) call {
	return call{method: "PUT", path: to, header: append([]string{"X-Amz-Copy-Source", source}, header...)}
}

func TestACopyHasWhatTheSourceHas(t *testing.T) {
	r := newRig(t)
	at := time.Date(2026, 3, 4, 5, 6, 7, 890e6, time.UTC)
	r.expect(call{method: "PUT", path: "/private/from", body: content, header: []string{
		"Content-Type", "text/plain", "X-Amz-Meta-A", "b", "X-Amz-Tagging", "t=1", "X-Amz-Checksum-Crc32", sumOf("crc32", content)}}, 200, "")
	r.store.clock = at
	a := r.expect(copyOf("/private/from", "/private/to"), 200, "")
	var got struct {
		XMLName                                         xml.Name
		ETag, LastModified, ChecksumCRC32, ChecksumType string
	}
	if err := xml.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err)
	}
	if got.XMLName.Local != "CopyObjectResult" || got.ETag != quote(md5Hex(content)) || got.LastModified != "2026-03-04T05:06:07.890Z" ||
		got.ChecksumCRC32 != sumOf("crc32", content) || got.ChecksumType != "FULL_OBJECT" {
		t.Errorf("%s", a.body)
	}
	h := r.expect(call{method: "GET", path: "/private/to"}, 200, "")
	if h.body != content || h.Header.Get("Content-Type") != "text/plain" || h.Header.Get("X-Amz-Meta-A") != "b" || h.Header.Get("X-Amz-Tagging-Count") != "1" {
		t.Errorf("%q %v", h.body, h.Header)
	}
	if h.Header.Get("X-Amz-Tagging") != "" {
		t.Error("the tags came as a header")
	}
	if r.store.puts != 1 || r.store.copies != 1 {
		t.Errorf("%d puts, %d copies: bytes were read for nothing", r.store.puts, r.store.copies)
	}
	r.idle()
}

func TestDirectivesOfACopy(t *testing.T) {
	for _, c := range []struct {
		name   string
		header []string
		kind   string // Content-Type
		meta   string
		tags   string
	}{
		{"nothing said", []string{"Content-Type", "x/y", "X-Amz-Meta-A", "new"}, "text/plain", "old", "t=1"},
		{"copied", []string{"X-Amz-Metadata-Directive", "COPY", "X-Amz-Tagging-Directive", "COPY"}, "text/plain", "old", "t=1"},
		{"metadata replaced", []string{"X-Amz-Metadata-Directive", "REPLACE", "Content-Type", "x/y", "X-Amz-Meta-A", "new"}, "x/y", "new", "t=1"},
		{"metadata replaced by none", []string{"X-Amz-Metadata-Directive", "REPLACE"}, defaultType, "", "t=1"},
		{"tags replaced", []string{"X-Amz-Tagging-Directive", "REPLACE", "X-Amz-Tagging", "u=2"}, "text/plain", "old", "u=2"},
		{"tags replaced by none", []string{"X-Amz-Tagging-Directive", "REPLACE"}, "text/plain", "old", ""},
		{"both replaced", []string{"X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Tagging-Directive", "REPLACE", "X-Amz-Tagging", "u=2", "X-Amz-Meta-A", "new"}, defaultType, "new", "u=2"},
	} {
		for _, computed := range []bool{false, true} { // by a copy, and by a read and a write
			t.Run(fmt.Sprint(c.name, " ", computed), func(t *testing.T) {
				r := newRig(t)
				r.expect(call{method: "PUT", path: "/private/from", body: content, header: []string{"Content-Type", "text/plain", "X-Amz-Meta-A", "old", "X-Amz-Tagging", "t=1"}}, 200, "")
				header := c.header
				if computed {
					header = append([]string{"X-Amz-Checksum-Algorithm", "SHA256"}, header...)
				}
				r.expect(copyOf("/private/from", "/private/to", header...), 200, "")
				h := r.expect(call{method: "HEAD", path: "/private/to"}, 200, "").Header
				o, _ := r.stored("to")
				if h.Get("Content-Type") != c.kind || h.Get("X-Amz-Meta-A") != c.meta || o.Header[store.TagsHeader] != c.tags || string(o.content) != content {
					t.Errorf("%v, tags %q", h, o.Header[store.TagsHeader])
				}
				from, _ := r.stored("from")
				if want := map[string]string{"Content-Type": "text/plain", store.TagsHeader: "t=1"}; !maps.Equal(from.Header, want) {
					t.Errorf("the source became %v", from.Header)
				}
				r.idle()
			})
		}
	}
}

func TestConditionsOfACopy(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 890e6, time.UTC)
	then := func(d time.Duration) string { return at.Add(d).Format(http.TimeFormat) }
	tag, other := quote(md5Hex(content)), quote(md5Hex("else"))
	const pre = "X-Amz-Copy-Source-If-"
	for _, c := range []struct {
		name   string
		header []string
		status int
		code   string
	}{
		{"match hit", []string{pre + "Match", tag}, 200, ""},
		{"match without quotes", []string{pre + "Match", md5Hex(content)}, 200, ""},
		{"match miss", []string{pre + "Match", other}, 412, "PreconditionFailed"},
		{"none match hit", []string{pre + "None-Match", tag}, 412, "PreconditionFailed"},
		{"none match miss", []string{pre + "None-Match", other}, 200, ""},
		{"modified since before", []string{pre + "Modified-Since", then(-time.Hour)}, 200, ""},
		{"modified since then", []string{pre + "Modified-Since", then(0)}, 412, "PreconditionFailed"},
		{"unmodified since then", []string{pre + "Unmodified-Since", then(0)}, 200, ""},
		{"unmodified since before", []string{pre + "Unmodified-Since", then(-time.Hour)}, 412, "PreconditionFailed"},
		{"match wins over unmodified since", []string{pre + "Match", tag, pre + "Unmodified-Since", then(-time.Hour)}, 200, ""},
		{"none match fails whatever modified since", []string{pre + "None-Match", tag, pre + "Modified-Since", then(-time.Hour)}, 412, "PreconditionFailed"},
		{"a match that cannot be read", []string{pre + "Match", `"`}, 400, "InvalidArgument"},
		{"a date that cannot be read", []string{pre + "Modified-Since", "soon"}, 400, "InvalidArgument"},
		{"destination must not be there, is not", []string{"If-None-Match", "*"}, 200, ""},
		{"destination must be there, is not", []string{"If-Match", other}, 404, "NoSuchKey"},
	} {
		for _, computed := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, " ", computed), func(t *testing.T) {
				r := newRig(t)
				r.store.clock = at
				r.put("private", "from", content)
				header := c.header
				if computed {
					header = append([]string{"X-Amz-Checksum-Algorithm", "CRC32C"}, header...)
				}
				r.expect(copyOf("private/from", "/private/to", header...), c.status, c.code)
				if _, ok := r.stored("to"); ok != (c.status == 200) {
					t.Errorf("the copy is there: %v", ok)
				}
				r.idle()
			})
		}
	}
	r := newRig(t)
	r.put("private", "from", content)
	r.put("private", "to", "else")
	r.expect(copyOf("/private/from", "/private/to", "If-None-Match", "*"), 412, "PreconditionFailed")
	r.expect(copyOf("/private/from", "/private/to", "If-Match", tag), 412, "PreconditionFailed")
	r.expect(copyOf("/private/from", "/private/to", "If-Match", other), 200, "")
}

func TestACopyWithAnotherChecksumReadsTheBytes(t *testing.T) {
	r := newRig(t)
	r.expect(call{method: "PUT", path: "/private/from", body: content, header: []string{"X-Amz-Checksum-Crc32", sumOf("crc32", content)}}, 200, "")
	for _, c := range []struct {
		algorithm string
		copies    int
		element   string
	}{{"CRC32", 1, "ChecksumCRC32"}, {"SHA256", 0, "ChecksumSHA256"}, {"sha1", 0, "ChecksumSHA1"}, {"CRC64NVME", 0, "ChecksumCRC64NVME"}} {
		r.store.copies = 0
		a := r.expect(copyOf("/private/from", "/private/to", "X-Amz-Checksum-Algorithm", c.algorithm), 200, "")
		name := "x-amz-checksum-" + strings.ToLower(c.algorithm)
		want := sumOf(strings.ToLower(c.algorithm), content)
		if !strings.Contains(a.body, "<"+c.element+">"+escapeText(want).Escaped) || r.store.copies != c.copies {
			t.Errorf("%s: %d copies, %s", c.algorithm, r.store.copies, a.body)
		}
		h := r.expect(call{method: "GET", path: "/private/to", header: []string{"X-Amz-Checksum-Mode", "ENABLED"}}, 200, "")
		if h.Header.Get(name) != want || h.body != content {
			t.Errorf("%s: %v", c.algorithm, h.Header)
		}
	}
	r.put("private", "empty", "")
	r.expect(copyOf("/private/empty", "/private/to", "X-Amz-Checksum-Algorithm", "SHA256"), 200, "")
	r.expect(copyOf("/private/from", "/private/to", "X-Amz-Checksum-Algorithm", "MD4"), 400, "InvalidRequest")

	r.store.ranged = func(c io.ReadCloser) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(io.LimitReader(c, 5), iotest.ErrReader(cairn.ErrUnavailable))), nil
	}
	r.expect(copyOf("/private/from", "/private/torn", "X-Amz-Checksum-Algorithm", "SHA256"), 503, "ServiceUnavailable")
	if _, ok := r.stored("torn"); ok {
		t.Error("a torn read was stored")
	}
	r.idle()
}

func TestSourcesOfACopy(t *testing.T) {
	r := newRig(t)
	r.store.access["copier"] = store.Access{ID: "copier", Secret: "secret of copier",
		Grants: []store.Grant{{Bucket: "private", Level: store.Write}, {Bucket: "readable", Level: store.Read}}}
	for _, b := range []string{"readable", "closed"} {
		r.store.buckets[b] = store.Bucket{Name: b}
		r.put(b, "k", content)
	}
	odd := "a b+c%/é?x=1&y\x01"
	r.put("private", odd, content)
	r.put("private", "k", content)
	for _, c := range []struct {
		source string
		status int
		code   string
	}{
		{"/readable/k", 200, ""},
		{"readable/k", 200, ""},
		{"readable%2Fk", 200, ""},
		{"/readable/k?versionId=null", 200, ""},
		{"/private/" + url.PathEscape(odd), 200, ""},
		{"/private/" + awsEscape(odd, true), 200, ""},
		{"/closed/k", 403, "AccessDenied"},
		{"/missing-bucket/k", 403, "AccessDenied"},
		{"/readable/none", 404, "NoSuchKey"},
		{"/readable/k?versionId=7", 501, "NotImplemented"},
		{"/private/k?x=1", 400, "InvalidArgument"},
		{"/private/%zz", 400, "InvalidArgument"},
		{"/private/%ff", 400, "InvalidArgument"},
		{"/private/", 400, "InvalidArgument"},
		{"/private", 400, "InvalidArgument"},
		{"//k", 400, "InvalidArgument"},
		{"/private/" + strings.Repeat("k", 1025), 400, "InvalidArgument"},
		{"/No/k", 400, "InvalidArgument"},
	} {
		to := "/private/to-" + fmt.Sprint(len(r.store.objects))
		k := copyOf(c.source, to)
		k.as = "copier"
		r.expect(k, c.status, c.code)
		if o, ok := r.stored(to[len("/private/"):]); ok != (c.status == 200) || ok && string(o.content) != content {
			t.Errorf("%s: the copy is there: %v", c.source, ok)
		}
	}
	admin := copyOf("/missing-bucket/k", "/private/to")
	admin.as = "admin"
	r.expect(admin, 404, "NoSuchBucket")
	reader := copyOf("/private/k", "/private/to")
	reader.as = "reader"
	r.expect(reader, 403, "AccessDenied")
	body := copyOf("/private/k", "/private/to")
	body.body = "bytes"
	r.expect(body, 400, "InvalidRequest")
	r.expect(copyOf("/private/k", "/private/to", "X-Amz-Metadata-Directive", "MERGE"), 400, "InvalidArgument")
	r.expect(copyOf("/private/k", "/private/to", "X-Amz-Tagging-Directive", "x"), 400, "InvalidArgument")
	r.expect(copyOf("/private/k", "/private/to", "X-Amz-Tagging", "a=b"), 400, "InvalidArgument")
	r.expect(copyOf("/private/k", "/private/k"), 400, "InvalidRequest")
	r.expect(copyOf("/private/k", "/private/k", "X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Meta-New", "1"), 200, "")
	if o, _ := r.stored("k"); o.Meta["new"] != "1" || string(o.content) != content {
		t.Errorf("%+v", o.Object)
	}
	r.idle()
}

func FuzzCopySource(f *testing.F) {
	for _, s := range []string{"/bucket/key", "bucket/a%20b?versionId=null", "%2Fbucket%2Fkey", "arn:aws:s3", "bucket/%", "//", "?versionId=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, v string) {
		k, err := parseCopySource(v)
		if err != nil {
			if f := classify(err, false); f.code.status != 400 && f.code.status != 501 {
				t.Fatalf("%q: %v", v, err)
			}
			return
		}
		if err := k.Check(); err != nil {
			t.Fatalf("%q names %q: %v", v, k, err)
		}
		again, err := parseCopySource("/" + k.Bucket + "/" + awsEscape(k.Object, true) + "?versionId=null")
		if err != nil || again != k {
			t.Fatalf("%q is %q, encoded again %q, %v", v, k, again, err)
		}
	})
}
