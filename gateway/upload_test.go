package gateway

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// upload is a multipart upload of private/k as a client sees it.
type upload struct {
	r  *rig
	id string
}

// begin creates an upload.
func (r *rig) begin(header ...string) upload {
	r.t.Helper()
	a := r.expect(call{method: "POST", path: "/private/k?uploads", header: header}, 200, "")
	var out struct {
		XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ InitiateMultipartUploadResult"`
		Bucket   string
		Key      string
		UploadID string `xml:"UploadId"`
	}
	if err := xml.Unmarshal([]byte(a.body), &out); err != nil || out.Bucket != "private" || out.Key != "k" || len(out.UploadID) != 32 {
		r.t.Fatalf("%v in %s", err, a.body)
	}
	return upload{r, out.UploadID}
}

// part is the call that sends a part.
func (u upload) part(number int, body string, header ...string) call {
	return call{method: "PUT", path: fmt.Sprintf("/private/k?partNumber=%d&uploadId=%s", number, u.id), body: body, header: header, mode: modeUnsigned}
}

// send sends parts, numbered from 1.
func (u upload) send(bodies ...string) {
	u.r.t.Helper()
	for i, b := range bodies {
		a := u.r.expect(u.part(i+1, b), 200, "")
		if a.Header.Get("ETag") != quote(md5Hex(b)) || a.body != "" {
			u.r.t.Errorf("part %d: %v %q", i+1, a.Header, a.body)
		}
	}
}

// complete is the call that completes with a list.
func (u upload) complete(list string, header ...string) call {
	return call{method: "POST", path: "/private/k?uploadId=" + u.id, body: list, header: header}
}

// listOf is the list of parts with these bodies, numbered from 1.
func listOf(bodies ...string) string {
	parts := make([]listedPart, len(bodies))
	for i, b := range bodies {
		parts[i] = listedAs(i+1, b)
	}
	return listXMLOf(parts)
}

func listedAs(number int, body string) (p listedPart) {
	p.number = number
	if _, err := hex.Decode(p.md5[:], []byte(md5Hex(body))); err != nil {
		panic(err)
	}
	return p
}

// etagOf is S3's ETag of an object of these parts.
func etagOf(bodies ...string) string {
	var all []byte
	for _, b := range bodies {
		sum, err := hex.DecodeString(md5Hex(b))
		if err != nil {
			panic(err)
		}
		all = append(all, sum...)
	}
	return fmt.Sprintf("%s-%d", md5Hex(string(all)), len(bodies))
}

// compositeOf is S3's composite checksum of an object of these parts.
func compositeOf(name string, bodies ...string) string {
	var all []byte
	for _, b := range bodies {
		sum, err := base64.StdEncoding.DecodeString(sumOf(name, b))
		if err != nil {
			panic(err)
		}
		all = append(all, sum...)
	}
	return fmt.Sprintf("%s-%d", sumOf(name, string(all)), len(bodies))
}

// randomText is n bytes that do not repeat.
func randomText(seed uint64, n int) string {
	random := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := 0; i+8 <= n; i += 8 {
		v := random.Uint64()
		for j := range 8 {
			b[i+j] = byte(v >> (8 * j))
		}
	}
	return string(b)
}

// completed is the answer to CompleteMultipartUpload.
type completed struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUploadResult"`
	Location string
	Bucket   string
	Key      string
	ETag     string
	checksumsXML
}

func TestAnObjectOfPartsIsTheirBytesInOrder(t *testing.T) {
	r := newRig(t)
	bodies := []string{randomText(1, minPart+1), "end"}
	whole := strings.Join(bodies, "")
	for _, c := range []struct{ algorithm, kind, want, wantKind string }{
		{"", "", "", ""},
		{"CRC32", "", compositeOf("crc32", bodies...), "COMPOSITE"},
		{"crc32", "FULL_OBJECT", sumOf("crc32", whole), "FULL_OBJECT"},
		{"CRC32C", "COMPOSITE", compositeOf("crc32c", bodies...), "COMPOSITE"},
		{"CRC32C", "FULL_OBJECT", sumOf("crc32c", whole), "FULL_OBJECT"},
		{"CRC64NVME", "", sumOf("crc64nvme", whole), "FULL_OBJECT"},
		{"SHA1", "", compositeOf("sha1", bodies...), "COMPOSITE"},
		{"SHA256", "COMPOSITE", compositeOf("sha256", bodies...), "COMPOSITE"},
	} {
		t.Run(c.algorithm+c.kind, func(t *testing.T) {
			r.t = t
			header := []string{"Content-Type", "text/x-parts", "X-Amz-Meta-Who", "me", "X-Amz-Tagging", "a=b"}
			if c.algorithm != "" {
				header = append(header, "X-Amz-Checksum-Algorithm", c.algorithm)
			}
			if c.kind != "" {
				header = append(header, "X-Amz-Checksum-Type", c.kind)
			}
			u := r.begin(header...)
			// Any order, and a part may be sent again.
			a := r.expect(u.part(2, bodies[1]), 200, "")
			r.expect(u.part(1, "something else"), 200, "")
			sum := []string{}
			name := checksumPrefix + strings.ToLower(c.algorithm)
			if c.algorithm != "" { // some parts come with their checksum, of others it is computed
				sum = []string{name, sumOf(strings.ToLower(c.algorithm), bodies[0])}
			}
			r.expect(u.part(1, bodies[0], sum...), 200, "")
			if c.algorithm != "" && a.Header.Get(name) != sumOf(strings.ToLower(c.algorithm), bodies[1]) {
				t.Errorf("part 2 was answered with %v", a.Header)
			}
			header = []string{"X-Amz-Mp-Object-Size", fmt.Sprint(len(whole)), "If-None-Match", "*"}
			if c.want != "" {
				header = append(header, name, c.want, "X-Amz-Checksum-Type", c.wantKind)
			}
			first := r.expect(u.complete(listOf(bodies...), header...), 200, "")
			testCompleted(t, r, first, bodies, c.algorithm, c.want, c.wantKind)
			if again := r.expect(u.complete(listOf(bodies...), header...), 200, ""); again.body != first.body {
				t.Errorf("the second answer is %s\nthe first was %s", again.body, first.body)
			}
			r.expect(u.complete(listOf(bodies[1:]...)), 404, "NoSuchUpload")
			r.expect(u.part(4, "late"), 404, "NoSuchUpload")
			r.expect(call{method: "DELETE", path: "/private/k"}, 204, "")
		})
	}
	r.t = t
	r.idle()
}

func testCompleted(t *testing.T, r *rig, a answered, bodies []string, algorithm, sum, kind string) {
	var out completed
	if err := xml.Unmarshal([]byte(a.body), &out); err != nil {
		t.Fatal(err)
	}
	etag := etagOf(bodies...)
	if out.Location != r.srv.URL+"/private/k" || out.Bucket != "private" || out.Key != "k" || out.ETag != quote(etag) || out.ChecksumType != kind {
		t.Errorf("%s", a.body)
	}
	if algorithm != "" && out.of(algorithmNamed(algorithm)) != sum {
		t.Errorf("%s in %s", sum, a.body)
	}
	whole := strings.Join(bodies, "")
	got := r.expect(call{method: "GET", path: "/private/k", header: []string{"X-Amz-Checksum-Mode", "ENABLED"}}, 200, "")
	h := got.Header
	if got.body != whole || h.Get("ETag") != quote(etag) || h.Get("Content-Type") != "text/x-parts" || h.Get("X-Amz-Meta-Who") != "me" || h.Get("X-Amz-Tagging-Count") != "1" {
		t.Errorf("%d bytes of %d, %v", len(got.body), len(whole), h)
	}
	if algorithm != "" && (h.Get(checksumPrefix+algorithm) != sum || h.Get("X-Amz-Checksum-Type") != kind) {
		t.Errorf("%v, want %s %s", h, kind, sum)
	}
	o, _ := r.stored("k")
	if len(o.Parts) != len(bodies) || o.Parts[1] != int64(len(bodies[1])) {
		t.Errorf("parts %v", o.Parts)
	}
}

func TestCreateMultipartUpload(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		name   string
		call   call
		status int
		code   string
	}{
		{"a foreign Content-MD5, as Nix sends it", call{header: []string{"Content-MD5", md5Base64("the whole object")}}, 200, ""},
		{"a Content-MD5 that is none", call{header: []string{"Content-MD5", "x"}}, 200, ""},
		{"parameters that mean nothing", call{path: "/private/k?uploads=&x-id=CreateMultipartUpload"}, 200, ""},
		{"a type without an algorithm", call{header: []string{"X-Amz-Checksum-Type", "COMPOSITE"}}, 400, "InvalidRequest"},
		{"an unknown algorithm", call{header: []string{"X-Amz-Checksum-Algorithm", "MD6"}}, 400, "InvalidRequest"},
		{"an unknown type", call{header: []string{"X-Amz-Checksum-Algorithm", "CRC32", "X-Amz-Checksum-Type", "HALF"}}, 400, "InvalidRequest"},
		{"CRC64NVME of parts", call{header: []string{"X-Amz-Checksum-Algorithm", "CRC64NVME", "X-Amz-Checksum-Type", "COMPOSITE"}}, 400, "InvalidRequest"},
		{"SHA1 of the whole", call{header: []string{"X-Amz-Checksum-Algorithm", "SHA1", "X-Amz-Checksum-Type", "FULL_OBJECT"}}, 400, "InvalidRequest"},
		{"SHA256 of the whole", call{header: []string{"X-Amz-Checksum-Algorithm", "SHA256", "X-Amz-Checksum-Type", "FULL_OBJECT"}}, 400, "InvalidRequest"},
		{"too much metadata", call{header: []string{"X-Amz-Meta-A", strings.Repeat("x", 2100)}}, 400, "MetadataTooLarge"},
		{"no such bucket", call{path: "/absent/k?uploads", as: "admin"}, 404, "NoSuchBucket"},
		{"a key that may only read", call{as: "reader"}, 403, "AccessDenied"},
		{"the public", call{path: "/public/k?uploads", as: "-"}, 403, "AccessDenied"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.t = t
			if c.call.method = "POST"; c.call.path == "" {
				c.call.path = "/private/k?uploads"
			}
			before := len(r.store.uploads)
			a := r.expect(c.call, c.status, c.code)
			if made := len(r.store.uploads) - before; (made == 1) != (c.status == 200) {
				t.Errorf("%d uploads were made", made)
			}
			if a.Header.Get("X-Amz-Checksum-Algorithm") != "" {
				t.Errorf("an algorithm nobody asked for: %v", a.Header)
			}
		})
	}
	r.t = t
	a := r.expect(call{method: "POST", path: "/private/k?uploads", header: []string{"X-Amz-Checksum-Algorithm", "crc32c"}}, 200, "")
	if a.Header.Get("X-Amz-Checksum-Algorithm") != "CRC32C" || a.Header.Get("X-Amz-Checksum-Type") != "COMPOSITE" {
		t.Errorf("%v", a.Header)
	}
}

func TestAbortEndsAnUploadOnce(t *testing.T) {
	r := newRig(t)
	u := r.begin()
	u.send("x")
	abort := call{method: "DELETE", path: "/private/k?uploadId=" + u.id}
	forbidden := abort
	forbidden.as = "reader"
	r.expect(forbidden, 403, "AccessDenied")
	elsewhere := abort
	elsewhere.path = "/private/other?uploadId=" + u.id
	r.expect(elsewhere, 404, "NoSuchUpload")
	if a := r.expect(abort, 204, ""); a.body != "" {
		t.Errorf("%q", a.body)
	}
	r.expect(abort, 404, "NoSuchUpload")
	r.expect(u.part(1, "x"), 404, "NoSuchUpload")
	r.expect(u.complete(listOf("x")), 404, "NoSuchUpload")
	r.expect(call{method: "GET", path: abort.path}, 404, "NoSuchUpload")
	if _, ok := r.stored("k"); ok {
		t.Error("an object came of it")
	}
}

// What the store says of itself reaches the client from every operation.
func TestMultipartGivesTheStoresErrors(t *testing.T) {
	r := newRig(t)
	r.put("private", "source", "x")
	u := r.begin()
	r.store.fail = fmt.Errorf("store: %w", cairn.ErrUnavailable)
	copied := u.part(1, "", "X-Amz-Copy-Source", "/private/source")
	for _, c := range []call{
		{method: "POST", path: "/private/k?uploads"}, u.part(1, "x"), copied, u.complete(listOf("x")),
		{method: "GET", path: "/private/k?uploadId=" + u.id}, {method: "GET", path: "/private/k?max-parts=0&uploadId=" + u.id},
		{method: "GET", path: "/private?uploads"}, {method: "GET", path: "/private?uploads&max-uploads=0"},
		{method: "DELETE", path: "/private/k?uploadId=" + u.id},
	} {
		r.expect(c, 503, "ServiceUnavailable")
	}
	for _, err := range []error{store.ErrNoUpload, store.ErrNoPart} {
		if f := classify(fmt.Errorf("store: %w", err), false); f.code.name == "NoSuchKey" || f.code.name == "InvalidArgument" {
			t.Errorf("%v became %v", err, f)
		}
	}
	r.idle()
}
