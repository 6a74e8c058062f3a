package gateway

import (
	"encoding/xml"
	"fmt"
	"testing"

	"github.com/cairn-storage/cairn"
)

// inParts makes private/object one that was uploaded in parts of these sizes.
func (r *rig) inParts(object string, sizes ...int64) {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	k := cairn.Key{Bucket: "private", Object: object}
	o := r.store.objects[k]
	o.Parts = sizes
	r.store.objects[k] = o
}

type attributesAnswer struct {
	XMLName     xml.Name
	ETag        *string
	Checksum    *struct{ ChecksumCRC32, ChecksumType string }
	ObjectParts *struct {
		PartsCount, PartNumberMarker, NextPartNumberMarker, MaxParts int
		IsTruncated                                                  bool
		Part                                                         []struct{ PartNumber, Size int }
	}
	StorageClass *string
	ObjectSize   *int64
}

func (r *rig) attributes(path string, header ...string) (x attributesAnswer) {
	r.t.Helper()
	a := r.expect(call{method: "GET", path: path + "?attributes", header: header}, 200, "")
	if err := xml.Unmarshal([]byte(a.body), &x); err != nil || x.XMLName.Local != "GetObjectAttributesResponse" || a.Header.Get("Last-Modified") == "" {
		r.t.Fatalf("%v in %s", err, a.body)
	}
	return x
}

func TestAttributesOfAnObject(t *testing.T) {
	r := newRig(t)
	r.expect(call{method: "PUT", path: "/private/k", body: content, header: []string{"X-Amz-Checksum-Crc32", sumOf("crc32", content)}}, 200, "")
	const all = "ETag,Checksum, ObjectParts,StorageClass,ObjectSize"
	x := r.attributes("/private/k", "X-Amz-Object-Attributes", all)
	if *x.ETag != md5Hex(content) || x.Checksum == nil || x.Checksum.ChecksumCRC32 != sumOf("crc32", content) || x.Checksum.ChecksumType != "FULL_OBJECT" ||
		x.ObjectParts != nil || *x.StorageClass != "STANDARD" || *x.ObjectSize != int64(len(content)) {
		t.Errorf("%+v", x)
	}
	x = r.attributes("/private/k", "X-Amz-Object-Attributes", "ObjectSize", "X-Amz-Object-Attributes", "StorageClass")
	if x.ETag != nil || x.Checksum != nil || *x.StorageClass != "STANDARD" || *x.ObjectSize != int64(len(content)) {
		t.Errorf("%+v", x)
	}
	r.put("private", "empty", "")
	if x = r.attributes("/private/empty", "X-Amz-Object-Attributes", "ObjectSize"); x.ObjectSize == nil || *x.ObjectSize != 0 {
		t.Errorf("%+v", x)
	}
	r.inParts("k", 20, 20, 3)
	for _, c := range []struct{ max, marker, parts, next string }{
		{"", "", "[{1 20} {2 20} {3 3}] false", "3"},
		{"2", "", "[{1 20} {2 20}] true", "2"},
		{"2", "2", "[{3 3}] false", "3"},
		{"", "3", "[] false", "3"},
		{"", "99999", "[] false", "99999"},
		{"0", "", "[] false", "0"},
	} {
		p := r.attributes("/private/k", "X-Amz-Object-Attributes", all, "X-Amz-Max-Parts", c.max, "X-Amz-Part-Number-Marker", c.marker).ObjectParts
		if p == nil || fmt.Sprint(p.Part, p.IsTruncated) != c.parts || p.PartsCount != 3 || fmt.Sprint(p.NextPartNumberMarker) != c.next {
			t.Errorf("%+v: %+v", c, p)
		}
	}
	for _, header := range [][]string{{}, {"X-Amz-Object-Attributes", "Color"}, {"X-Amz-Object-Attributes", "ETag", "X-Amz-Max-Parts", "x"},
		{"X-Amz-Object-Attributes", "ETag", "X-Amz-Part-Number-Marker", "-1"}} {
		r.expect(call{method: "GET", path: "/private/k?attributes", header: header}, 400, "InvalidArgument")
	}
	r.expect(call{method: "GET", path: "/private/none?attributes", header: []string{"X-Amz-Object-Attributes", "ETag"}}, 404, "NoSuchKey")
	r.put("public", "k", content)
	r.expect(call{method: "GET", path: "/public/k?attributes", header: []string{"X-Amz-Object-Attributes", "ETag"}, as: "-"}, 403, "AccessDenied")
}

func TestOnePartOfAnObject(t *testing.T) {
	r := newRig(t)
	r.put("private", "parts", content)
	r.inParts("parts", 20, 20, 3, 0)
	r.expect(call{method: "PUT", path: "/private/whole", body: content, header: []string{"X-Amz-Checksum-Crc32", sumOf("crc32", content)}}, 200, "")
	r.put("private", "empty", "")
	for _, c := range []struct {
		path, number string
		status       int
		code         string
		body, ranged string
		count        string
	}{
		{"parts", "1", 206, "", content[:20], "bytes 0-19/43", "4"},
		{"parts", "2", 206, "", content[20:40], "bytes 20-39/43", "4"},
		{"parts", "3", 206, "", content[40:], "bytes 40-42/43", "4"},
		{"parts", "4", 206, "", "", "", "4"},
		{"parts", "5", 416, "InvalidPartNumber", "", "", ""},
		{"parts", "0", 400, "InvalidArgument", "", "", ""},
		{"parts", "10001", 400, "InvalidArgument", "", "", ""},
		{"parts", "-1", 400, "InvalidArgument", "", "", ""},
		{"parts", "x", 400, "InvalidArgument", "", "", ""},
		{"whole", "1", 206, "", content, "bytes 0-42/43", ""},
		{"whole", "2", 416, "InvalidPartNumber", "", "", ""},
		{"empty", "1", 206, "", "", "", ""},
		{"none", "1", 404, "NoSuchKey", "", "", ""},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			body, code := c.body, c.code
			if method == "HEAD" {
				body, code = "", ""
			}
			a := r.expect(call{method: method, path: "/private/" + c.path + "?partNumber=" + c.number, header: []string{"X-Amz-Checksum-Mode", "ENABLED"}}, c.status, code)
			if c.status != 206 {
				continue
			}
			h := a.Header
			if a.body != body || a.ContentLength != int64(len(c.body)) || h.Get("Content-Range") != c.ranged || h.Get("X-Amz-Mp-Parts-Count") != c.count {
				t.Errorf("%s %s %s: %q %v", method, c.path, c.number, a.body, h)
			}
			if whole := c.path == "whole"; (h.Get("X-Amz-Checksum-Crc32") != "") != whole {
				t.Errorf("%s %s %s: the checksum of the whole: %v", method, c.path, c.number, h)
			}
		}
	}
	for _, method := range []string{"GET", "HEAD"} {
		code := "InvalidRequest"
		if method == "HEAD" {
			code = ""
		}
		r.expect(call{method: method, path: "/private/parts?partNumber=1", header: []string{"Range", "bytes=0-1"}}, 400, code)
	}
	r.expect(call{method: "GET", path: "/private/parts?partNumber=1", header: []string{"If-None-Match", "*"}}, 304, "")
	if h := r.expect(call{method: "GET", path: "/private/parts"}, 200, "").Header; h.Get("X-Amz-Mp-Parts-Count") != "" {
		t.Errorf("%v", h)
	}
	r.idle()
}
