package sigv4

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The examples of "Signature Calculations for the Authorization Header" in
// the S3 API reference, all with these credentials and this time.
const (
	exampleKey    = "AKIAIOSFODNN7EXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	exampleScope  = exampleKey + "/20130524/us-east-1/s3/aws4_request"
)

var exampleTime = time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)

type vector struct {
	name      string
	request   Request
	signed    string
	payload   string
	signature string
}

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func vectors() []vector {
	const host, at = "examplebucket.s3.amazonaws.com", "20130524T000000Z"
	const welcome = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
	return []vector{
		{"GET object with a range",
			Request{Method: "GET", Path: "/test.txt", Host: host,
				Header: header("Range", "bytes=0-9", "X-Amz-Content-Sha256", EmptySHA256, "X-Amz-Date", at)},
			"host;range;x-amz-content-sha256;x-amz-date", EmptySHA256,
			"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
		{"PUT object",
			Request{Method: "PUT", Path: "/test%24file.text", Host: host,
				Header: header("Date", "Fri, 24 May 2013 00:00:00 GMT", "X-Amz-Content-Sha256", welcome,
					"X-Amz-Date", at, "X-Amz-Storage-Class", "REDUCED_REDUNDANCY")},
			"date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", welcome,
			"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
		{"PUT object, respelled by an HTTP library",
			Request{Method: "PUT", Path: "/test$file.text", Host: host,
				Header: header("Date", "Fri, 24 May 2013 00:00:00 GMT", "X-Amz-Content-Sha256", welcome,
					"X-Amz-Date", at, "X-Amz-Storage-Class", "REDUCED_REDUNDANCY")},
			"date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", welcome,
			"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
		{"GET bucket lifecycle",
			Request{Method: "GET", Path: "/", Query: "lifecycle", Host: host,
				Header: header("X-Amz-Content-Sha256", EmptySHA256, "X-Amz-Date", at)},
			"host;x-amz-content-sha256;x-amz-date", EmptySHA256,
			"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
		{"GET bucket (list objects)",
			Request{Method: "GET", Path: "/", Query: "max-keys=2&prefix=J", Host: host,
				Header: header("X-Amz-Content-Sha256", EmptySHA256, "X-Amz-Date", at)},
			"host;x-amz-content-sha256;x-amz-date", EmptySHA256,
			"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
		{"list objects, query in another order",
			Request{Method: "GET", Path: "/", Query: "prefix=J&max-keys=2", Host: host,
				Header: header("X-Amz-Content-Sha256", EmptySHA256, "X-Amz-Date", at)},
			"host;x-amz-content-sha256;x-amz-date", EmptySHA256,
			"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
		{"PUT in signed chunks (the seed)", chunkedExample(Signed), chunkedHeaders, Signed,
			"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"},
		{"PUT in signed chunks with a trailer (the seed)", trailerExample(), trailerHeaders, SignedTrailer,
			"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"},
	}
}

const chunkedHeaders = "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class"
const trailerHeaders = "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer"

func chunkedExample(payload string) Request {
	return Request{Method: "PUT", Path: "/examplebucket/chunkObject.txt", Host: "s3.amazonaws.com", Length: 66824,
		Header: header("X-Amz-Date", "20130524T000000Z", "X-Amz-Storage-Class", "REDUCED_REDUNDANCY",
			"X-Amz-Content-Sha256", payload, "Content-Encoding", "aws-chunked",
			"X-Amz-Decoded-Content-Length", "66560", "Content-Length", "66824")}
}

func trailerExample() Request {
	r := chunkedExample(SignedTrailer)
	r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32c")
	return r
}

func (v vector) authorization(t *testing.T) Authorization {
	t.Helper()
	a, err := ParseAuthorization("AWS4-HMAC-SHA256 Credential=" + exampleScope + ",SignedHeaders=" + v.signed + ",Signature=" + v.signature)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestPublishedSignaturesVerify(t *testing.T) {
	for _, v := range vectors() {
		t.Run(v.name, func(t *testing.T) {
			if _, err := v.authorization(t).Verify(v.request, exampleSecret, v.payload, exampleTime); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAnyChangeOfASignedRequestIsAMismatch(t *testing.T) {
	for _, v := range vectors() {
		changes := []struct {
			name string
			do   func(r *Request, secret, payload *string, at *time.Time)
		}{
			{"method", func(r *Request, _, _ *string, _ *time.Time) { r.Method = "DELETE" }},
			{"path", func(r *Request, _, _ *string, _ *time.Time) { r.Path += "x" }},
			{"query", func(r *Request, _, _ *string, _ *time.Time) { r.Query += "&x=" }},
			{"host", func(r *Request, _, _ *string, _ *time.Time) { r.Host = "else" }},
			{"signed header", func(r *Request, _, _ *string, _ *time.Time) { r.Header.Set("X-Amz-Date", "20130524T000001Z") }},
			{"header given twice", func(r *Request, _, _ *string, _ *time.Time) { r.Header.Add("X-Amz-Content-Sha256", "b") }},
			{"secret", func(_ *Request, s, _ *string, _ *time.Time) { *s += "x" }},
			{"payload", func(_ *Request, _, p *string, _ *time.Time) { *p = Unsigned }},
			{"time", func(_ *Request, _, _ *string, at *time.Time) { *at = at.Add(time.Second) }},
		}
		for _, c := range changes {
			t.Run(v.name+"/"+c.name, func(t *testing.T) {
				r, secret, payload, at := v.request, exampleSecret, v.payload, exampleTime
				r.Header = r.Header.Clone()
				c.do(&r, &secret, &payload, &at)
				if _, err := v.authorization(t).Verify(r, secret, payload, at); !errors.Is(err, ErrMismatch) {
					t.Errorf("got %v, want ErrMismatch", err)
				}
			})
		}
	}
}

func TestWhatMattersMustBeSigned(t *testing.T) {
	for _, c := range []struct{ name, signed string }{
		{"host", "range;x-amz-content-sha256;x-amz-date"},
		{"date", "host;range;x-amz-content-sha256"},
		{"an amz header", "host;range;x-amz-date"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := vectors()[0]
			v.signed = c.signed
			if _, err := v.authorization(t).Verify(v.request, exampleSecret, v.payload, exampleTime); !errors.Is(err, ErrUnsigned) {
				t.Errorf("got %v, want ErrUnsigned", err)
			}
		})
	}
}

func TestAuthorizationHasOneForm(t *testing.T) {
	sig := strings.Repeat("a", 64)
	for _, c := range []struct {
		header string
		good   bool
	}{
		{"AWS4-HMAC-SHA256 Credential=" + exampleScope + ", SignedHeaders=host;x-amz-date, Signature=" + sig, true},
		{"AWS4-HMAC-SHA256 Signature=" + sig + ",SignedHeaders=host,Credential=a/b/20130524/x/s3/aws4_request", true},
		{"", false},
		{"AWS4-HMAC-SHA256", false},
		{"AWS4-HMAC-SHA256X Credential=" + exampleScope + ", SignedHeaders=host, Signature=" + sig, false},
		{"AWS AKID:sig", false},
		{"AWS4-HMAC-SHA256 Credential=" + exampleScope + ", SignedHeaders=host", false},
		{"AWS4-HMAC-SHA256 Credential=" + exampleScope + ", SignedHeaders=host, Signature=" + sig + ", Signature=" + sig, false},
		{"AWS4-HMAC-SHA256 Credential=" + exampleScope + ", SignedHeaders=host, Signature=" + sig + ", More=1", false},
		{"AWS4-HMAC-SHA256 Credential=" + exampleScope + ", SignedHeaders=host, Signature=" + sig[1:], false},
		{"AWS4-HMAC-SHA256 Credential=" + exampleScope + ", SignedHeaders=host, Signature=" + strings.ToUpper(sig), false},
		{"AWS4-HMAC-SHA256 Credential=" + exampleScope + ", SignedHeaders=Host, Signature=" + sig, false},
		{"AWS4-HMAC-SHA256 Credential=" + exampleScope + ", SignedHeaders=host;;date, Signature=" + sig, false},
		{"AWS4-HMAC-SHA256 Credential=/20130524/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=" + sig, false},
		{"AWS4-HMAC-SHA256 Credential=k/2013524/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=" + sig, false},
		{"AWS4-HMAC-SHA256 Credential=k/20130524//s3/aws4_request, SignedHeaders=host, Signature=" + sig, false},
		{"AWS4-HMAC-SHA256 Credential=k/20130524/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=" + sig, false},
	} {
		_, err := ParseAuthorization(c.header)
		if (err == nil) != c.good || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", c.header, err)
		}
	}
}

func TestCanonicalisation(t *testing.T) {
	for _, c := range []struct {
		name string
		r    Request
		want []string // one of the spellings must be METHOD path query value-of-x
	}{
		{"path is not encoded twice", Request{Method: "GET", Path: "/b/a%20b%2Bc"}, []string{"/b/a%20b%2Bc", ""}},
		{"plus in a path is a plus", Request{Method: "GET", Path: "/b/a+b"}, []string{"/b/a%2Bb", ""}},
		{"an escaped slash is kept as sent", Request{Method: "GET", Path: "/b/a%2Fb"}, []string{"/b/a%2Fb", ""}},
		{"lower-case escapes", Request{Method: "GET", Path: "/b/%c3%a9"}, []string{"/b/%C3%A9", ""}},
		{"dots and slashes stay", Request{Method: "GET", Path: "/b//a/../c"}, []string{"/b//a/../c", ""}},
		{"query sorts by name, then value", Request{Method: "GET", Path: "/b", Query: "a-b=1&a=2&a=1"}, []string{"/b", "a=1&a=2&a-b=1"}},
		{"a name alone gets its equals sign", Request{Method: "GET", Path: "/b", Query: "acl"}, []string{"/b", "acl="}},
		{"plus in a query as sent", Request{Method: "GET", Path: "/b", Query: "prefix=a+b"}, []string{"/b", "prefix=a+b"}},
		{"plus in a query as a space", Request{Method: "GET", Path: "/b", Query: "prefix=a+b"}, []string{"/b", "prefix=a%20b"}},
		{"a slash in a query is escaped", Request{Method: "GET", Path: "/b", Query: "prefix=a/b"}, []string{"/b", "prefix=a%2Fb"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, p := range c.r.paths() {
				for _, q := range c.r.queries(Authorization{}) {
					if p == c.want[0] && q == c.want[1] {
						return
					}
				}
			}
			t.Errorf("%q %q: want %q", c.r.paths(), c.r.queries(Authorization{}), c.want)
		})
	}
	r := Request{Header: header("X-A", "  a   b  ", "X-A", "c")}
	if got := string(r.appendValue(nil, "x-a")); got != "a b,c" {
		t.Errorf("header value %q, want %q", got, "a b,c")
	}
}

// FuzzCanonical: whatever a request looks like, a signature over either
// spelling of it verifies, and nothing panics.
func FuzzCanonical(f *testing.F) {
	f.Add("GET", "/b/a%20b", "prefix=a+b&x", "h", "  v  v ")
	f.Add("PUT", "", "&&==&%", "", "")
	f.Add("GET", "/%zz/%", "a=%2", "h:1", "\t")
	f.Fuzz(func(t *testing.T, method, path, query, host, value string) {
		r := Request{Method: method, Path: path, Query: query, Host: host, Header: header("X-Amz-Date", "20130524T000000Z", "X-Amz-V", value)}
		signed := []string{"host", "x-amz-date", "x-amz-v"}
		a := Authorization{AccessKey: "k", Scope: Scope{"20130524", "r"}, Headers: signed, Signature: strings.Repeat("0", 64)}
		if _, err := a.Verify(r, "s", Unsigned, exampleTime); !errors.Is(err, ErrMismatch) {
			t.Fatalf("got %v, want ErrMismatch", err)
		}
		for _, p := range r.paths() {
			for _, q := range r.queries(a) {
				a.Signature = signExample(r.appendCanonical(nil, p, q, signed, Unsigned), a.Scope)
				if _, err := a.Verify(r, "s", Unsigned, exampleTime); err != nil {
					t.Fatalf("%q %q: %v", p, q, err)
				}
			}
		}
		if plain, err := Unescape(path, false); err == nil {
			again, err := Unescape(string(AppendEscaped(nil, plain, true)), false)
			if err != nil || again != plain {
				t.Fatalf("%q: escaping changed %q into %q (%v)", path, plain, again, err)
			}
		}
	})
}
