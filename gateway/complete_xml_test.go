package gateway

import (
	"encoding/xml"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const someETag = "0123456789abcdef0123456789abcdef"

// listXMLOf is a list of parts as SDKs write it.
func listXMLOf(parts []listedPart) string {
	var b strings.Builder
	b.WriteString(`<CompleteMultipartUpload xmlns="` + s3Namespace + `">`)
	for _, p := range parts {
		b.WriteString("<Part>")
		if p.sum.Algorithm != "" {
			fmt.Fprintf(&b, "<Checksum%[1]s>%[2]s</Checksum%[1]s>", p.sum.Algorithm, p.sum.Value)
		}
		fmt.Fprintf(&b, "<ETag>&quot;%s&quot;</ETag><PartNumber>%d</PartNumber></Part>", p.etag(), p.number)
	}
	b.WriteString("</CompleteMultipartUpload>")
	return b.String()
}

func TestListsOfPartsAsClientsWriteThem(t *testing.T) {
	part := func(etag string) string {
		return "<Part><PartNumber>7</PartNumber><ETag>" + etag + "</ETag></Part>"
	}
	for name, body := range map[string]string{
		"no namespace":         "<CompleteMultipartUpload>" + part(someETag) + "</CompleteMultipartUpload>",
		"namespace":            `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + part(someETag) + "</CompleteMultipartUpload>",
		"a prefix":             `<s3:CompleteMultipartUpload xmlns:s3="http://s3.amazonaws.com/doc/2006-03-01/"><s3:Part><s3:ETag>` + someETag + "</s3:ETag><s3:PartNumber>7</s3:PartNumber></s3:Part></s3:CompleteMultipartUpload>",
		"quotes":               "<CompleteMultipartUpload>" + part(`"`+someETag+`"`) + "</CompleteMultipartUpload>",
		"escaped quotes":       "<CompleteMultipartUpload>" + part("&quot;"+someETag+"&quot;") + "</CompleteMultipartUpload>",
		"numeric quotes":       "<CompleteMultipartUpload>" + part("&#34;"+someETag+"&#x22;") + "</CompleteMultipartUpload>",
		"upper case":           "<CompleteMultipartUpload>" + part(strings.ToUpper(someETag)) + "</CompleteMultipartUpload>",
		"declaration, comment": `<?xml version="1.0" encoding="UTF-8"?>` + "\n<!-- x --><CompleteMultipartUpload>\n  " + part("\n "+someETag+" \n") + "\n</CompleteMultipartUpload>\n",
		"unknown elements":     "<CompleteMultipartUpload><Foo><Part/></Foo>" + strings.Replace(part(someETag), "<ETag>", "<Size>5</Size><ETag>", 1) + "</CompleteMultipartUpload>",
		"CDATA":                "<CompleteMultipartUpload>" + part("<![CDATA[\""+someETag+"\"]]>") + "</CompleteMultipartUpload>",
	} {
		got, err := parseComplete(strings.NewReader(body))
		if err != nil || len(got) != 1 || got[0].number != 7 || got[0].etag() != someETag || got[0].sum.Algorithm != "" {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}

func TestWrongListsOfPartsAreRefused(t *testing.T) {
	wrap := func(s string) string {
		return "<CompleteMultipartUpload>" + s + "</CompleteMultipartUpload>"
	}
	part := func(n string) string {
		return "<Part><PartNumber>" + n + "</PartNumber><ETag>" + someETag + "</ETag></Part>"
	}
	for _, c := range []struct{ name, body, code string }{
		{"nothing", "", "MalformedXML"},
		{"no XML", "hello", "MalformedXML"},
		{"another root", "<Complete>" + part("1") + "</Complete>", "MalformedXML"},
		{"two roots", wrap(part("1")) + wrap(part("2")), "MalformedXML"},
		{"no end", "<CompleteMultipartUpload>" + part("1"), "MalformedXML"},
		{"crossed ends", "<CompleteMultipartUpload><Part></CompleteMultipartUpload></Part>", "MalformedXML"},
		{"no parts", wrap(""), "MalformedXML"},
		{"empty root", "<CompleteMultipartUpload/>", "MalformedXML"},
		{"text between parts", wrap(part("1") + "x"), "MalformedXML"},
		{"one very long element", wrap("<Part><ETag>" + strings.Repeat("a", 100<<10) + "</ETag></Part>"), "MalformedXML"},
		{"a very long comment", wrap("<!--" + strings.Repeat("a", 100<<10) + "-->" + part("1")), "MalformedXML"},
		{"text after the root", wrap(part("1")) + "x", "MalformedXML"},
		{"a document type", `<!DOCTYPE x [<!ENTITY e "1">]>` + wrap(part("&e;")), "MalformedXML"},
		{"an entity of its own", wrap(part("&e;")), "MalformedXML"},
		{"another encoding", `<?xml version="1.0" encoding="UTF-16"?>` + wrap(part("1")), "MalformedXML"},
		{"no number", wrap("<Part><ETag>" + someETag + "</ETag></Part>"), "MalformedXML"},
		{"no ETag", wrap("<Part><PartNumber>1</PartNumber></Part>"), "MalformedXML"},
		{"number that is none", wrap(part("one")), "MalformedXML"},
		{"part 0", wrap(part("0")), "InvalidArgument"},
		{"part -1", wrap(part("-1")), "InvalidArgument"},
		{"part 10001", wrap(part("10001")), "InvalidArgument"},
		{"a number twice", wrap(part("1") + part("1")), "InvalidPartOrder"},
		{"falling numbers", wrap(part("2") + part("1")), "InvalidPartOrder"},
		{"an empty ETag", wrap("<Part><PartNumber>3</PartNumber><ETag/></Part>"), "InvalidPart"},
		{"a short ETag", wrap("<Part><PartNumber>3</PartNumber><ETag>abc</ETag></Part>"), "InvalidPart"},
		{"an ETag that is not hex", wrap("<Part><PartNumber>3</PartNumber><ETag>" + strings.Repeat("g", 32) + "</ETag></Part>"), "InvalidPart"},
		{"a checksum that is none", wrap("<Part><PartNumber>3</PartNumber><ETag>" + someETag + "</ETag><ChecksumCRC32>AAA</ChecksumCRC32></Part>"), "InvalidRequest"},
		{"two checksums", wrap("<Part><PartNumber>3</PartNumber><ETag>" + someETag + "</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C></Part>"), "InvalidRequest"},
	} {
		got, err := parseComplete(strings.NewReader(c.body))
		var f *failure
		if !errors.As(err, &f) || f.code.name != c.code {
			t.Errorf("%s: %v %v, want %s", c.name, got, err, c.code)
			continue
		}
		if c.code == "InvalidPart" && !strings.Contains(f.message, "part 3 ") {
			t.Errorf("%s: %q does not name the part", c.name, f.message)
		}
	}
}

// most is the longest list that SDKs send.
func most() []listedPart {
	parts := make([]listedPart, 10_000)
	for i := range parts {
		parts[i].number = i + 1
		parts[i].sum.Algorithm = "SHA256"
		parts[i].sum.Value = sumOf("sha256", fmt.Sprint(i))
		parts[i].md5[0] = byte(i)
	}
	return parts
}

func TestTheLongestListFitsItsMemory(t *testing.T) {
	want := most()
	body := listXMLOf(want)
	if len(body) > maxCompleteBody {
		t.Fatalf("10,000 parts have %d bytes of XML, %d are allowed", len(body), maxCompleteBody)
	}
	held := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := held()
	got, err := parseComplete(strings.NewReader(body))
	after := held()
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("%d parts: %v", len(got), err)
	}
	if t.Logf("%d bytes of XML take %d", len(body), int64(after-before)); after-before > completeMemory {
		t.Errorf("10,000 parts take %d bytes, %d are reserved", after-before, completeMemory)
	}
	runtime.KeepAlive(got)
	runtime.KeepAlive(want)
	runtime.KeepAlive(body)
}

// Whatever is read as a list is a list that can be completed, and says the
// same when it is written down again.
func FuzzCompleteXML(f *testing.F) {
	f.Add(listXMLOf(most()[:3]))
	f.Add("<CompleteMultipartUpload><Part><PartNumber>7</PartNumber><ETag>\"" + someETag + "\"</ETag></Part></CompleteMultipartUpload>")
	f.Add(`<?xml version="1.0"?><a:CompleteMultipartUpload xmlns:a="x"><Part/><!-- - --></a:CompleteMultipartUpload>`)
	f.Add("<!DOCTYPE a><CompleteMultipartUpload><![CDATA[]]></CompleteMultipartUpload>")
	f.Fuzz(func(t *testing.T, body string) {
		parts, err := parseComplete(strings.NewReader(body))
		if err != nil {
			var known *failure
			if !errors.As(err, &known) || known.code.status != 400 {
				t.Fatalf("%v", err)
			}
			return
		}
		last := 0
		for _, p := range parts {
			if p.number <= last || p.number > 10_000 {
				t.Fatalf("part %d after %d", p.number, last)
			}
			last = p.number
		}
		if last == 0 || xml.Unmarshal([]byte(body), new(struct{})) != nil {
			t.Fatalf("%q was taken for a list", body)
		}
		again, err := parseComplete(strings.NewReader(listXMLOf(parts)))
		if err != nil || !slices.Equal(again, parts) {
			t.Fatalf("%v became %v, %v", parts, again, err)
		}
	})
}
