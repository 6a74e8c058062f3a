package gateway

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

func TestCompleteRefusesWhatDoesNotFit(t *testing.T) {
	r := newRig(t)
	big, small := randomText(1, minPart), "small"
	whole := big + small
	list := listOf(big, small)
	summed := func(algorithm string, bodies ...string) string {
		parts := []listedPart{}
		for i, b := range bodies {
			p := listedAs(i+1, b)
			p.sum.Algorithm, p.sum.Value = algorithm, sumOf(strings.ToLower(algorithm), b)
			parts = append(parts, p)
		}
		return listXMLOf(parts)
	}
	refused := map[string]upload{} // by how they began
	crc := []string{"X-Amz-Checksum-Algorithm", "CRC32"}
	full := append([]string{"X-Amz-Checksum-Type", "FULL_OBJECT"}, crc...)
	for _, c := range []struct {
		name    string
		begin   []string // headers of the upload
		list    string
		header  []string
		edit    func(*call)
		status  int
		code    string
		details string // what else must stand in the error
	}{
		{name: "not XML", list: "x", status: 400, code: "MalformedXML"},
		{name: "no body", list: "", status: 400, code: "MalformedXML"},
		{name: "no parts", list: listOf(), status: 400, code: "MalformedXML"},
		{name: "falling order", list: listXMLOf([]listedPart{listedAs(2, small), listedAs(1, big)}), status: 400, code: "InvalidPartOrder"},
		{name: "a part twice", list: listXMLOf([]listedPart{listedAs(1, big), listedAs(1, big)}), status: 400, code: "InvalidPartOrder"},
		{name: "a part that was not sent", list: listOf(big, small, "third"), status: 400, code: "InvalidPart", details: "part 3"},
		{name: "a wrong ETag", list: listOf(big, "other"), status: 400, code: "InvalidPart", details: "<PartNumber>2</PartNumber>"},
		{name: "an ETag of no part", list: strings.Replace(list, md5Hex(small), "xyz", 1), status: 400, code: "InvalidPart", details: "<PartNumber>2</PartNumber>"},
		{name: "a small part that is not the last", list: listXMLOf([]listedPart{listedAs(1, big), listedAs(2, small), listedAs(3, "last")}), status: 400, code: "EntityTooSmall",
			details: "<ProposedSize>5</ProposedSize><MinSizeAllowed>5242880</MinSizeAllowed><PartNumber>2</PartNumber><ETag>" + md5Hex(small) + "</ETag>"},
		{name: "the checksum of every part", begin: crc, list: summed("CRC32", big, small), status: 200},
		{name: "a part's checksum of another algorithm", begin: crc, list: summed("SHA1", big, small), status: 400, code: "InvalidPart"},
		{name: "a part's checksum that nobody sent", list: summed("SHA1", big, small), status: 400, code: "InvalidPart", details: "<PartNumber>1</PartNumber>"},
		{name: "a wrong checksum of a part", begin: crc, list: strings.Replace(summed("CRC32", big, small), sumOf("crc32", small), "AAAAAA==", 1), status: 400, code: "InvalidPart", details: "part 2"},
		{name: "a wrong composite", begin: crc, list: list, header: []string{"x-amz-checksum-crc32", "AAAAAA==-2"}, status: 400, code: "BadDigest"},
		{name: "a composite with another count", begin: crc, list: list, header: []string{"x-amz-checksum-crc32", strings.TrimSuffix(compositeOf("crc32", big, small), "2") + "3"}, status: 400, code: "BadDigest"},
		{name: "a composite without its count", begin: crc, list: list, header: []string{"x-amz-checksum-crc32", strings.TrimSuffix(compositeOf("crc32", big, small), "-2")}, status: 200},
		{name: "a wrong checksum of the whole", begin: full, list: list, header: []string{"x-amz-checksum-crc32", sumOf("crc32", whole+"x")}, status: 400, code: "BadDigest"},
		{name: "the composite where the whole is meant", begin: full, list: list, header: []string{"x-amz-checksum-crc32", compositeOf("crc32", big, small)}, status: 400, code: "InvalidRequest"},
		{name: "another checksum type", begin: full, list: list, header: []string{"X-Amz-Checksum-Type", "COMPOSITE"}, status: 400, code: "InvalidRequest"},
		{name: "another algorithm", begin: full, list: list, header: []string{"x-amz-checksum-sha1", sumOf("sha1", whole)}, status: 400, code: "InvalidRequest"},
		{name: "a checksum of an upload without", list: list, header: []string{"x-amz-checksum-crc32", sumOf("crc32", whole)}, status: 400, code: "InvalidRequest"},
		{name: "a checksum that is none", begin: full, list: list, header: []string{"x-amz-checksum-crc32", "x"}, status: 400, code: "InvalidRequest"},
		{name: "another size", list: list, header: []string{"X-Amz-Mp-Object-Size", "7"}, status: 400, code: "InvalidRequest"},
		{name: "a size that is none", list: list, header: []string{"X-Amz-Mp-Object-Size", "-7"}, status: 400, code: "InvalidArgument"},
		{name: "If-Match without an object", list: list, header: []string{"If-Match", `"x"`}, status: 404, code: "NoSuchKey"},
		{name: "a condition that cannot be read", list: list, header: []string{"If-Match", `"`}, status: 400, code: "InvalidArgument"},
		{name: "a list that does not have its hash", list: list, edit: func(c *call) {
			c.after = func(_ *http.Request, wire *[]byte) { (*wire)[len(*wire)-3] ^= 1 }
		}, status: 400, code: "XAmzContentSHA256Mismatch"},
		{name: "a list that does not have its MD5", list: list, header: []string{"Content-MD5", md5Base64("x")}, status: 400, code: "BadDigest"},
		{name: "a list that is too long", list: list + strings.Repeat(" ", maxCompleteBody), status: 400, code: "MaxMessageLengthExceeded"},
		{name: "another upload", list: list, edit: func(c *call) { c.path = "/private/k?uploadId=" + strings.Repeat("0", 32) }, status: 404, code: "NoSuchUpload"},
		{name: "no id", list: list, edit: func(c *call) { c.path = "/private/k?uploadId=" }, status: 404, code: "NoSuchUpload"},
		{name: "another key", list: list, edit: func(c *call) { c.path = strings.Replace(c.path, "/k?", "/l?", 1) }, status: 404, code: "NoSuchUpload"},
		{name: "another bucket", list: list, edit: func(c *call) { c.path = strings.Replace(c.path, "/private/", "/public/", 1) }, status: 404, code: "NoSuchUpload"},
		{name: "a key that may only read", list: list, edit: func(c *call) { c.as = "reader" }, status: 403, code: "AccessDenied"},
		{name: "an aws-chunked list", list: list, edit: func(c *call) { c.mode, c.chunk = modeChained, 64<<10 }, status: 200},
		{name: "no namespace, spaces around", list: "\n" + strings.Replace(list, ` xmlns="`+s3Namespace+`"`, "", 1) + "\n", status: 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.t = t
			u := refused[fmt.Sprint(c.begin)]
			if u.id == "" || c.status == 200 {
				u = r.begin(c.begin...)
				u.send(big, small)
			}
			if refused[fmt.Sprint(c.begin)] = u; c.status == 200 {
				delete(refused, fmt.Sprint(c.begin))
			}
			if c.code == "EntityTooSmall" {
				r.expect(u.part(3, "last"), 200, "")
			}
			ask := u.complete(c.list, c.header...)
			if c.edit != nil {
				c.edit(&ask)
			}
			a := r.expect(ask, c.status, c.code)
			if !strings.Contains(a.body, c.details) {
				t.Errorf("%q is not in %s", c.details, a.body)
			}
			if _, ok := r.stored("k"); ok != (c.status == 200) {
				t.Errorf("there is an object: %v", ok)
			}
			r.expect(call{method: "DELETE", path: "/private/k"}, 204, "")
		})
	}
	r.t = t
	for _, u := range refused { // nothing was lost by it
		r.expect(u.complete(list), 200, "")
	}
	r.idle()
}

// The conditions are those of the moment of completion, but an answer that was
// given once stays.
func TestCompleteObeysConditions(t *testing.T) {
	r := newRig(t)
	u := r.begin()
	u.send("x")
	old := r.put("private", "k", "old")
	r.expect(u.complete(listOf("x"), "If-None-Match", "*"), 412, "PreconditionFailed")
	r.expect(u.complete(listOf("x"), "If-Match", quote(md5Hex("another"))), 412, "PreconditionFailed")
	first := r.expect(u.complete(listOf("x"), "If-Match", quote(old.ETag)), 200, "")
	r.put("private", "k", "newer")
	if again := r.expect(u.complete(listOf("x"), "If-Match", quote(old.ETag)), 200, ""); again.body != first.body {
		t.Errorf("%s", again.body)
	}
	if o, _ := r.stored("k"); string(o.content) != "newer" {
		t.Errorf("the repetition wrote %q", o.content)
	}
}

func TestPartsAndCompletionsAtOnce(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MemoryBudget = smallestBudget })
	u := r.begin("X-Amz-Checksum-Algorithm", "CRC64NVME")
	const parts = 128
	bodies := make([]string, parts)
	for i := range bodies {
		bodies[i] = randomText(uint64(i), 1000+i)
	}
	var wg sync.WaitGroup
	for i, b := range bodies {
		wg.Go(func() {
			c := u.part(i+1, b, "X-Amz-Trailer", "x-amz-checksum-crc64nvme")
			c.mode, c.chunk, c.trailer = modeUnsignedTrailer, 64<<10, []string{"x-amz-checksum-crc64nvme:" + sumOf("crc64nvme", b)}
			r.expect(c, 200, "")
		})
	}
	wg.Wait()
	// One part is enough for an object here: the others would be too small.
	answers := make([]string, 16)
	for i := range answers {
		wg.Go(func() {
			answers[i] = r.expect(u.complete(listXMLOf([]listedPart{listedAs(128, bodies[127])})), 200, "").body
		})
	}
	wg.Wait()
	for _, a := range answers {
		if a != answers[0] {
			t.Errorf("%s\n%s", a, answers[0])
		}
	}
	if o, _ := r.stored("k"); string(o.content) != bodies[127] || o.Checksum[0].Value != sumOf("crc64nvme", bodies[127]) {
		t.Errorf("%v", o.Object)
	}
	r.idle()
}

func TestLocationIsTheClientsAddress(t *testing.T) {
	r := newRig(t)
	a := r.expect(call{method: "POST", path: "/private/a%20%26b/%C3%BC?uploads"}, 200, "")
	var begun struct {
		Key      string
		UploadID string `xml:"UploadId"`
	}
	if err := xml.Unmarshal([]byte(a.body), &begun); err != nil || begun.Key != "a &b/ü" {
		t.Fatalf("%v %s", err, a.body)
	}
	path := "/private/a%20%26b/%C3%BC"
	r.expect(call{method: "PUT", path: fmt.Sprintf("%s?uploadId=%s&partNumber=9", path, begun.UploadID), body: "x"}, 200, "")
	a = r.expect(call{method: "POST", path: path + "?uploadId=" + begun.UploadID, body: listXMLOf([]listedPart{listedAs(9, "x")}),
		before: func(req *http.Request) { req.Host = "s3.example.org:8443" }}, 200, "")
	var out completed
	if err := xml.Unmarshal([]byte(a.body), &out); err != nil || out.Location != "http://s3.example.org:8443"+path || out.Key != begun.Key {
		t.Errorf("%v %s", err, a.body)
	}
}
