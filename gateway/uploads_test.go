package gateway

import (
	"encoding/xml"
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"
)

type listedParts struct {
	XMLName                                          xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListPartsResult"`
	Bucket, Key, StorageClass                        string
	UploadID                                         string `xml:"UploadId"`
	PartNumberMarker, NextPartNumberMarker, MaxParts int
	IsTruncated                                      bool
	Owner, Initiator                                 struct{ ID string }
	ChecksumAlgorithm, ChecksumType                  string
	Part                                             []struct {
		PartNumber         int
		LastModified, ETag string
		Size               int64
		checksumsXML
	}
}

func TestListParts(t *testing.T) {
	r := newRig(t)
	r.store.clock = time.Date(2026, 2, 3, 4, 5, 6, 789e6, time.UTC)
	u := r.begin("X-Amz-Checksum-Algorithm", "CRC32")
	list := func(query string) (out listedParts) {
		t.Helper()
		a := r.expect(call{method: "GET", path: "/private/k?uploadId=" + u.id + query, as: "reader"}, 200, "")
		if err := xml.Unmarshal([]byte(a.body), &out); err != nil {
			t.Fatalf("%v in %s", err, a.body)
		}
		return out
	}
	if l := list(""); len(l.Part) != 0 || l.IsTruncated || l.NextPartNumberMarker != 0 || l.MaxParts != 1000 {
		t.Errorf("without parts: %+v", l)
	}
	numbers := []int{1, 2, 5, 700, 10_000}
	for _, n := range numbers {
		r.expect(u.part(n, fmt.Sprint("part ", n)), 200, "")
	}
	l := list("")
	if l.Bucket != "private" || l.Key != "k" || l.UploadID != u.id || l.StorageClass != "STANDARD" || l.Owner.ID == "" || l.Initiator.ID == "" ||
		l.ChecksumAlgorithm != "CRC32" || l.ChecksumType != "COMPOSITE" || l.IsTruncated || len(l.Part) != 5 || l.NextPartNumberMarker != 10_000 {
		t.Errorf("%+v", l)
	}
	p := l.Part[3]
	if body := "part 700"; p.PartNumber != 700 || p.ETag != quote(md5Hex(body)) || p.Size != 8 || p.LastModified != "2026-02-03T04:05:06.789Z" ||
		p.ChecksumCRC32 != sumOf("crc32", body) || p.ChecksumType != "" {
		t.Errorf("%+v", p)
	}
	for size := 1; size <= 6; size++ {
		var got []int
		for marker, more := 0, true; more; {
			l := list(fmt.Sprintf("&max-parts=%d&part-number-marker=%d", size, marker))
			if l.PartNumberMarker != marker || l.MaxParts != size || len(l.Part) > size || l.IsTruncated && len(l.Part) != size {
				t.Fatalf("page of %d after %d: %+v", size, marker, l)
			}
			for _, p := range l.Part {
				got = append(got, p.PartNumber)
			}
			marker, more = l.NextPartNumberMarker, l.IsTruncated
		}
		if !slices.Equal(got, numbers) {
			t.Errorf("pages of %d join to %v", size, got)
		}
	}
	if l := list("&max-parts=0"); len(l.Part) != 0 || l.MaxParts != 0 || l.UploadID != u.id {
		t.Errorf("%+v", l)
	}
	if l := list("&max-parts=5000"); l.MaxParts != 1000 || len(l.Part) != 5 {
		t.Errorf("%+v", l)
	}
	for _, q := range []string{"max-parts=x", "max-parts=-1", "part-number-marker=x"} {
		r.expect(call{method: "GET", path: "/private/k?uploadId=" + u.id + "&" + q}, 400, "InvalidArgument")
	}
	for _, path := range []string{"/private/k?uploadId=x", "/private/l?uploadId=" + u.id, "/private/k?max-parts=0&uploadId=x"} {
		r.expect(call{method: "GET", path: path}, 404, "NoSuchUpload")
	}
	r.expect(call{method: "GET", path: "/private/k?uploadId=" + u.id, as: "nothing"}, 403, "AccessDenied")
}

type listedUploads struct {
	XMLName                          xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListMultipartUploadsResult"`
	Bucket, KeyMarker, NextKeyMarker string
	UploadIDMarker                   string `xml:"UploadIdMarker"`
	NextUploadIDMarker               string `xml:"NextUploadIdMarker"`
	Prefix, Delimiter, EncodingType  string
	MaxUploads                       int
	IsTruncated                      bool
	Upload                           []struct {
		Key, StorageClass, Initiated    string
		UploadID                        string `xml:"UploadId"`
		Owner, Initiator                struct{ ID string }
		ChecksumAlgorithm, ChecksumType string
	}
	CommonPrefixes []struct{ Prefix string }
}

func (l listedUploads) names() (names []string) {
	for _, u := range l.Upload {
		names = append(names, u.Key)
	}
	for _, p := range l.CommonPrefixes {
		names = append(names, p.Prefix)
	}
	slices.Sort(names)
	return names
}

func (r *rig) uploads(query string) (out listedUploads) {
	r.t.Helper()
	a := r.expect(call{method: "GET", path: "/private?uploads" + query, as: "reader"}, 200, "")
	if err := xml.Unmarshal([]byte(a.body), &out); err != nil {
		r.t.Fatalf("%v in %s", err, a.body)
	}
	return out
}

func TestListMultipartUploads(t *testing.T) {
	r := newRig(t)
	if l := r.uploads(""); l.Bucket != "private" || len(l.names()) != 0 || l.IsTruncated || l.MaxUploads != 1000 {
		t.Errorf("%+v", l)
	}
	keys := []string{"a", "b/1", "b/2", "b/2", "b/2", "c d+é", "d", "d"}
	r.store.clock = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	for _, k := range keys {
		r.store.clock = r.store.clock.Add(time.Millisecond)
		path := (&url.URL{Path: "/private/" + k}).EscapedPath()
		r.expect(call{method: "POST", path: path + "?uploads", header: []string{"X-Amz-Checksum-Algorithm", "CRC64NVME", "X-Amz-Meta-X", "y"}}, 200, "")
	}
	r.expect(call{method: "POST", path: "/public/other?uploads"}, 200, "")
	l := r.uploads("")
	if !slices.Equal(l.names(), keys) {
		t.Errorf("%v", l.names())
	}
	if u := l.Upload[0]; u.Key != "a" || len(u.UploadID) != 32 || u.Initiated != "2026-02-03T04:05:06.001Z" || u.StorageClass != "STANDARD" || u.Owner.ID == "" || u.Initiator.ID == "" ||
		u.ChecksumAlgorithm != "CRC64NVME" || u.ChecksumType != "FULL_OBJECT" {
		t.Errorf("%+v", u)
	}
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"&prefix=b", []string{"b/1", "b/2", "b/2", "b/2"}},
		{"&delimiter=/", []string{"a", "b/", "c d+é", "d", "d"}},
		{"&delimiter=/&prefix=b/", []string{"b/1", "b/2", "b/2", "b/2"}},
		{"&key-marker=b/1", []string{"b/2", "b/2", "b/2", "c d+é", "d", "d"}},
		{"&key-marker=b/2", []string{"c d+é", "d", "d"}},
		{"&upload-id-marker=ffff", keys}, // means nothing alone
		{"&encoding-type=url&prefix=c", []string{"c%20d%2B%C3%A9"}},
		{"&max-uploads=0", nil},
		{"&max-uploads=5000", keys},
		{"&prefix=nothing", nil},
	} {
		l := r.uploads(c.query)
		if !slices.Equal(l.names(), c.want) || l.IsTruncated {
			t.Errorf("%s: %v, want %v", c.query, l.names(), c.want)
		}
	}
	for _, delimiter := range []string{"", "&delimiter=/"} {
		for size := 1; size <= 8; size++ {
			testUploadPages(t, r, fmt.Sprintf("%s&max-uploads=%d", delimiter, size), r.uploads(delimiter).names())
		}
	}
	for _, q := range []string{"&max-uploads=x", "&encoding-type=base64"} {
		r.expect(call{method: "GET", path: "/private?uploads" + q}, 400, "InvalidArgument")
	}
	r.expect(call{method: "GET", path: "/absent?uploads", as: "admin"}, 404, "NoSuchBucket")
	r.expect(call{method: "GET", path: "/absent?uploads&max-uploads=0", as: "admin"}, 404, "NoSuchBucket")
	r.expect(call{method: "GET", path: "/private?uploads", as: "nothing"}, 403, "AccessDenied")
	r.expect(call{method: "GET", path: "/public?uploads", as: "-"}, 403, "AccessDenied")
}

// testUploadPages follows the markers and compares what they lead to.
func testUploadPages(t *testing.T, r *rig, query string, want []string) {
	t.Helper()
	var got []string
	for next := ""; ; {
		l := r.uploads(query + next)
		got = append(got, l.names()...)
		if !l.IsTruncated {
			break
		}
		if len(l.names()) != l.MaxUploads || l.NextKeyMarker == "" {
			t.Fatalf("%s%s: %+v", query, next, l)
		}
		next = "&key-marker=" + url.QueryEscape(l.NextKeyMarker) + "&upload-id-marker=" + l.NextUploadIDMarker
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", query, got, want)
	}
}
