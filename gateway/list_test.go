package gateway

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// page is a ListObjectsV2 answer as a client reads it.
type page struct {
	Name, Prefix, Delimiter, StartAfter, ContinuationToken, NextContinuationToken, EncodingType, Marker, NextMarker string
	KeyCount, MaxKeys                                                                                               int
	IsTruncated                                                                                                     bool
	Contents                                                                                                        []struct {
		Key, LastModified, ETag, StorageClass, ChecksumAlgorithm string
		Size                                                     int64
		Owner                                                    *struct{ ID string }
	}
	CommonPrefixes []struct{ Prefix string }
}

func (p page) keys() (keys []string) {
	for _, c := range p.Contents {
		keys = append(keys, c.Key)
	}
	for _, c := range p.CommonPrefixes {
		keys = append(keys, c.Prefix)
	}
	return keys
}

func (r *rig) list(query string) page {
	r.t.Helper()
	a := r.expect(call{method: "GET", path: "/private?list-type=2" + query}, 200, "")
	var p page
	if err := xml.Unmarshal([]byte(a.body), &p); err != nil {
		r.t.Fatalf("%v in %s", err, a.body)
	}
	if p.KeyCount != len(p.keys()) || p.Name != "private" {
		r.t.Errorf("KeyCount %d of %v", p.KeyCount, p.keys())
	}
	return p
}

func TestListing(t *testing.T) {
	r := newRig(t)
	for _, k := range []string{"a", "b/1", "b/2", "b/c/3", "d e", "f+g", "h&<i>", "é"} {
		r.put("private", k, k)
	}
	for _, c := range []struct {
		query string
		want  string
	}{
		{"", "a b/1 b/2 b/c/3 d e f+g h&<i> é"},
		{"&prefix=b/", "b/1 b/2 b/c/3"},
		{"&prefix=b%2F&delimiter=%2F", "b/1 b/2 b/c/"},
		{"&delimiter=/", "a d e f+g h&<i> é b/"},
		{"&delimiter=%20e", "a b/1 b/2 b/c/3 f+g h&<i> é d e"},
		{"&start-after=b/2", "b/c/3 d e f+g h&<i> é"},
		{"&max-keys=0", ""},
		{"&max-keys=2", "a b/1"},
		{"&max-keys=100000", "a b/1 b/2 b/c/3 d e f+g h&<i> é"},
		{"&prefix=f%2B", "f+g"},
		{"&prefix=d+", "d e"},
		{"&prefix=none", ""},
		{"&encoding-type=url", "a b/1 b/2 b/c/3 d%20e f%2Bg h%26%3Ci%3E %C3%A9"},
		{"&encoding-type=url&prefix=d%20&delimiter=e", "d%20e"},
		{"&unknown=parameter&x-id=ListObjectsV2", "a b/1 b/2 b/c/3 d e f+g h&<i> é"},
	} {
		t.Run(c.query, func(t *testing.T) {
			r.t = t
			p := r.list(c.query)
			if got := strings.Join(p.keys(), " "); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if max0 := strings.Contains(c.query, "max-keys=0"); max0 && p.IsTruncated {
				t.Error("an empty page is truncated")
			}
		})
	}
	r.t = t
	p := r.list("&max-keys=1&fetch-owner=true&start-after=a&delimiter=/&prefix=")
	if p.StartAfter != "a" || p.Delimiter != "/" || p.MaxKeys != 1 {
		t.Errorf("%+v", p)
	}
	p = r.list("&prefix=a&fetch-owner=true")
	if c := p.Contents[0]; c.Size != 1 || c.ETag != quote(md5Hex("a")) || c.StorageClass != "STANDARD" || c.Owner == nil || !strings.HasSuffix(c.LastModified, "Z") {
		t.Errorf("%+v", c)
	}
	if c := r.list("&prefix=a").Contents[0]; c.Owner != nil {
		t.Error("an owner that was not asked for")
	}
	for _, q := range []string{"&max-keys=-1", "&max-keys=x", "&encoding-type=xml", "&continuation-token=", "&continuation-token=%21%21", "&continuation-token=AAAA"} {
		r.expect(call{method: "GET", path: "/private?list-type=2" + q}, 400, "InvalidArgument")
	}
	r.expect(call{method: "GET", path: "/nowhere?list-type=2", as: "admin"}, 404, "NoSuchBucket")
	r.expect(call{method: "GET", path: "/nowhere?list-type=2&max-keys=0", as: "admin"}, 404, "NoSuchBucket")
	for _, q := range []string{"?list-type=1", "?list-type=x", "?max-keys=-1", "?max-keys=x", "?max-keys=1e3", "?max-keys=99999999999", "?encoding-type=xml"} {
		r.expect(call{method: "GET", path: "/private" + q}, 400, "InvalidArgument")
	}
}

// first is a ListObjects answer, of version 1.
func (r *rig) first(query string) (p page, body string) {
	r.t.Helper()
	a := r.expect(call{method: "GET", path: "/private?" + query}, 200, "")
	if err := xml.Unmarshal([]byte(a.body), &p); err != nil {
		r.t.Fatalf("%v in %s", err, a.body)
	}
	for _, never := range []string{"KeyCount", "ContinuationToken", "StartAfter"} {
		if strings.Contains(a.body, never) {
			r.t.Errorf("%s is of version 2: %s", never, a.body)
		}
	}
	return p, a.body
}

func TestListingOfVersion1(t *testing.T) {
	r := newRig(t)
	for _, k := range []string{"a", "b/1", "b/2", "b/c/3", "d e", "f+g", "h&<i>", "p%2F", "é"} {
		r.put("private", k, k)
	}
	for _, c := range []struct {
		query  string
		want   string
		marker string // next; only with a delimiter, and as it is written
		more   bool
	}{
		{"", "a b/1 b/2 b/c/3 d e f+g h&<i> p%2F é", "", false},
		{"list-type=", "a b/1 b/2 b/c/3 d e f+g h&<i> p%2F é", "", false},
		{"start-after=z&continuation-token=x&prefix=a", "a", "", false},
		{"marker=b/2", "b/c/3 d e f+g h&<i> p%2F é", "", false},
		{"max-keys=2", "a b/1", "", true},
		{"max-keys=2&delimiter=/", "a b/", "b/", true},
		{"max-keys=2&delimiter=/&marker=b/", "d e f+g", "f+g", true},
		{"max-keys=1&delimiter=%20e", "a", "a", true},
		{"prefix=b/&delimiter=c/", "b/1 b/2 b/c/", "", false},
		{"prefix=b/&delimiter=1", "b/2 b/c/3 b/1", "", false},
		{"prefix=p%252F", "p%2F", "", false},
		{"prefix=p%25", "p%2F", "", false},
		{"prefix=%25", "", "", false},
		{"max-keys=0", "", "", false},
		{"max-keys=0&delimiter=/", "", "", false},
		{"max-keys=2&delimiter=/&marker=b/&encoding-type=url", "d%20e f%2Bg", "f%2Bg", true},
	} {
		t.Run(c.query, func(t *testing.T) {
			r.t = t
			p, body := r.first(c.query)
			if got := strings.Join(p.keys(), " "); got != c.want || p.NextMarker != c.marker || p.IsTruncated != c.more {
				t.Errorf("%q, next %q, more %v; want %q, %q, %v", got, p.NextMarker, p.IsTruncated, c.want, c.marker, c.more)
			}
			if !strings.Contains(body, "<Marker>") {
				t.Errorf("no marker in %s", body)
			}
			for _, o := range p.Contents {
				if o.Owner == nil || o.Owner.ID == "" {
					t.Errorf("%s has no owner", o.Key)
				}
			}
		})
	}
	r.t = t
	if p, _ := r.first("encoding-type=url&prefix=f%2B&marker=d%20e&delimiter=%26%3C"); p.Prefix != "f%2B" || p.Marker != "d%20e" || p.Delimiter != "%26%3C" || p.EncodingType != "url" {
		t.Errorf("%+v", p)
	}
	r.expect(call{method: "GET", path: "/nowhere", as: "admin"}, 404, "NoSuchBucket")
	// Pages by marker join to the whole, also across common prefixes.
	for _, delimiter := range []string{"", "/", "/c", "e"} {
		all, _ := r.first("delimiter=" + url.QueryEscape(delimiter))
		var got []string
		for marker, more := "", true; more; {
			p, _ := r.first("max-keys=1&delimiter=" + url.QueryEscape(delimiter) + "&marker=" + url.QueryEscape(marker))
			got = append(got, p.keys()...)
			if more = p.IsTruncated; !more {
				break
			}
			if marker = p.NextMarker; delimiter == "" {
				marker = p.Contents[0].Key
			}
		}
		want := all.keys()
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("delimiter %q: %q, want %q", delimiter, got, want)
		}
	}
}

func TestPagesJoinToTheWholeList(t *testing.T) {
	r := newRig(t)
	var want []string
	for i := range 57 {
		k := fmt.Sprintf("%02d/%d", i/5, i)
		r.put("private", k, "x")
		want = append(want, k)
	}
	slices.Sort(want)
	for _, delimiter := range []string{"", "/"} {
		var got []string
		token, pages := "", 0
		for {
			q := "&max-keys=5&delimiter=" + delimiter
			if token != "" {
				q += "&start-after=ignored-now&continuation-token=" + url.QueryEscape(token)
			}
			p := r.list(q)
			got = append(got, p.keys()...)
			if pages++; !p.IsTruncated || pages > 50 {
				break
			}
			if strings.Contains(p.NextContinuationToken, "/") || p.NextContinuationToken == token {
				t.Fatalf("token %q after %q", p.NextContinuationToken, token)
			}
			token = p.NextContinuationToken
		}
		if delimiter == "/" {
			var prefixes []string
			for _, k := range want {
				prefixes = append(prefixes, k[:3])
			}
			want = slices.Compact(prefixes)
		}
		if !slices.Equal(got, want) {
			t.Errorf("delimiter %q: %v, want %v", delimiter, got, want)
		}
	}
}

// A key that XML cannot say is never silently another one.
func TestControlCharactersInAListing(t *testing.T) {
	r := newRig(t)
	r.put("private", "a\x01b\nc", "x")
	if p := r.list("&encoding-type=url"); p.keys()[0] != "a%01b%0Ac" {
		t.Errorf("%q", p.keys())
	}
	a := r.do(call{method: "GET", path: "/private?list-type=2"})
	if !strings.Contains(a.body, "<Key>a&#1;b&#10;c</Key>") || strings.Contains(a.body, "\uFFFD") {
		t.Errorf("%s", a.body)
	}
}

func TestListBucketsShowsWhatTheKeyMayRead(t *testing.T) {
	r := newRig(t)
	names := func(as, query string) string {
		t.Helper()
		a := r.expect(call{method: "GET", path: "/" + query, as: as}, 200, "")
		var l struct {
			Owner   struct{ ID string }
			Buckets struct {
				Bucket []struct{ Name, CreationDate string }
			}
		}
		if err := xml.Unmarshal([]byte(a.body), &l); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, b := range l.Buckets.Bucket {
			if b.CreationDate != "2001-09-09T01:46:40.000Z" {
				t.Errorf("created %s", b.CreationDate)
			}
			names = append(names, b.Name)
		}
		return strings.Join(names, " ")
	}
	for as, want := range map[string]string{"admin": "private public", "writer": "private public", "reader": "private", "nothing": ""} {
		if got := names(as, "?x-id=ListBuckets"); got != want {
			t.Errorf("%s sees %q, want %q", as, got, want)
		}
	}
	if got := names("admin", "?prefix=pu"); got != "public" {
		t.Errorf("%q", got)
	}
	a := r.expect(call{method: "GET", path: "/?max-buckets=1"}, 200, "")
	var l struct {
		ContinuationToken string
		Buckets           struct{ Bucket []struct{ Name string } }
	}
	if err := xml.Unmarshal([]byte(a.body), &l); err != nil || len(l.Buckets.Bucket) != 1 || l.Buckets.Bucket[0].Name != "private" {
		t.Fatalf("%v in %s", err, a.body)
	}
	if got := names("writer", "?max-buckets=1&continuation-token="+url.QueryEscape(l.ContinuationToken)); got != "public" {
		t.Errorf("the second page is %q", got)
	}
	if a := r.expect(call{method: "GET", path: "/?max-buckets=2"}, 200, ""); strings.Contains(a.body, "ContinuationToken") {
		t.Errorf("a next page of nothing: %s", a.body)
	}
	for _, q := range []string{"max-buckets=0", "max-buckets=x", "continuation-token=AAAA"} {
		r.expect(call{method: "GET", path: "/?" + q}, 400, "InvalidArgument")
	}
}

func TestBuckets(t *testing.T) {
	r := newRig(t)
	admin := func(method, path, body string, status int, code string) answered {
		t.Helper()
		return r.expect(call{method: method, path: path, body: body, as: "admin"}, status, code)
	}
	if a := admin("PUT", "/new-bucket", "", 200, ""); a.Header.Get("Location") != "/new-bucket" {
		t.Errorf("%v", a.Header)
	}
	admin("PUT", "/new-bucket/", "", 409, "BucketAlreadyOwnedByYou")
	const ns = ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`
	admin("PUT", "/here", "<CreateBucketConfiguration"+ns+"><LocationConstraint>garage</LocationConstraint></CreateBucketConfiguration>", 200, "")
	admin("PUT", "/there", "<CreateBucketConfiguration/>", 200, "")
	admin("PUT", "/tagged", "<CreateBucketConfiguration><Tags><Tag/></Tags></CreateBucketConfiguration>", 501, "NotImplemented")
	admin("PUT", "/broken", "<CreateBucketConfiguration>", 400, "MalformedXML")
	admin("PUT", "/other", "<Else/>", 400, "MalformedXML")
	admin("PUT", "/large", strings.Repeat(" ", 70_000), 400, "MalformedXML")
	admin("PUT", "/No", "", 400, "InvalidBucketName")
	r.expect(call{method: "PUT", path: "/wrong", as: "admin", body: "<CreateBucketConfiguration/>", after: func(_ *http.Request, w *[]byte) { (*w)[1] = 'X' }}, 400, "XAmzContentSHA256Mismatch")
	for _, name := range []string{"tagged", "broken", "other", "large", "wrong"} {
		if _, ok := r.store.buckets[name]; ok {
			t.Errorf("bucket %s was made", name)
		}
	}
	if a := admin("HEAD", "/here", "", 200, ""); a.Header.Get("X-Amz-Bucket-Region") != "us-east-1" {
		t.Errorf("%v", a.Header)
	}
	admin("HEAD", "/nowhere", "", 404, "")
	r.put("here", "k", "x")
	admin("DELETE", "/here", "", 409, "BucketNotEmpty")
	admin("DELETE", "/here/k", "", 204, "")
	admin("DELETE", "/here", "", 204, "")
	admin("DELETE", "/here", "", 404, "NoSuchBucket")
	r.idle()
}

func TestLocationAndVersioning(t *testing.T) {
	for _, c := range []struct{ configured, signed, want string }{
		{"", "us-east-1", ""}, {"any", "garage", "garage"}, {"eu", "eu", "eu"},
	} {
		r := newRig(t, func(g *Config) { g.Region = c.configured })
		a := r.expect(call{method: "GET", path: "/private?location", region: c.signed}, 200, "")
		var l struct {
			Where string `xml:",chardata"`
		}
		if err := xml.Unmarshal([]byte(a.body), &l); err != nil || l.Where != c.want {
			t.Errorf("%+v: %v %s", c, err, a.body)
		}
	}
	r := newRig(t)
	if a := r.expect(call{method: "GET", path: "/private?versioning"}, 200, ""); strings.Contains(a.body, "Status") || !strings.Contains(a.body, "<VersioningConfiguration") {
		t.Errorf("%s", a.body)
	}
	r.expect(call{method: "GET", path: "/nowhere?versioning", as: "admin"}, 404, "NoSuchBucket")
	r.expect(call{method: "GET", path: "/nowhere?location", as: "admin"}, 404, "NoSuchBucket")
}
