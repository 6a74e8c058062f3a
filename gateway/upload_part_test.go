package gateway

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// partOf is what the store holds of u's part, "" when there is none.
func (u upload) partOf(number int) (memPart, bool) {
	u.r.store.mu.Lock()
	defer u.r.store.mu.Unlock()
	p, ok := u.r.store.uploads[u.id].parts[number]
	return p, ok
}

func TestPartsInEveryMode(t *testing.T) {
	r := newRig(t)
	body := strings.Repeat("0123456789", 7_000)
	for _, own := range []string{"", "crc32", "sha256"} {
		header := []string{}
		if own != "" {
			header = append(header, "X-Amz-Checksum-Algorithm", own)
		}
		for _, mode := range []string{modeSigned, modeAbsent, modeUnsigned, modeChained, modeChainedTrailer, modeUnsignedTrailer} {
			for _, sum := range []string{"", "crc32", "sha256"} {
				trailing := strings.HasSuffix(mode, "TRAILER")
				if sum == "" && trailing || sum != "" && own != "" && sum != own {
					continue
				}
				t.Run(own+"/"+mode+"/"+sum, func(t *testing.T) {
					r.t = t
					u := r.begin(header...)
					c := u.part(10_000, body, "Content-MD5", md5Base64(body))
					c.mode, c.chunk = mode, 64<<10
					if trailing {
						c.header = append(c.header, "X-Amz-Trailer", checksumPrefix+sum)
						c.trailer = []string{checksumPrefix + sum + ":" + sumOf(sum, body)}
					} else if sum != "" {
						c.header = append(c.header, checksumPrefix+sum, sumOf(sum, body))
					}
					a := r.expect(c, 200, "")
					p, _ := u.partOf(10_000)
					if string(p.content) != body || a.Header.Get("ETag") != quote(md5Hex(body)) {
						t.Errorf("%d bytes, %v", len(p.content), a.Header)
					}
					kept := sum
					if kept == "" {
						kept = own
					}
					if kept == "" {
						return
					}
					if want := sumOf(kept, body); a.Header.Get(checksumPrefix+kept) != want || len(p.Checksum) != 1 || p.Checksum[0].Value != want {
						t.Errorf("%v, stored %v, want %s", a.Header, p.Checksum, want)
					}
				})
			}
		}
	}
	r.t = t
	r.idle()
}

// The store may stop reading at the announced size.
func TestAPartReadByLengthHasItsChecksum(t *testing.T) {
	r := newRig(t)
	r.store.byLength = true
	r.put("private", "source", content)
	u := r.begin("X-Amz-Checksum-Algorithm", "SHA1")
	r.expect(u.part(1, content), 200, "")
	r.expect(u.part(2, "", "X-Amz-Copy-Source", "/private/source"), 200, "")
	for n := 1; n <= 2; n++ {
		if p, _ := u.partOf(n); len(p.Checksum) != 1 || p.Checksum[0].Value != sumOf("sha1", content) {
			t.Errorf("part %d: %v", n, p.Checksum)
		}
	}
}

func TestWrongPartsAreRefused(t *testing.T) {
	r := newRig(t)
	at := func(query string) func(*call, upload) {
		return func(c *call, u upload) { c.path = "/private/k?" + strings.ReplaceAll(query, "ID", u.id) }
	}
	flip := func(c *call, _ upload) {
		c.after = func(_ *http.Request, wire *[]byte) { (*wire)[len(*wire)/2] ^= 1 }
	}
	for _, c := range []struct {
		name   string
		edit   func(*call, upload)
		header []string
		status int
		code   string
	}{
		{"part 0", at("partNumber=0&uploadId=ID"), nil, 400, "InvalidArgument"},
		{"part -1", at("partNumber=-1&uploadId=ID"), nil, 400, "InvalidArgument"},
		{"part 10001", at("partNumber=10001&uploadId=ID"), nil, 400, "InvalidArgument"},
		{"part one", at("partNumber=one&uploadId=ID"), nil, 400, "InvalidArgument"},
		{"no number", at("uploadId=ID"), nil, 400, "InvalidArgument"},
		{"no upload", at("partNumber=1&uploadId=" + strings.Repeat("f", 32)), nil, 404, "NoSuchUpload"},
		{"an id that is none", at("partNumber=1&uploadId=../x"), nil, 404, "NoSuchUpload"},
		{"another key", func(c *call, u upload) { c.path = "/private/l?partNumber=1&uploadId=" + u.id }, nil, 404, "NoSuchUpload"},
		{"a wrong MD5", nil, []string{"Content-MD5", md5Base64("x")}, 400, "BadDigest"},
		{"an MD5 that is none", nil, []string{"Content-MD5", "x"}, 400, "InvalidDigest"},
		{"a wrong CRC32", nil, []string{"x-amz-checksum-crc32", sumOf("crc32", "x")}, 400, "BadDigest"},
		{"another algorithm", nil, []string{"x-amz-checksum-sha256", sumOf("sha256", content)}, 400, "InvalidRequest"},
		{"two checksums", nil, []string{"x-amz-checksum-sha256", sumOf("sha256", content), "x-amz-checksum-crc32", sumOf("crc32", content)}, 400, "InvalidRequest"},
		{"a changed body", func(c *call, u upload) { c.mode = modeSigned; flip(c, u) }, nil, 400, "XAmzContentSHA256Mismatch"},
		{"a changed encoded body", func(c *call, u upload) {
			c.mode, c.chunk = modeChained, 16
			c.after = func(_ *http.Request, wire *[]byte) {
				*wire = []byte(strings.Replace(string(*wire), "quick", "quack", 1))
			}
		}, nil, 403, "SignatureDoesNotMatch"},
		{"over 5 GiB", func(c *call, _ upload) {
			c.mode, c.chunk = modeChained, 64<<10
			c.before = func(req *http.Request) { req.Header.Set("X-Amz-Decoded-Content-Length", fmt.Sprint(MaxObject+1)) }
		}, nil, 400, "EntityTooLarge"},
		{"a key that may only read", func(c *call, _ upload) { c.as = "reader" }, nil, 403, "AccessDenied"},
		{"the public", func(c *call, _ upload) { c.as = "-" }, nil, 403, "AccessDenied"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.t = t
			u := r.begin("X-Amz-Checksum-Algorithm", "CRC32")
			r.expect(u.part(1, "before"), 200, "")
			ask := u.part(1, content, c.header...)
			if c.edit != nil {
				c.edit(&ask, u)
			}
			r.expect(ask, c.status, c.code)
			if p, _ := u.partOf(1); string(p.content) != "before" || len(r.store.uploads[u.id].parts) != 1 {
				t.Errorf("the part is %q now", p.content)
			}
		})
	}
	r.t = t
	r.idle()
}

// A part of an upload without an algorithm may come with any checksum.
func TestAPartMayBringAChecksumOfItsOwn(t *testing.T) {
	r := newRig(t)
	u := r.begin()
	a := r.expect(u.part(1, content, "x-amz-checksum-crc32c", sumOf("crc32c", content)), 200, "")
	if a.Header.Get("x-amz-checksum-crc32c") != sumOf("crc32c", content) {
		t.Errorf("%v", a.Header)
	}
	p := listedAs(1, content)
	p.sum = cairn.Checksum{Algorithm: "CRC32C", Value: sumOf("crc32c", content)}
	r.expect(u.complete(listXMLOf([]listedPart{p})), 200, "")
	if o, _ := r.stored("k"); len(o.Checksum) != 0 {
		t.Errorf("the object has %v", o.Checksum)
	}
}

func TestUploadPartCopy(t *testing.T) {
	r := newRig(t)
	source := r.put("private", "a source", content)
	r.put("private", "empty", "")
	r.put("public", "else", content)
	r.store.buckets["closed"] = store.Bucket{Name: "closed"}
	r.put("closed", "k", content)
	r.store.mu.Lock()
	r.store.objects[cairn.Key{Bucket: "private", Object: "huge"}] = memObject{Object: cairn.Object{Size: MaxObject + 1}}
	r.store.mu.Unlock()
	size := len(content)
	const own = "/private/a%20source"
	for _, c := range []struct {
		name, source string
		header       []string
		status       int
		code, want   string
	}{
		{"all of it", own, nil, 200, "", content},
		{"without the slash", own[1:], nil, 200, "", content},
		{"another bucket", "/public/else", nil, 200, "", content},
		{"an empty source", "/private/empty", nil, 200, "", ""},
		{"a range", own, []string{"bytes=4-8"}, 200, "", content[4:9]},
		{"one byte", own, []string{"bytes=0-0"}, 200, "", content[:1]},
		{"the whole as a range", own, []string{fmt.Sprintf("bytes=0-%d", size-1)}, 200, "", content},
		{"a range beyond the end", own, []string{fmt.Sprintf("bytes=0-%d", size)}, 416, "InvalidRange", ""},
		{"a range after the end", own, []string{"bytes=100-200"}, 416, "InvalidRange", ""},
		{"a range of an empty source", "/private/empty", []string{"bytes=0-0"}, 416, "InvalidRange", ""},
		{"an open range", own, []string{"bytes=4-"}, 400, "InvalidArgument", ""},
		{"a suffix", own, []string{"bytes=-4"}, 400, "InvalidArgument", ""},
		{"a range backwards", own, []string{"bytes=8-4"}, 400, "InvalidArgument", ""},
		{"two ranges", own, []string{"bytes=0-1,3-4"}, 400, "InvalidArgument", ""},
		{"no unit", own, []string{"0-1"}, 400, "InvalidArgument", ""},
		{"a huge source", "/private/huge", nil, 400, "InvalidRequest", ""},
		{"a source that is not there", "/private/absent", nil, 404, "NoSuchKey", ""},
		{"a bucket that may not be read", "/closed/k", nil, 403, "AccessDenied", ""},
		{"a source that is none", "private", nil, 400, "InvalidArgument", ""},
		{"If-Match that holds", own, []string{"", "X-Amz-Copy-Source-If-Match", quote(source.ETag)}, 200, "", content},
		{"If-Match that does not", own, []string{"", "X-Amz-Copy-Source-If-Match", `"x"`}, 412, "PreconditionFailed", ""},
		{"If-None-Match", own, []string{"", "X-Amz-Copy-Source-If-None-Match", quote(source.ETag)}, 412, "PreconditionFailed", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.t = t
			u := r.begin("X-Amz-Checksum-Algorithm", "CRC32C")
			ask := u.part(3, "", "X-Amz-Copy-Source", c.source)
			ask.mode = modeSigned
			if len(c.header) > 0 {
				if c.header[0] != "" {
					ask.header = append(ask.header, "X-Amz-Copy-Source-Range", c.header[0])
				}
				ask.header = append(ask.header, c.header[1:]...)
			}
			a := r.expect(ask, c.status, c.code)
			p, ok := u.partOf(3)
			if ok != (c.status == 200) || string(p.content) != c.want {
				t.Fatalf("part %v: %q", ok, p.content)
			}
			if c.status != 200 {
				return
			}
			var out struct {
				XMLName            xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyPartResult"`
				LastModified, ETag string
				checksumsXML
			}
			if err := xml.Unmarshal([]byte(a.body), &out); err != nil || out.ETag != quote(md5Hex(c.want)) || out.LastModified == "" ||
				out.ChecksumCRC32C != sumOf("crc32c", c.want) || p.Checksum[0].Value != out.ChecksumCRC32C {
				t.Errorf("%v %s", err, a.body)
			}
		})
	}
	r.t = t
	u := r.begin()
	r.expect(u.part(0, "", "X-Amz-Copy-Source", own), 400, "InvalidArgument")
	r.expect(u.part(1, "a body", "X-Amz-Copy-Source", own), 400, "InvalidRequest")
	gone := u.part(1, "", "X-Amz-Copy-Source", own)
	gone.path = strings.Replace(gone.path, u.id, strings.Repeat("a", 32), 1)
	r.expect(gone, 404, "NoSuchUpload")
	r.idle()
}

// A source that breaks, or ends too early, makes no part.
func TestUploadPartCopyOfABrokenSource(t *testing.T) {
	r := newRig(t)
	r.put("private", "source", content)
	for name, broken := range map[string]func(io.ReadCloser) (io.ReadCloser, error){
		"at once": func(io.ReadCloser) (io.ReadCloser, error) { return nil, cairn.ErrLost },
		"later": func(c io.ReadCloser) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(io.LimitReader(c, 5), failingReader{})), nil
		},
		"cleanly": func(c io.ReadCloser) (io.ReadCloser, error) { return io.NopCloser(io.LimitReader(c, 5)), nil },
	} {
		u := r.begin()
		r.store.ranged = broken
		r.expect(u.part(1, "", "X-Amz-Copy-Source", "/private/source"), 500, "InternalError")
		if _, ok := u.partOf(1); ok {
			t.Errorf("%s: there is a part", name)
		}
	}
	r.idle()
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, cairn.ErrLost }
