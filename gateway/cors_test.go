package gateway

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
)

const corsDocument = `<CORSConfiguration>
  <CORSRule><AllowedMethod>GET</AllowedMethod><AllowedMethod>HEAD</AllowedMethod><AllowedOrigin>*</AllowedOrigin><MaxAgeSeconds>3000</MaxAgeSeconds></CORSRule>
  <CORSRule>
    <ID>app &amp; more</ID>
    <AllowedOrigin>https://*.example.org</AllowedOrigin><AllowedOrigin>http://localhost:3000</AllowedOrigin>
    <AllowedMethod>PUT</AllowedMethod><AllowedMethod>DELETE</AllowedMethod>
    <AllowedHeader>X-Amz-*</AllowedHeader><AllowedHeader>Content-Type</AllowedHeader>
    <ExposeHeader>ETag</ExposeHeader><ExposeHeader>x-amz-request-id</ExposeHeader>
  </CORSRule>
</CORSConfiguration>`

func corsCall(method, body string) call {
	return call{method: method, path: "/private?cors", body: body, as: "admin"}
}

func TestRulesOfABucketAreKept(t *testing.T) {
	r := newRig(t)
	r.expect(corsCall("GET", ""), 404, "NoSuchCORSConfiguration")
	c := corsCall("PUT", strings.Replace(corsDocument, "<CORSConfiguration>", `<?xml version="1.0"?><CORSConfiguration xmlns="`+s3Namespace+`"><!-- x -->`, 1))
	c.header = []string{"Content-Md5", md5Base64(c.body)}
	r.expect(c, 200, "")
	a := r.expect(corsCall("GET", ""), 200, "")
	var root struct{ XMLName xml.Name }
	var got, want corsRules
	if err := errors.Join(xml.Unmarshal([]byte(a.body), &got), xml.Unmarshal([]byte(corsDocument), &want), xml.Unmarshal([]byte(a.body), &root)); err != nil {
		t.Fatal(err)
	}
	gotText, err := got.encode()
	wantText, werr := want.encode()
	if err != nil || werr != nil || gotText != wantText || root.XMLName != (xml.Name{Space: s3Namespace, Local: "CORSConfiguration"}) {
		t.Errorf("%s, want %s (%v, %v)", a.body, wantText, err, werr)
	}
	r.expect(corsCall("DELETE", ""), 204, "")
	r.expect(corsCall("GET", ""), 404, "NoSuchCORSConfiguration")
	r.expect(corsCall("DELETE", ""), 204, "")
	for _, m := range []string{"GET", "PUT", "DELETE"} {
		c := corsCall(m, "")
		if c.path = "/nowhere?cors"; m == "PUT" {
			c.body = corsDocument
		}
		r.expect(c, 404, "NoSuchBucket")
		c.path, c.as = "/private?cors", "nothing"
		r.expect(c, 403, "AccessDenied")
	}
	r.expect(call{method: "PUT", path: "/private?cors", body: corsDocument, as: "writer"}, 403, "AccessDenied")
	c.header[1] = md5Base64("else")
	r.expect(c, 400, "BadDigest")
	r.idle()
}

func TestRulesThatCannotBeAreRefused(t *testing.T) {
	r := newRig(t)
	rule := func(inner string) string {
		return "<CORSConfiguration><CORSRule>" + inner + "</CORSRule></CORSConfiguration>"
	}
	const good = "<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>"
	for _, c := range []struct{ body, code string }{
		{"", "MalformedXML"},
		{"<CORSConfiguration/>", "MalformedXML"},
		{"<CORS/>", "MalformedXML"},
		{rule(""), "MalformedXML"},
		{rule("<AllowedOrigin>*</AllowedOrigin>"), "MalformedXML"},
		{rule("<AllowedMethod>GET</AllowedMethod>"), "MalformedXML"},
		{rule("<AllowedOrigin>http://*.a.*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>"), "InvalidRequest"},
		{rule("<AllowedOrigin></AllowedOrigin><AllowedMethod>GET</AllowedMethod>"), "InvalidRequest"},
		{rule("<AllowedOrigin>*</AllowedOrigin><AllowedMethod>get</AllowedMethod>"), "InvalidRequest"},
		{rule("<AllowedOrigin>*</AllowedOrigin><AllowedMethod>OPTIONS</AllowedMethod>"), "InvalidRequest"},
		{rule(good + "<AllowedHeader>x-*-*</AllowedHeader>"), "InvalidRequest"},
		{rule(good + "<ExposeHeader>*</ExposeHeader>"), "InvalidRequest"},
		{rule(good + "<ExposeHeader>a&#10;b</ExposeHeader>"), "InvalidRequest"},
		{rule(good + "<MaxAgeSeconds>-1</MaxAgeSeconds>"), "InvalidRequest"},
		{rule(good + "<MaxAgeSeconds>soon</MaxAgeSeconds>"), "MalformedXML"},
		{rule(good + "<ID>" + strings.Repeat("i", 256) + "</ID>"), "InvalidRequest"},
		{"<CORSConfiguration>" + strings.Repeat("<CORSRule>"+good+"</CORSRule>", 101) + "</CORSConfiguration>", "MalformedXML"},
		{rule(good + "<AllowedHeader>" + strings.Repeat("h", 9000) + "</AllowedHeader>"), "InvalidRequest"},
	} {
		r.expect(corsCall("PUT", c.body), 400, c.code)
	}
	r.expect(corsCall("PUT", rule(good)), 200, "")
	r.expect(corsCall("PUT", "<CORSConfiguration>"+strings.Repeat("<CORSRule>"+good+"</CORSRule>", 100)+"</CORSConfiguration>"), 200, "")
	r.idle()
}

func TestPreflight(t *testing.T) {
	r := newRig(t)
	r.expect(corsCall("PUT", corsDocument), 200, "")
	for _, c := range []struct {
		name                            string
		path, origin, method, headers   string
		status                          int
		allowOrigin, methods, echo, age string
	}{
		{"anyone may GET", "/private/k", "http://a", "GET", "", 200, "*", "GET, HEAD", "", "3000"},
		{"anyone may not GET with a header", "/private/k", "http://a", "GET", "X-Custom", 403, "", "", "", ""},
		{"an origin that fits", "/private/k", "https://app.example.org", "PUT", "", 200, "https://app.example.org", "PUT, DELETE", "", ""},
		{"with headers", "/private/k", "https://app.example.org", "PUT", "X-Amz-Date,  content-type", 200, "https://app.example.org", "PUT, DELETE", "x-amz-date, content-type", ""},
		{"one header too many", "/private/k", "https://app.example.org", "PUT", "x-amz-date, authorization", 403, "", "", "", ""},
		{"another scheme", "/private/k", "http://app.example.org", "PUT", "", 403, "", "", "", ""},
		{"longer than the pattern", "/private/k", "https://app.example.org.evil", "PUT", "", 403, "", "", "", ""},
		{"only the fixed ends", "/private/k", "https://.example.org", "PUT", "", 200, "https://.example.org", "PUT, DELETE", "", ""},
		{"a port", "/private", "http://localhost:3000", "DELETE", "", 200, "http://localhost:3000", "PUT, DELETE", "", ""},
		{"another port", "/private", "http://localhost:3001", "DELETE", "", 403, "", "", "", ""},
		{"a method nobody may", "/private/k", "http://a", "POST", "", 403, "", "", "", ""},
		{"no rules", "/public/k", "http://a", "GET", "", 403, "", "", "", ""},
		{"no bucket", "/nowhere/k", "http://a", "GET", "", 403, "", "", "", ""},
		{"no origin", "/private/k", "", "GET", "", 400, "", "", "", ""},
		{"no method", "/private/k", "http://a", "", "", 400, "", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.t = t
			var header []string
			for name, v := range map[string]string{"Origin": c.origin, "Access-Control-Request-Method": c.method, "Access-Control-Request-Headers": c.headers} {
				if v != "" {
					header = append(header, name, v)
				}
			}
			a := r.do(call{method: "OPTIONS", path: c.path, header: header, as: "-"})
			h := a.Header
			if a.StatusCode != c.status || h.Get("Access-Control-Allow-Origin") != c.allowOrigin || h.Get("Access-Control-Allow-Methods") != c.methods ||
				h.Get("Access-Control-Allow-Headers") != c.echo || h.Get("Access-Control-Max-Age") != c.age {
				t.Errorf("%d %v", a.StatusCode, h)
			}
			if want := c.allowOrigin != "" && c.allowOrigin != "*"; (h.Get("Access-Control-Allow-Credentials") == "true") != want {
				t.Errorf("credentials: %v", h)
			}
			if c.status == 403 && (a.code() != "AccessForbidden" || !strings.Contains(a.body, "CORSResponse: This CORS request is not allowed")) {
				t.Errorf("%s", a.body)
			}
			if c.status != 400 && !strings.Contains(h.Get("Vary"), "Origin") {
				t.Errorf("Vary %q", h.Get("Vary"))
			}
		})
	}
}

// Errors too: else the page's script sees none of them.
func TestActualAnswersCarryTheRules(t *testing.T) {
	r := newRig(t)
	r.expect(corsCall("PUT", corsDocument), 200, "")
	for _, c := range []struct {
		path, method, as, origin string
		status                   int
		allow, expose            string
		vary                     bool
	}{
		{"/private/k", "GET", "", "http://a", 404, "*", "", true},
		{"/private/k", "GET", "-", "http://a", 403, "*", "", true},
		{"/private/k", "GET", "", "", 404, "", "", false},
		{"/private/k", "PUT", "", "https://x.example.org", 200, "https://x.example.org", "ETag, x-amz-request-id", true},
		{"/private/k", "GET", "", "http://a", 200, "*", "", true},
		{"/private/k", "PUT", "", "http://a", 200, "", "", true}, // not a browser's business to refuse
		{"/public/k", "GET", "", "http://a", 404, "", "", false},
		{"/nowhere/k", "GET", "", "http://a", 403, "", "", false},
		{"/", "GET", "", "http://a", 200, "", "", false},
	} {
		k := call{method: c.method, path: c.path, as: c.as}
		if c.origin != "" {
			k.header = []string{"Origin", c.origin}
		}
		a := r.do(k)
		h := a.Header
		if a.StatusCode != c.status || h.Get("Access-Control-Allow-Origin") != c.allow || h.Get("Access-Control-Expose-Headers") != c.expose || (h.Get("Vary") != "") != c.vary {
			t.Errorf("%+v: %d %v", c, a.StatusCode, h)
		}
	}
}

func TestRulesInAFile(t *testing.T) {
	want, err := ParseCORS([]byte(corsDocument))
	if err != nil {
		t.Fatal(err)
	}
	asJSON := `
 {"CORSRules": [
   {"AllowedMethods": ["GET", "HEAD"], "AllowedOrigins": ["*"], "MaxAgeSeconds": 3000},
   {"ID": "app & more", "AllowedOrigins": ["https://*.example.org", "http://localhost:3000"], "AllowedMethods": ["PUT", "DELETE"],
    "AllowedHeaders": ["X-Amz-*", "Content-Type"], "ExposeHeaders": ["ETag", "x-amz-request-id"]}]}
`
	if got, err := ParseCORS([]byte(asJSON)); err != nil || got != want {
		t.Errorf("%s, want %s: %v", got, want, err)
	}
	for _, file := range []string{"", "{}", `{"CORSRules": [{"ID": "a\u0001", "AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}]}`, "[]", "<CORSConfiguration/>", `{"CORSRules": [], "More": 1}`, asJSON + "{}",
		`{"CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["TRACE"]}]}`} {
		if got, err := ParseCORS([]byte(file)); !errors.Is(err, cairn.ErrInvalid) || got != "" {
			t.Errorf("%q: %q, %v", file, got, err)
		}
	}
}

func FuzzCORS(f *testing.F) {
	f.Add([]byte(corsDocument), "https://app.example.org", "PUT", "x-amz-date")
	f.Add([]byte(`{"CORSRules":[{"ID":"a\ufffe","AllowedOrigins":["*"],"AllowedMethods":["GET"]}]}`), "x", "GET", "")
	f.Add([]byte(`{"CORSRules":[{"AllowedOrigins":["a*b"],"AllowedMethods":["GET"]}]}`), "ab", "GET", "")
	f.Fuzz(func(t *testing.T, document []byte, origin, method, header string) {
		encoded, err := ParseCORS(document)
		if err != nil {
			return
		}
		if len(encoded) > maxCORSBytes {
			t.Fatalf("%d bytes", len(encoded))
		}
		again, err := ParseCORS([]byte(encoded))
		if err != nil || again != encoded {
			t.Fatalf("%q, again %q, %v", encoded, again, err)
		}
		rules, err := decodeCORS(encoded)
		if err != nil {
			t.Fatal(err)
		}
		out, err := xml.Marshal(corsXML{xml.Name{Local: "CORSConfiguration"}, s3Namespace, rules.escaped()})
		if err != nil {
			t.Fatal(err)
		}
		if shown, err := parseCORS(out); err != nil || shown != encoded {
			t.Fatalf("%q is shown as %q: %q, %v", encoded, out, shown, err)
		}
		rule, ok := rules.match(origin, method, []string{header})
		if ok && !strings.Contains(fmt.Sprint(rule.AllowedMethods), method) {
			t.Fatalf("%q allows %s", encoded, method)
		}
	})
}
