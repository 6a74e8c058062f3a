package gateway

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
)

// signer is the client's side of SigV4, written from AWS's description and
// apart from the code under test; TestSignerMakesThePublishedSignatures
// proves it.
type signer struct {
	id, secret, region string
	at                 time.Time
}

func hexSum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func (s signer) scope() string {
	return s.at.UTC().Format("20060102") + "/" + s.region + "/s3/aws4_request"
}

func (s signer) stamp() string { return s.at.UTC().Format("20060102T150405Z") }

// mac signs one string to sign.
func (s signer) mac(text string) string {
	key := []byte("AWS4" + s.secret)
	for _, step := range append(strings.Split(s.scope(), "/"), text) {
		h := hmac.New(sha256.New, key)
		io.WriteString(h, step)
		key = h.Sum(nil)
	}
	return hex.EncodeToString(key)
}

// sign adds the Authorization header for all headers that r has. payload
// stands in the canonical request; whether it is also sent is the caller's.
func (s signer) sign(r *http.Request, payload string) (signature string) {
	values := map[string]string{"host": r.Host}
	for k, v := range r.Header {
		trimmed := make([]string, len(v))
		for i := range v {
			trimmed[i] = strings.Join(strings.Fields(v[i]), " ")
		}
		values[strings.ToLower(k)] = strings.Join(trimmed, ",")
	}
	var names []string
	for k := range values {
		names = append(names, k)
	}
	sort.Strings(names)
	var headers strings.Builder
	for _, k := range names {
		headers.WriteString(k + ":" + values[k] + "\n")
	}
	signed := strings.Join(names, ";")
	canonical := strings.Join([]string{r.Method, awsEscape(r.URL.Path, true), canonicalQuery(r.URL.Query()), headers.String(), signed, payload}, "\n")
	signature = s.mac("AWS4-HMAC-SHA256\n" + s.stamp() + "\n" + s.scope() + "\n" + hexSum([]byte(canonical)))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+s.id+"/"+s.scope()+", SignedHeaders="+signed+", Signature="+signature)
	return signature
}

func canonicalQuery(values url.Values) string {
	var names, pairs []string
	for k := range values {
		names = append(names, k)
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(awsEscape(a, false), awsEscape(b, false)) })
	for _, k := range names {
		vs := slices.Clone(values[k])
		slices.SortFunc(vs, func(a, b string) int { return strings.Compare(awsEscape(a, false), awsEscape(b, false)) })
		for _, v := range vs {
			pairs = append(pairs, awsEscape(k, false)+"="+awsEscape(v, false))
		}
	}
	return strings.Join(pairs, "&")
}

// presign puts a signature into r's query. signed are the headers of r to sign
// beside the host.
func (s signer) presign(r *http.Request, expires time.Duration, payload string, signed ...string) {
	names := append([]string{"host"}, signed...)
	slices.Sort(names)
	var headers strings.Builder
	for _, k := range names {
		v := r.Header.Get(k)
		if k == "host" {
			v = r.Host
		}
		headers.WriteString(k + ":" + v + "\n")
	}
	q := r.URL.Query()
	for k, v := range map[string]string{"Algorithm": "AWS4-HMAC-SHA256", "Credential": s.id + "/" + s.scope(), "Date": s.stamp(),
		"Expires": strconv.Itoa(int(expires / time.Second)), "SignedHeaders": strings.Join(names, ";")} {
		q.Set("X-Amz-"+k, v)
	}
	canonical := strings.Join([]string{r.Method, awsEscape(r.URL.Path, true), canonicalQuery(q), headers.String(), strings.Join(names, ";"), payload}, "\n")
	q.Set("X-Amz-Signature", s.mac("AWS4-HMAC-SHA256\n"+s.stamp()+"\n"+s.scope()+"\n"+hexSum([]byte(canonical))))
	r.URL.RawQuery = canonicalQuery(q)
}

func awsEscape(s string, path bool) string {
	s = strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
	if path {
		s = strings.ReplaceAll(s, "%2F", "/")
	}
	return s
}

// chunks is the aws-chunked encoding of content; signed when seed is given.
func (s signer) chunks(content []byte, size int, seed string, trailer ...string) []byte {
	var out bytes.Buffer
	head := s.stamp() + "\n" + s.scope() + "\n"
	for first := true; first || len(content) > 0; first = false {
		if len(content) == 0 {
			break
		}
		n := min(size, len(content))
		s.chunk(&out, content[:n], &seed, head)
		out.Write(content[:n])
		out.WriteString("\r\n")
		content = content[n:]
	}
	s.chunk(&out, nil, &seed, head)
	for _, t := range trailer {
		out.WriteString(t + "\r\n")
	}
	if seed != "" && len(trailer) > 0 {
		fmt.Fprintf(&out, "x-amz-trailer-signature:%s\r\n", s.mac("AWS4-HMAC-SHA256-TRAILER\n"+head+seed+"\n"+hexSum([]byte(strings.Join(trailer, "\n")+"\n"))))
	}
	out.WriteString("\r\n")
	return out.Bytes()
}

func (s signer) chunk(out *bytes.Buffer, content []byte, seed *string, head string) {
	fmt.Fprintf(out, "%x", len(content))
	if *seed != "" {
		*seed = s.mac("AWS4-HMAC-SHA256-PAYLOAD\n" + head + *seed + "\n" + hexSum(nil) + "\n" + hexSum(content))
		fmt.Fprintf(out, ";chunk-signature=%s", *seed)
	}
	out.WriteString("\r\n")
}

func TestSignerMakesThePublishedSignatures(t *testing.T) {
	s := signer{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1", time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)}
	empty := hexSum(nil)
	welcome := hexSum([]byte("Welcome to Amazon S3."))
	for _, c := range []struct {
		name, method, url, payload string
		header                     []string
		want                       string
	}{
		{"GET object", "GET", "http://examplebucket.s3.amazonaws.com/test.txt", empty, []string{"Range", "bytes=0-9"},
			"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
		{"PUT object", "PUT", "http://examplebucket.s3.amazonaws.com/test%24file.text", welcome,
			[]string{"Date", "Fri, 24 May 2013 00:00:00 GMT", "X-Amz-Storage-Class", "REDUCED_REDUNDANCY"},
			"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
		{"GET bucket lifecycle", "GET", "http://examplebucket.s3.amazonaws.com/?lifecycle", empty, nil,
			"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
		{"list objects", "GET", "http://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J", empty, nil,
			"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
		{"chunked upload", "PUT", "http://s3.amazonaws.com/examplebucket/chunkObject.txt", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
			[]string{"X-Amz-Storage-Class", "REDUCED_REDUNDANCY", "Content-Encoding", "aws-chunked", "X-Amz-Decoded-Content-Length", "66560", "Content-Length", "66824"},
			"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := http.NewRequest(c.method, c.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(c.header); i += 2 {
				r.Header.Set(c.header[i], c.header[i+1])
			}
			r.Header.Set("X-Amz-Date", s.stamp())
			r.Header.Set("X-Amz-Content-Sha256", c.payload)
			if got := s.sign(r, c.payload); got != c.want {
				t.Errorf("signature %s, published is %s", got, c.want)
			}
		})
	}
	r, err := http.NewRequest("GET", "http://examplebucket.s3.amazonaws.com/test.txt", nil)
	if err != nil {
		t.Fatal(err)
	}
	s.presign(r, 24*time.Hour, modeUnsigned)
	if got, want := r.URL.Query().Get("X-Amz-Signature"), "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"; got != want {
		t.Errorf("presigned with %s, published is %s", got, want)
	}
	seed := "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
	wire := string(s.chunks(bytes.Repeat([]byte("a"), 66560), 65536, seed))
	if len(wire) != 66824 {
		t.Errorf("%d bytes, published are 66824", len(wire))
	}
	for _, want := range []string{
		"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
		"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
		"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
	} {
		if !strings.Contains(wire, want) {
			t.Errorf("chunk signature %s is missing", want)
		}
	}
	seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
	wire = string(s.chunks(bytes.Repeat([]byte("a"), 66560), 65536, seed, "x-amz-checksum-crc32c:sOO8/Q=="))
	if !strings.Contains(wire, "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435") {
		t.Error("the published trailer signature is missing")
	}
}
