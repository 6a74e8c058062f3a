package gateway

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cairn-storage/cairn/store"
)

func TestWhoAsksMustProveIt(t *testing.T) {
	get := call{method: "GET", path: "/private/k"}
	with := func(edit func(*call)) call {
		c := get
		edit(&c)
		return c
	}
	for _, c := range []struct {
		name   string
		call   call
		status int
		code   string
	}{
		{"a good signature", get, 200, ""},
		{"any region", with(func(c *call) { c.region = "auto" }), 200, ""},
		{"14 minutes late", with(func(c *call) { c.skew = -14 * time.Minute }), 200, ""},
		{"14 minutes early", with(func(c *call) { c.skew = 14 * time.Minute }), 200, ""},
		{"16 minutes late", with(func(c *call) { c.skew = -16 * time.Minute }), 403, "RequestTimeTooSkewed"},
		{"16 minutes early", with(func(c *call) { c.skew = 16 * time.Minute }), 403, "RequestTimeTooSkewed"},
		{"a key nobody has", with(func(c *call) { c.as = "nobody" }), 403, "InvalidAccessKeyId"},
		{"a changed path", with(func(c *call) { c.after = func(r *http.Request, _ *[]byte) { r.URL.Path = "/private/l" } }), 403, "SignatureDoesNotMatch"},
		{"a changed query", with(func(c *call) { c.after = func(r *http.Request, _ *[]byte) { r.URL.RawQuery = "response-expires=0" } }), 403, "SignatureDoesNotMatch"},
		{"a changed method", with(func(c *call) { c.after = func(r *http.Request, _ *[]byte) { r.Method = "DELETE" } }), 403, "SignatureDoesNotMatch"},
		{"a changed host", with(func(c *call) { c.after = func(r *http.Request, _ *[]byte) { r.Host = "else" } }), 403, "SignatureDoesNotMatch"},
		{"a changed signed header", with(func(c *call) {
			c.header = []string{"Range", "bytes=0-1"}
			c.after = func(r *http.Request, _ *[]byte) { r.Header.Set("Range", "bytes=1-2") }
		}), 403, "SignatureDoesNotMatch"},
		{"an amz header added", with(func(c *call) { c.after = func(r *http.Request, _ *[]byte) { r.Header.Set("X-Amz-Acl", "private") } }), 403, "AccessDenied"},
		{"a plain header added", with(func(c *call) { c.after = func(r *http.Request, _ *[]byte) { r.Header.Set("Range", "bytes=0-1") } }), 206, ""},
		{"a header that is not one", with(func(c *call) {
			c.after = func(r *http.Request, _ *[]byte) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 x") }
		}), 400, "AuthorizationHeaderMalformed"},
		{"no date", with(func(c *call) { c.after = func(r *http.Request, _ *[]byte) { r.Header.Del("X-Amz-Date") } }), 403, "AccessDenied"},
		{"another date than the scope's", with(func(c *call) {
			c.after = func(r *http.Request, _ *[]byte) { r.Header.Set("X-Amz-Date", "20130524T000000Z") }
		}), 400, "AuthorizationHeaderMalformed"},
		{"signature version 2", with(func(c *call) {
			c.after = func(r *http.Request, _ *[]byte) { r.Header.Set("Authorization", "AWS writer:sig") }
		}), 400, "InvalidRequest"},
		{"HTTP Basic", with(func(c *call) {
			c.after = func(r *http.Request, _ *[]byte) { r.SetBasicAuth("writer", "secret of writer") }
		}), 200, ""},
		{"another scheme", with(func(c *call) {
			c.after = func(r *http.Request, _ *[]byte) { r.Header.Set("Authorization", "Bearer x") }
		}), 400, "InvalidRequest"},
		{"two headers", with(func(c *call) {
			c.after = func(r *http.Request, _ *[]byte) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }
		}), 400, "InvalidArgument"},
		{"presigned, but not wholly", call{method: "GET", path: "/private/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0", as: "-"}, 400, "AuthorizationQueryParametersError"},
		{"presigned and signed", call{method: "GET", path: "/private/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0"}, 400, "InvalidArgument"},
		{"presigned, version 2", call{method: "GET", path: "/private/k?AWSAccessKeyId=writer&Signature=0&Expires=1", as: "-"}, 400, "InvalidRequest"},
		{"a form", call{method: "POST", path: "/private", as: "-", header: []string{"Content-Type", "multipart/form-data; boundary=x"}}, 501, "NotImplemented"},
		{"a hash of something, but no body", with(func(c *call) { c.mode = hexSum([]byte("something")) }), 400, "XAmzContentSHA256Mismatch"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.put("private", "k", content)
			r.expect(c.call, c.status, c.code)
			if _, ok := r.stored("k"); !ok {
				t.Error("the object is gone")
			}
			r.idle()
		})
	}
}

func TestTheWrongClockAndHostAreNamed(t *testing.T) {
	r := newRig(t)
	a := r.expect(call{method: "GET", path: "/private/k", skew: -time.Hour}, 403, "RequestTimeTooSkewed")
	if now := time.Now().UTC().Format("2006-01-02T15:"); !strings.Contains(a.body, now) {
		t.Errorf("the server's time is not in %s", a.body)
	}
	a = r.expect(call{method: "GET", path: "/private/k", after: func(q *http.Request, _ *[]byte) { q.Host = "proxy.example" }}, 403, "SignatureDoesNotMatch")
	if !strings.Contains(a.body, "proxy.example") {
		t.Errorf("the host is not in %s", a.body)
	}
	r.idle()
	if !strings.Contains(r.log.String(), "host=proxy.example") {
		t.Errorf("the host is not in %s", r.log)
	}
}

func TestAConfiguredRegionIsDemanded(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Region = "garage" })
	r.put("private", "k", content)
	r.expect(call{method: "GET", path: "/private/k", region: "garage"}, 200, "")
	a := r.expect(call{method: "GET", path: "/private/k"}, 400, "AuthorizationHeaderMalformed")
	if !strings.Contains(a.body, "<Region>garage</Region>") {
		t.Errorf("the right region is not in %s", a.body)
	}
}

func TestAnEmptySecretSignsNothing(t *testing.T) {
	r := newRig(t)
	r.store.access["writer"] = store.Access{ID: "writer", Grants: []store.Grant{{Bucket: "*", Level: store.Admin}}}
	r.expect(call{method: "GET", path: "/private/k"}, 403, "InvalidAccessKeyId")
}

func TestPathsRespelledOnTheWayStillVerify(t *testing.T) {
	r := newRig(t)
	r.put("private", "a+b c", content)
	for _, wire := range []string{"/private/a%2Bb%20c", "/private/a+b%20c", "/private/%61%2bb%20c"} {
		a := r.do(call{method: "GET", path: "/private/a%2Bb%20c", after: func(q *http.Request, _ *[]byte) {
			q.URL = &url.URL{Scheme: "http", Host: q.URL.Host, Path: "/private/a+b c", RawPath: wire}
		}})
		if a.StatusCode != 200 || a.body != content {
			t.Errorf("%s: %d %s", wire, a.StatusCode, a.body)
		}
	}
}

func TestPermissions(t *testing.T) {
	calls := []struct {
		name string
		call call
		need store.Level // of key and bucket private
	}{
		{"get", call{method: "GET", path: "/private/k"}, store.Read},
		{"head", call{method: "HEAD", path: "/private/k"}, store.Read},
		{"list", call{method: "GET", path: "/private?list-type=2"}, store.Read},
		{"head bucket", call{method: "HEAD", path: "/private"}, store.Read},
		{"location", call{method: "GET", path: "/private?location"}, store.Read},
		{"versioning", call{method: "GET", path: "/private?versioning"}, store.Read},
		{"put", call{method: "PUT", path: "/private/k", body: "x"}, store.Write},
		{"delete", call{method: "DELETE", path: "/private/k"}, store.Write},
		{"delete bucket", call{method: "DELETE", path: "/private"}, store.Admin},
		{"create bucket", call{method: "PUT", path: "/private"}, store.Admin},
	}
	have := map[string]store.Level{"-": store.None, "nothing": store.None, "reader": store.Read, "writer": store.Write, "admin": store.Admin}
	for _, c := range calls {
		for as, level := range have {
			t.Run(c.name+" as "+as, func(t *testing.T) {
				r := newRig(t)
				r.put("private", "k", content)
				c.call.as = as
				a := r.do(c.call)
				if denied := a.StatusCode == 403; denied != (level < c.need) {
					t.Errorf("%d with %v, needs %v: %s", a.StatusCode, level, c.need, a.body)
				}
				if a.StatusCode == 403 && c.call.method != "HEAD" && a.code() != "AccessDenied" {
					t.Errorf("code %s", a.code())
				}
				if o, _ := r.stored("k"); level < c.need && string(o.content) != content {
					t.Error("the object changed")
				}
			})
		}
	}
}

func TestHazardC14ThePublicMayReadObjectsOfPublicBucketsOnly(t *testing.T) {
	r := newRig(t)
	r.put("public", "k", content)
	r.put("private", "k", content)
	for _, c := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/public/k", 200, ""}, {"HEAD", "/public/k", 200, ""},
		{"GET", "/public/missing", 404, "NoSuchKey"}, {"HEAD", "/public/missing", 404, ""},
		{"GET", "/private/k", 403, "AccessDenied"}, {"GET", "/private/missing", 403, "AccessDenied"},
		{"GET", "/nowhere/k", 403, "AccessDenied"}, {"GET", "/No/k", 403, "AccessDenied"},
		{"GET", "/public?list-type=2", 403, "AccessDenied"}, {"GET", "/public", 403, "AccessDenied"},
		{"HEAD", "/public", 403, ""}, {"GET", "/", 403, "AccessDenied"}, {"GET", "/public/k?acl", 403, "AccessDenied"},
		{"PUT", "/public/k", 403, "AccessDenied"}, {"DELETE", "/public/k", 403, "AccessDenied"},
		{"POST", "/public?delete", 403, "AccessDenied"}, {"PUT", "/public", 403, "AccessDenied"},
		{"OPTIONS", "/public/k", 400, "BadRequest"}, {"OPTIONS", "/", 403, "AccessDenied"}, {"PATCH", "/public/k", 403, "AccessDenied"},
	} {
		r.expect(call{method: c.method, path: c.path, as: "-"}, c.status, c.code)
	}
	if a := r.expect(call{method: "GET", path: "/public/k", as: "-", header: []string{"Range", "bytes=4-8"}}, 206, ""); a.body != "quick" {
		t.Errorf("%q", a.body)
	}
}

func TestADateHeaderWillDoWhenItIsSigned(t *testing.T) {
	r := newRig(t)
	r.put("private", "k", content)
	for _, signed := range []bool{true, false} {
		a := r.do(call{method: "GET", path: "/private/k", after: func(q *http.Request, _ *[]byte) {
			s := signer{"writer", "secret of writer", "us-east-1", time.Now().Truncate(time.Second)}
			q.Header = http.Header{"X-Amz-Content-Sha256": {emptySHA256}}
			if signed {
				q.Header.Set("Date", s.at.UTC().Format(http.TimeFormat))
			}
			s.sign(q, emptySHA256)
			q.Header.Set("Date", s.at.UTC().Format(http.TimeFormat))
		}})
		if signed != (a.StatusCode == 200) {
			t.Errorf("signed %v: %d %s", signed, a.StatusCode, a.body)
		}
	}
}
