package sigv4

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// publishedQuery is the example of "Authenticating Requests: Using Query
// Parameters" in the S3 API reference.
const publishedQuery = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" +
	"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host" +
	"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"

func publishedPresigned() Request {
	return Request{Method: "GET", Path: "/test.txt", Query: publishedQuery, Host: "examplebucket.s3.amazonaws.com", Header: http.Header{}}
}

func TestThePublishedPresignedAddressVerifies(t *testing.T) {
	p, err := ParsePresigned(publishedQuery)
	if err != nil {
		t.Fatal(err)
	}
	if !p.At.Equal(exampleTime) || p.Expires != 24*time.Hour || p.AccessKey != exampleKey {
		t.Errorf("read as %+v", p)
	}
	for name, c := range map[string]struct {
		edit func(*Request)
		want error
	}{
		"as published":              {func(*Request) {}, nil},
		"a plain header added":      {func(r *Request) { r.Header.Set("Content-Type", "text/plain") }, nil},
		"the hash of a body added":  {func(r *Request) { r.Header.Set("X-Amz-Content-Sha256", EmptySHA256) }, nil},
		"an amz header added":       {func(r *Request) { r.Header.Set("X-Amz-Acl", "private") }, ErrUnsigned},
		"another method":            {func(r *Request) { r.Method = "HEAD" }, ErrMismatch},
		"another path":              {func(r *Request) { r.Path = "/test.text" }, ErrMismatch},
		"another host":              {func(r *Request) { r.Host = "s3.amazonaws.com" }, ErrMismatch},
		"a parameter added":         {func(r *Request) { r.Query += "&versionId=1" }, ErrMismatch},
		"a longer life":             {func(r *Request) { r.Query = strings.Replace(r.Query, "=86400", "=86401", 1) }, ErrMismatch},
		"the signature in disguise": {func(r *Request) { r.Query = strings.Replace(r.Query, "X-Amz-Signature", "X-Amz-%53ignature", 1) }, nil},
	} {
		r := publishedPresigned()
		c.edit(&r)
		if _, err := p.Verify(r, exampleSecret, Unsigned, p.At); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if _, err := p.Verify(publishedPresigned(), exampleSecret, EmptySHA256, p.At); !errors.Is(err, ErrMismatch) {
		t.Errorf("over another payload: %v", err)
	}
}

func TestASignedQueryHasOneForm(t *testing.T) {
	for _, c := range []struct{ name, old, new, says string }{
		{"as published", "", "", ""},
		{"parameters around it", "X-Amz-Algorithm", "a=b&&c&X-Amz-Algorithm", ""},
		{"one second", "86400", "1", ""},
		{"a week", "86400", "604800", ""},
		{"no time at all", "86400", "0", "X-Amz-Expires"},
		{"more than a week", "86400", "604801", "X-Amz-Expires"},
		{"a time before", "86400", "-1", "X-Amz-Expires"},
		{"a time that is none", "86400", "1h", "X-Amz-Expires"},
		{"a time beyond numbers", "86400", "99999999999999999999", "X-Amz-Expires"},
		{"another algorithm", "HMAC-SHA256", "ECDSA-P256-SHA256", "X-Amz-Algorithm"},
		{"no algorithm", "X-Amz-Algorithm=AWS4-HMAC-SHA256&", "", "X-Amz-Algorithm is missing"},
		{"no time", "&X-Amz-Expires=86400", "", "X-Amz-Expires is missing"},
		{"no date", "&X-Amz-Date=20130524T000000Z", "", "X-Amz-Date is missing"},
		{"no headers", "&X-Amz-SignedHeaders=host", "", "X-Amz-SignedHeaders is missing"},
		{"no signature", "X-Amz-Signature", "x-amz-signature", "X-Amz-Signature is missing"},
		{"a signature cut short", "604d404", "604d40", "64"},
		{"a date that is none", "20130524T000000Z", "20130524", "X-Amz-Date"},
		{"a date beside the scope's", "20130524T000000Z", "20130525T000000Z", "not that of X-Amz-Date"},
		{"a credential without a key", "AKIAIOSFODNN7EXAMPLE", "", "Credential"},
		{"a credential for another service", "%2Fs3%2F", "%2Fec2%2F", "Credential"},
		{"headers in capitals", "=host", "=Host", "SignedHeaders"},
		{"a parameter twice", "X-Amz-Expires=86400", "X-Amz-Expires=86400&X-Amz-Expires=86400", "given twice"},
		{"a parameter twice, once in disguise", "X-Amz-Expires=86400", "X-Amz-Expires=86400&X-Amz-%45xpires=1", "given twice"},
		{"an escape that is none", "X-Amz-Expires=86400", "X-Amz-Expires=%8", "percent"},
	} {
		query := strings.Replace(publishedQuery, c.old, c.new, 1)
		_, err := ParsePresigned(query)
		switch {
		case c.says == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.says != "" && (!errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: got %v, want %q", c.name, err, c.says)
		}
	}
}

// FuzzPresigned: whatever stands in a query, what is read of it is in bounds
// and what is signed over it verifies, with and without its signature.
func FuzzPresigned(f *testing.F) {
	f.Add(publishedQuery)
	f.Add("X-Amz-Expires=%3&&=&X-Amz-Date")
	f.Add(strings.Replace(publishedQuery, "X-Amz-Date", "a+b=c%20d&X-Amz-%44ate", 1))
	f.Fuzz(func(t *testing.T, query string) {
		p, err := ParsePresigned(query)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		if p.Expires < time.Second || p.Expires > MaxExpires || p.AccessKey == "" || len(p.Signature) != 64 {
			t.Fatalf("%q is read as %+v", query, p)
		}
		r := Request{Method: "GET", Path: "/b/k", Query: query, Host: "h", Header: http.Header{}}
		if _, err := p.Verify(r, "s", Unsigned, p.At); err == nil {
			t.Fatal("a made-up signature verifies")
		}
		p.Headers = []string{"host"}
		for _, q := range r.queries(p.Authorization) {
			if strings.Contains("&"+q, "&"+querySignature+"=") {
				t.Fatalf("the signature covers itself in %q", q)
			}
			sum := hexSHA(r.appendCanonical(nil, "/b/k", q, p.Headers, Unsigned))
			at := p.At.Format(TimeFormat)
			p.Signature = exampleSigner("s", p.Scope)("AWS4-HMAC-SHA256\n" + at + "\n" + p.Scope.String() + "\n" + sum)
			if _, err := p.Verify(r, "s", Unsigned, p.At); err != nil {
				t.Fatalf("%q: %v", q, err)
			}
		}
	})
}

// FuzzAuthorization: a header is read into what it says, or ErrMalformed.
func FuzzAuthorization(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=" + exampleScope + ", SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("a", 64))
	f.Add("AWS4-HMAC-SHA256 Credential=/////,SignedHeaders=;,Signature=")
	f.Fuzz(func(t *testing.T, header string) {
		a, err := ParseAuthorization(header)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		again, err := ParseAuthorization("AWS4-HMAC-SHA256 Signature=" + a.Signature + ",Credential=" + a.AccessKey + "/" + a.Scope.String() +
			",SignedHeaders=" + strings.Join(a.Headers, ";"))
		if err != nil || again.AccessKey != a.AccessKey || again.Scope != a.Scope || strings.Join(again.Headers, ";") != strings.Join(a.Headers, ";") {
			t.Fatalf("%+v reads back as %+v, %v", a, again, err)
		}
	})
}
