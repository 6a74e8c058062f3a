package gateway

import (
	"html"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// implemented reports whether there is an operation of that name and place.
func implemented(at target, method, sub string) bool {
	return slices.ContainsFunc(operations, func(o routed) bool { return o.at == at && o.method == method && o.sub == sub })
}

// What cairn does not do is refused by name and leaves no trace.
func TestWhatIsNotDoneIsRefused(t *testing.T) {
	r := newRig(t)
	r.put("private", "k", content)
	objects, buckets := maps.Clone(r.store.objects), maps.Clone(r.store.buckets)
	type row struct {
		call
		word string // that the message must have
	}
	var rows []row
	for _, s := range subresources {
		for _, m := range []string{"GET", "PUT", "DELETE", "HEAD", "POST"} {
			for at, path := range map[target]string{atRoot: "/", atBucket: "/private", atObject: "/private/k"} {
				if !implemented(at, m, s) {
					rows = append(rows, row{call{method: m, path: path + "?" + s}, s}, row{call{method: m, path: path + "?" + s + "=1&x-id=x"}, s})
				}
			}
		}
	}
	put := func(word string, header ...string) row {
		body := "y"
		if slices.Contains(header, "X-Amz-Copy-Source") {
			body = ""
		}
		return row{call{method: "PUT", path: "/private/k", header: header, body: body}, word}
	}
	rows = append(rows,
		put("x-amz-acl", "X-Amz-Acl", "public-read"),
		put("x-amz-acl", "X-Amz-Acl", "authenticated-read"),
		put("x-amz-grant-read", "X-Amz-Grant-Read", "id=x"),
		put("x-amz-server-side-encryption", "X-Amz-Server-Side-Encryption", "AES256"),
		put("x-amz-server-side-encryption", "X-Amz-Server-Side-Encryption", "aws:kms"),
		put("x-amz-server-side-encryption-customer-algorithm", "X-Amz-Server-Side-Encryption-Customer-Algorithm", "AES256"),
		put("x-amz-storage-class", "X-Amz-Storage-Class", "GLACIER"),
		put("x-amz-website-redirect-location", "X-Amz-Website-Redirect-Location", "/x"),
		put("x-amz-object-lock-mode", "X-Amz-Object-Lock-Mode", "GOVERNANCE"),
		put("x-amz-object-lock-legal-hold", "X-Amz-Object-Lock-Legal-Hold", "ON"),
		put("x-amz-write-offset-bytes", "X-Amz-Write-Offset-Bytes", "1"),
		put("x-amz-expected-bucket-owner", "X-Amz-Expected-Bucket-Owner", "1"),
		put("x-amz-if-match-size", "X-Amz-If-Match-Size", "1"),
		put("x-amz-copy-source-range", "X-Amz-Copy-Source-Range", "bytes=0-1"),
		put("x-amz-tagging-directive", "X-Amz-Tagging-Directive", "REPLACE"),
		put("x-amz-metadata-directive", "X-Amz-Metadata-Directive", "REPLACE"),
		put("x-amz-copy-source-if-match", "X-Amz-Copy-Source-If-Match", "x"),
		put("x-amz-copy-source-range", "X-Amz-Copy-Source", "/private/k", "X-Amz-Copy-Source-Range", "bytes=0-1"),
		put("x-amz-copy-source-server-side", "X-Amz-Copy-Source", "/private/k", "X-Amz-Copy-Source-Server-Side-Encryption-Customer-Key", "x"),
		put("versionId", "X-Amz-Copy-Source", "/private/k?versionId=3", "X-Amz-Metadata-Directive", "REPLACE"),
		put("access point", "X-Amz-Copy-Source", "arn:aws:s3:us-west-2:1:accesspoint/a/object/k"),
		put("if-modified-since", "If-Modified-Since", "Sat, 01 Jan 2000 00:00:00 GMT"),
		row{call{method: "DELETE", path: "/private/k", header: []string{"X-Amz-If-Match-Size", "1"}}, "x-amz-if-match-size"},
		row{call{method: "DELETE", path: "/private/k", header: []string{"X-Amz-Mfa", "1"}}, "x-amz-mfa"},
		row{call{method: "GET", path: "/private/k", header: []string{"X-Amz-Server-Side-Encryption-Customer-Key", "x"}}, "customer-key"},
		row{call{method: "GET", path: "/private/k", header: []string{"X-Amz-Copy-Source", "/private/k"}}, "x-amz-copy-source"},
		row{call{method: "GET", path: "/private/k?tagging&acl"}, "tagging&acl"},
		row{call{method: "PUT", path: "/private/k?tagging&legal-hold"}, "tagging&legal-hold"},
		row{call{method: "POST", path: "/private/k"}, "POST forms"},
		row{call{method: "POST", path: "/private"}, "POST forms"},
		row{call{method: "POST", path: "/"}, "POST forms"},
		row{call{method: "PUT", path: "/new", header: []string{"X-Amz-Bucket-Object-Lock-Enabled", "true"}}, "x-amz-bucket-object-lock-enabled"},
		row{call{method: "PUT", path: "/new", header: []string{"X-Amz-Object-Ownership", "ObjectWriter"}}, "x-amz-object-ownership"},
		row{call{method: "PUT", path: "/new", header: []string{"X-Amz-Acl", "public-read"}}, "x-amz-acl"},
	)
	for _, c := range rows {
		c.as = "admin"
		code := "NotImplemented"
		if c.method == "HEAD" {
			code, c.word = "", ""
		}
		if a := r.expect(c.call, 501, code); !strings.Contains(strings.ToLower(html.UnescapeString(a.body)), strings.ToLower(c.word)) {
			t.Errorf("%s %s %v: %q is not in %s", c.method, c.path, c.header, c.word, a.body)
		}
	}
	r.expect(call{method: "PUT", path: "/private/k", body: "y", header: []string{"X-Amz-Security-Token", "x"}}, 400, "InvalidToken")
	r.expect(call{method: "PATCH", path: "/private/k"}, 405, "MethodNotAllowed")
	r.expect(call{method: "PUT", path: "/"}, 405, "MethodNotAllowed")
	same := func(a, b memObject) bool {
		return string(a.content) == string(b.content) && len(a.Header) == len(b.Header)
	}
	if !maps.EqualFunc(objects, r.store.objects, same) || !maps.Equal(buckets, r.store.buckets) {
		t.Error("something was changed")
	}
}

func TestWhatChangesNothingIsIgnored(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"/private/k?x-id=PutObject", "/private/k?anything=goes", "/private/k?", "/private/k?&&", "/private/k?versionId=null"} {
		r.expect(call{method: "PUT", path: path, body: content, header: []string{"X-Amz-Acl", "private", "X-Amz-Storage-Class", "STANDARD",
			"X-Amz-Tagging", "", "X-Amz-Sdk-Checksum-Algorithm", "CRC32", "X-Amz-User-Agent", "x", "X-Amz-Request-Payer", "requester"}}, 200, "")
	}
	for _, path := range []string{"/private/k?x-id=GetObject", "/private/k?versionId=null"} {
		if a := r.expect(call{method: "GET", path: path}, 200, ""); a.body != content {
			t.Errorf("%q", a.body)
		}
	}
	r.expect(call{method: "DELETE", path: "/private/k?x-id=DeleteObject"}, 204, "")
}

// Each word of the list of what is not there, as clients ask for it.
func TestTheClosedListIsAnsweredByName(t *testing.T) {
	r := newRig(t)
	r.put("private", "k", content)
	for _, c := range []struct{ method, path, word string }{
		{"GET", "/private?acl", "acl"}, {"PUT", "/private?acl", "acl"}, {"GET", "/private/k?acl", "acl"}, {"PUT", "/private/k?acl", "acl"},
		{"PUT", "/private?versioning", "versioning"}, {"GET", "/private?versions", "versions"}, {"GET", "/private/k?versionId=abc", "versionId"},
		{"DELETE", "/private/k?versionId=abc", "versionId"}, {"GET", "/private?lifecycle", "lifecycle"}, {"PUT", "/private?lifecycle", "lifecycle"},
		{"GET", "/private?policy", "policy"}, {"PUT", "/private?policy", "policy"}, {"GET", "/private?policyStatus", "policyStatus"},
		{"PUT", "/private?object-lock", "object-lock"}, {"PUT", "/private/k?retention", "retention"}, {"PUT", "/private/k?legal-hold", "legal-hold"},
		{"PUT", "/private?encryption", "encryption"}, {"POST", "/private/k?select", "select"}, {"GET", "/private/k?torrent", "torrent"},
		{"PUT", "/private?website", "website"}, {"PUT", "/private?replication", "replication"}, {"PUT", "/private?logging", "logging"},
		{"PUT", "/private?notification", "notification"}, {"GET", "/private?inventory&id=1", "inventory"}, {"PUT", "/private?accelerate", "accelerate"},
		{"GET", "/private?requestPayment", "requestPayment"}, {"PUT", "/private?publicAccessBlock", "publicAccessBlock"},
		{"PUT", "/private?ownershipControls", "ownershipControls"}, {"GET", "/private?analytics&id=1", "analytics"}, {"GET", "/private?metrics", "metrics"},
		{"GET", "/private?tagging", "tagging"}, {"PUT", "/private?intelligent-tiering&id=1", "intelligent-tiering"},
		{"POST", "/private/k?restore", "restore"}, {"PUT", "/private/k?renameObject", "renameObject"}, {"GET", "/private?session", "session"},
	} {
		a := r.expect(call{method: c.method, path: c.path, as: "admin"}, 501, "NotImplemented")
		if !strings.Contains(a.body, c.word+" is not implemented") {
			t.Errorf("%s %s: %s", c.method, c.path, a.body)
		}
	}
}

// A full bucket is not a full store: only its writers are told.
func TestAUsedUpQuotaIsNamed(t *testing.T) {
	r := newRig(t)
	r.store.fail = store.ErrQuota
	if a := r.expect(call{method: "PUT", path: "/private/k", body: content}, 403, "QuotaExceeded"); !strings.Contains(a.body, "quota") {
		t.Errorf("%s", a.body)
	}
	r.store.fail = cairn.ErrFull
	r.expect(call{method: "PUT", path: "/private/k", body: content}, 507, "QuotaExceeded")
}
