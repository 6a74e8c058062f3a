package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// presigned is a call whose address is signed for expires; headers named in
// signed are signed with it.
func presigned(c call, expires time.Duration, payload string, signed ...string) call {
	as := c.as
	if as == "" {
		as = "writer"
	}
	c.as = "-"
	before, skew := c.before, c.skew
	c.before = func(q *http.Request) {
		if before != nil {
			before(q)
		}
		signer{as, "secret of " + as, "us-east-1", time.Now().Add(skew)}.presign(q, expires, payload, signed...)
	}
	return c
}

func TestPresignedAddresses(t *testing.T) {
	get := call{method: "GET", path: "/private/k"}
	put := call{method: "PUT", path: "/private/new", body: content}
	sum := hexSum([]byte(content))
	with := func(c call, edit func(*call)) call { edit(&c); return c }
	header := func(c call, pairs ...string) call { c.header = pairs; return c }
	added := func(pairs ...string) func(*call) {
		return func(c *call) {
			c.after = func(q *http.Request, _ *[]byte) {
				for i := 0; i < len(pairs); i += 2 {
					q.Header.Set(pairs[i], pairs[i+1])
				}
			}
		}
	}
	query := func(old, new string) func(*call) {
		return func(c *call) {
			c.after = func(q *http.Request, _ *[]byte) { q.URL.RawQuery = strings.Replace(q.URL.RawQuery, old, new, 1) }
		}
	}
	hour := func(c call) call { return presigned(c, time.Hour, modeUnsigned) }
	for _, c := range []struct {
		name   string
		call   call
		status int
		code   string
	}{
		{"GET", hour(get), 200, ""},
		{"HEAD", hour(call{method: "HEAD", path: "/private/k"}), 200, ""},
		{"DELETE", hour(call{method: "DELETE", path: "/private/other"}), 204, ""},
		{"list", hour(call{method: "GET", path: "/private?list-type=2&prefix=a%20b"}), 200, ""},
		{"PUT", hour(put), 200, ""},
		{"PUT with any type", hour(header(put, "Content-Type", "application/x-nix-nar")), 200, ""},
		{"a week", presigned(get, 7*24*time.Hour, modeUnsigned), 200, ""},
		{"a week, six days ago", presigned(with(get, func(c *call) { c.skew = -6 * 24 * time.Hour }), 7*24*time.Hour, modeUnsigned), 200, ""},
		{"more than a week", presigned(get, 7*24*time.Hour+time.Second, modeUnsigned), 400, "AuthorizationQueryParametersError"},
		{"no time", presigned(get, 0, modeUnsigned), 400, "AuthorizationQueryParametersError"},
		{"expired", presigned(with(get, func(c *call) { c.skew = -time.Minute }), 59*time.Second, modeUnsigned), 403, "AccessDenied"},
		{"a little early", presigned(with(get, func(c *call) { c.skew = 14 * time.Minute }), time.Hour, modeUnsigned), 200, ""},
		{"not valid yet", presigned(with(get, func(c *call) { c.skew = 16 * time.Minute }), time.Hour, modeUnsigned), 403, "AccessDenied"},
		{"for another method", with(hour(get), func(c *call) { c.after = func(q *http.Request, _ *[]byte) { q.Method = "DELETE" } }), 403, "SignatureDoesNotMatch"},
		{"for another key", with(hour(get), func(c *call) { c.after = func(q *http.Request, _ *[]byte) { q.URL.Path = "/private/l" } }), 403, "SignatureDoesNotMatch"},
		{"for longer", with(hour(get), query("X-Amz-Expires=3600", "X-Amz-Expires=3601")), 403, "SignatureDoesNotMatch"},
		{"twice", with(hour(get), query("X-Amz-Expires=3600", "X-Amz-Expires=3600&X-Amz-Expires=3600")), 400, "AuthorizationQueryParametersError"},
		{"of nobody", hour(with(get, func(c *call) { c.as = "nobody" })), 403, "InvalidAccessKeyId"},
		{"by who may not", hour(with(put, func(c *call) { c.as = "reader" })), 403, "AccessDenied"},
		{"with a token", hour(with(get, func(c *call) { c.path += "?X-Amz-Security-Token=t" })), 400, "InvalidToken"},
		{"an amz header added", with(hour(get), added("X-Amz-Acl", "private")), 403, "AccessDenied"},
		{"metadata added", with(hour(put), added("X-Amz-Meta-A", "b")), 403, "AccessDenied"},
		{"metadata signed", presigned(header(put, "X-Amz-Meta-A", "b"), time.Hour, modeUnsigned, "x-amz-meta-a"), 200, ""},
		{"a plain header added", with(hour(get), added("Range", "bytes=0-1")), 206, ""},
		{"name and password of a netrc file beside it", with(hour(get), func(c *call) {
			c.after = func(q *http.Request, _ *[]byte) { q.SetBasicAuth("nobody", "else") }
		}), 200, ""},
		{"a signature in the header beside it", with(hour(get), added("Authorization", "AWS4-HMAC-SHA256 x")), 400, "InvalidArgument"},

		{"hash in the query", presigned(with(put, func(c *call) { c.path += "?X-Amz-Content-Sha256=" + sum }), time.Hour, sum), 200, ""},
		{"UNSIGNED-PAYLOAD in the query", hour(with(put, func(c *call) { c.path += "?X-Amz-Content-Sha256=UNSIGNED-PAYLOAD" })), 200, ""},
		{"wrong hash in the query", hour(with(put, func(c *call) { c.path += "?X-Amz-Content-Sha256=" + hexSum([]byte("x")) })), 400, "XAmzContentSHA256Mismatch"},
		{"hash in a signed header", presigned(header(put, "X-Amz-Content-Sha256", sum), time.Hour, sum, "x-amz-content-sha256"), 200, ""},
		{"hash in a header added", with(hour(put), added("X-Amz-Content-Sha256", sum)), 200, ""},
		{"wrong hash in a header added", with(hour(put), added("X-Amz-Content-Sha256", hexSum([]byte("x")))), 400, "XAmzContentSHA256Mismatch"},
		{"a header that lifts the hash of the query", with(presigned(with(put, func(c *call) { c.path += "?X-Amz-Content-Sha256=" + hexSum([]byte("x")) }), time.Hour, hexSum([]byte("x"))),
			added("X-Amz-Content-Sha256", modeUnsigned)), 400, "XAmzContentSHA256Mismatch"},
		{"two hashes", with(hour(with(put, func(c *call) { c.path += "?X-Amz-Content-Sha256=" + sum })), added("X-Amz-Content-Sha256", hexSum([]byte("x")))), 400, "InvalidArgument"},
		{"signed chunks", with(hour(put), added("X-Amz-Content-Sha256", modeChained)), 400, "InvalidRequest"},
		{"nonsense for a hash", with(hour(put), added("X-Amz-Content-Sha256", "x")), 400, "InvalidArgument"},

		{"metadata in the query", hour(with(put, func(c *call) { c.path += "?x-amz-meta-a=b" })), 200, ""},
		{"encryption in the query", hour(with(put, func(c *call) { c.path += "?x-amz-server-side-encryption=AES256" })), 501, "NotImplemented"},
		{"the CRC of nothing in the query, as an SDK leaves it", hour(with(put, func(c *call) { c.path += "?x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32" })), 200, ""},
		{"overrides", hour(with(get, func(c *call) { c.path += "?response-content-type=text%2Fplain&response-content-disposition=attachment" })), 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.put("private", "k", content)
			a := r.expect(c.call, c.status, map[bool]string{true: c.code}[c.call.method != "HEAD"])
			o, ok := r.stored("new")
			if stored := c.call.method == "PUT" && c.status == 200; ok != stored || ok && string(o.content) != content {
				t.Errorf("stored %v, %q", ok, o.content)
			}
			switch c.name {
			case "expired":
				for _, want := range []string{"<Message>Request has expired</Message>", "<X-Amz-Expires>59</X-Amz-Expires>", "<Expires>2", "<ServerTime>2"} {
					if !strings.Contains(a.body, want) {
						t.Errorf("no %s in %s", want, a.body)
					}
				}
			case "not valid yet":
				if !strings.Contains(a.body, "not valid yet") || !strings.Contains(a.body, "<ServerTime>2") {
					t.Errorf("%s", a.body)
				}
			case "metadata in the query", "metadata signed":
				if o.Meta["a"] != "b" {
					t.Errorf("metadata %v", o.Meta)
				}
			case "overrides":
				if a.Header.Get("Content-Type") != "text/plain" || a.Header.Get("Content-Disposition") != "attachment" {
					t.Errorf("%v", a.Header)
				}
			}
			if a.Header.Get("WWW-Authenticate") != "" {
				t.Error("a presigned request is asked for a password")
			}
			r.idle()
			if l := r.log.String(); strings.Contains(l, "X-Amz-Signature") {
				t.Errorf("the signature is logged: %s", l)
			}
		})
	}
}

// niks3 presigns parts and sends them without another header.
func TestAPartCanBePresigned(t *testing.T) {
	r := newRig(t)
	var parts []string
	created, err := r.store.CreateUpload(t.Context(), store.Upload{Key: cairn.Key{Bucket: "private", Object: "k"}})
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 2; n++ {
		path := fmt.Sprintf("/private/k?partNumber=%d&uploadId=%s", n, created.ID)
		a := r.expect(presigned(call{method: "PUT", path: path, body: content, header: []string{"Content-Type", "application/octet-stream"}}, 5*time.Hour, modeUnsigned), 200, "")
		parts = append(parts, a.Header.Get("ETag"))
	}
	if parts[0] != quote(md5Hex(content)) || parts[1] != parts[0] {
		t.Errorf("ETags %v", parts)
	}
	r.idle()
}

func TestAddressesThatCannotBeReadAreNotRepeated(t *testing.T) {
	r := newRig(t)
	a := r.expect(call{method: "GET", path: "/private/k", as: "-", after: func(q *http.Request, _ *[]byte) {
		q.URL.RawQuery = "X-Amz-Signature=hidden-signature&a=%z"
	}}, 400, "InvalidURI")
	if strings.Contains(a.body+r.log.String(), "hidden-signature") {
		t.Errorf("the signature is in %s or %s", a.body, r.log)
	}
}
