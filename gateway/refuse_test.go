package gateway

import (
	"testing"
)

// What cairn does not do is refused by name and leaves no trace.
func TestWhatIsNotDoneIsRefused(t *testing.T) {
	r := newRig(t)
	r.put("private", "k", content)
	var calls []call
	for _, s := range subresources {
		for _, m := range []string{"GET", "PUT", "DELETE", "HEAD"} {
			if !(m == "GET" && (s == "location" || s == "versioning")) {
				calls = append(calls, call{method: m, path: "/private?" + s, body: ""})
			}
			calls = append(calls, call{method: m, path: "/private/k?" + s + "=1"})
		}
		calls = append(calls, call{method: "POST", path: "/private/k?" + s}, call{method: "POST", path: "/private?" + s})
	}
	for _, h := range [][]string{
		{"X-Amz-Acl", "public-read"}, {"X-Amz-Grant-Read", "id=x"}, {"X-Amz-Copy-Source", "/private/k"},
		{"X-Amz-Server-Side-Encryption", "AES256"}, {"X-Amz-Server-Side-Encryption-Customer-Algorithm", "AES256"},
		{"X-Amz-Storage-Class", "GLACIER"}, {"X-Amz-Tagging", "a=b"}, {"X-Amz-Website-Redirect-Location", "/x"},
		{"X-Amz-Object-Lock-Mode", "GOVERNANCE"}, {"X-Amz-Write-Offset-Bytes", "1"}, {"X-Amz-Expected-Bucket-Owner", "1"},
		{"X-Amz-If-Match-Size", "1"},
	} {
		calls = append(calls, call{method: "PUT", path: "/private/k", header: h, body: "y"})
	}
	calls = append(calls, call{method: "DELETE", path: "/private/k", header: []string{"X-Amz-If-Match-Size", "1"}},
		call{method: "GET", path: "/private/k", header: []string{"X-Amz-Server-Side-Encryption-Customer-Key", "x"}},
		call{method: "POST", path: "/private/k"}, call{method: "POST", path: "/"}, call{method: "GET", path: "/private?list-type=1"},
		call{method: "PUT", path: "/new", header: []string{"X-Amz-Bucket-Object-Lock-Enabled", "true"}})
	for _, c := range calls {
		c.as = "admin"
		code := "NotImplemented"
		if c.method == "HEAD" {
			code = ""
		}
		r.expect(c, 501, code)
	}
	r.expect(call{method: "PUT", path: "/private/k", body: "y", header: []string{"X-Amz-Security-Token", "x"}}, 400, "InvalidToken")
	r.expect(call{method: "PATCH", path: "/private/k"}, 405, "MethodNotAllowed")
	r.expect(call{method: "PUT", path: "/"}, 405, "MethodNotAllowed")
	if o, _ := r.stored("k"); len(r.store.objects) != 1 || string(o.content) != content || len(r.store.buckets) != 2 {
		t.Error("something was changed")
	}
}

func TestWhatChangesNothingIsIgnored(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"/private/k?x-id=PutObject", "/private/k?anything=goes", "/private/k?", "/private/k?&&"} {
		r.expect(call{method: "PUT", path: path, body: content, header: []string{"X-Amz-Acl", "private", "X-Amz-Sdk-Checksum-Algorithm", "CRC32", "X-Amz-User-Agent", "x"}}, 200, "")
	}
	for _, path := range []string{"/private/k?x-id=GetObject", "/private/k?versionId=null"} {
		if a := r.expect(call{method: "GET", path: path}, 200, ""); a.body != content {
			t.Errorf("%q", a.body)
		}
	}
	r.expect(call{method: "DELETE", path: "/private/k?x-id=DeleteObject"}, 204, "")
}
