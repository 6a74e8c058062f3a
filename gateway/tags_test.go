package gateway

import (
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cairn-storage/cairn/store"
)

// tagsOf reads an object's tags as a client does, "k=v" each.
func (r *rig) tagsOf(path string) string {
	r.t.Helper()
	a := r.expect(call{method: "GET", path: path + "?tagging"}, 200, "")
	var x struct {
		XMLName xml.Name
		TagSet  struct{ Tag []struct{ Key, Value string } }
	}
	if err := xml.Unmarshal([]byte(a.body), &x); err != nil || x.XMLName.Local != "Tagging" || x.XMLName.Space != s3Namespace {
		r.t.Fatalf("%v in %s", err, a.body)
	}
	var all []string
	for _, t := range x.TagSet.Tag {
		all = append(all, t.Key+"="+t.Value)
	}
	return strings.Join(all, "|")
}

func tagging(tags ...string) string {
	var b strings.Builder
	b.WriteString("<Tagging><TagSet>")
	for i := 0; i < len(tags); i += 2 {
		fmt.Fprintf(&b, "<Tag><Key>%s</Key><Value>%s</Value></Tag>", escapeText(tags[i]).Escaped, escapeText(tags[i+1]).Escaped)
	}
	return b.String() + "</TagSet></Tagging>"
}

func TestTagsOfAnObject(t *testing.T) {
	r := newRig(t)
	r.expect(call{method: "PUT", path: "/private/k", body: content, header: []string{"Content-Type", "text/plain", "X-Amz-Tagging", "a=b&c+d=%26%3D%2B%25&empty"}}, 200, "")
	if got := r.tagsOf("/private/k"); got != "a=b|c d=&=+%|empty=" {
		t.Errorf("%q", got)
	}
	for _, method := range []string{"GET", "HEAD"} {
		h := r.expect(call{method: method, path: "/private/k"}, 200, "").Header
		if h.Get("X-Amz-Tagging-Count") != "3" || h.Get("X-Amz-Tagging") != "" {
			t.Errorf("%v", h)
		}
	}
	before, _ := r.stored("k")
	document := strings.Replace(tagging("x", "1", "é <&>", "2 ; 3"), "<Tagging>", `<?xml version="1.0" encoding="UTF-8"?><Tagging xmlns="`+s3Namespace+`">`, 1)
	r.expect(call{method: "PUT", path: "/private/k?tagging", body: document, header: []string{"Content-Md5", md5Base64(document)}}, 200, "")
	if got := r.tagsOf("/private/k"); got != "x=1|é <&>=2 ; 3" {
		t.Errorf("%q", got)
	}
	after, _ := r.stored("k")
	if after.ETag != before.ETag || after.Header["Content-Type"] != "text/plain" {
		t.Errorf("%+v", after.Object)
	}
	r.expect(call{method: "DELETE", path: "/private/k?tagging"}, 204, "")
	if got := r.tagsOf("/private/k"); got != "" {
		t.Errorf("%q", got)
	}
	if h := r.expect(call{method: "HEAD", path: "/private/k"}, 200, "").Header; h.Get("X-Amz-Tagging-Count") != "" {
		t.Errorf("%v", h)
	}
	r.expect(call{method: "PUT", path: "/private/k?tagging", body: tagging("x", "1")}, 200, "")
	r.expect(call{method: "PUT", path: "/private/k?tagging", body: tagging()}, 200, "")
	if got := r.tagsOf("/private/k"); got != "" {
		t.Errorf("%q", got)
	}
	for _, m := range []string{"GET", "PUT", "DELETE"} {
		body := ""
		if m == "PUT" {
			body = tagging("a", "b")
		}
		r.expect(call{method: m, path: "/private/none?tagging", body: body}, 404, "NoSuchKey")
		r.expect(call{method: m, path: "/private/k?tagging", body: body, as: "nothing"}, 403, "AccessDenied")
		r.expect(call{method: m, path: "/public/k?tagging", body: body, as: "-"}, 403, "AccessDenied")
	}
	r.expect(call{method: "PUT", path: "/private/k?tagging", body: tagging("a", "b"), as: "reader"}, 403, "AccessDenied")
	r.expect(call{method: "PUT", path: "/private/k?tagging", body: tagging("a", "b"), header: []string{"Content-Md5", md5Base64("else")}}, 400, "BadDigest")
	r.idle()
}

func TestLimitsOfTags(t *testing.T) {
	full := func(n int) (tags []string) {
		for i := range n {
			tags = append(tags, fmt.Sprint("key", i), "v")
		}
		return tags
	}
	query := func(tags []string) string {
		var pairs []string
		for i := 0; i < len(tags); i += 2 {
			pairs = append(pairs, awsEscape(tags[i], false)+"="+awsEscape(tags[i+1], false))
		}
		return strings.Join(pairs, "&")
	}
	var largest []string
	for i := range 10 {
		largest = append(largest, strings.Repeat("é", 127)+fmt.Sprint(i), strings.Repeat("é", 256))
	}
	for _, c := range []struct {
		name string
		tags []string
		code string
	}{
		{"ten", full(10), ""},
		{"eleven", full(11), "InvalidTag"},
		{"a key of 128 characters", []string{strings.Repeat("é", 128), "v"}, ""},
		{"a key of 129 characters", []string{strings.Repeat("k", 129), "v"}, "InvalidTag"},
		{"a value of 256 characters", []string{"k", strings.Repeat("é", 256)}, ""},
		{"a value of 257 characters", []string{"k", strings.Repeat("v", 257)}, "InvalidTag"},
		{"ten of the largest", largest, ""},
		{"no key", []string{"", "v"}, "InvalidTag"},
		{"no value", []string{"k", ""}, ""},
		{"a key twice", []string{"k", "1", "k", "2"}, "InvalidTag"},
		{"keys that differ in case", []string{"k", "1", "K", "2"}, ""},
		{"a reserved key", []string{"aws:k", "1"}, "InvalidTag"},
		{"a tab", []string{"k\tk", "1"}, "InvalidTag"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.put("private", "by-document", content)
			status := 200
			if c.code != "" {
				status = 400
			}
			r.expect(call{method: "PUT", path: "/private/by-document?tagging", body: tagging(c.tags...)}, status, c.code)
			if len(query(c.tags)) > 6<<10 { // more than all headers of a request may have
				if got := r.tagsOf("/private/by-document"); strings.Count(got, "|") != 9 {
					t.Errorf("%q", got)
				}
				return
			}
			r.expect(call{method: "PUT", path: "/private/by-header", body: content, header: []string{"X-Amz-Tagging", query(c.tags)}}, status, c.code)
			if c.code != "" {
				if _, ok := r.stored("by-header"); ok {
					t.Error("stored in spite of its tags")
				}
				return
			}
			if a, b := r.tagsOf("/private/by-document"), r.tagsOf("/private/by-header"); a != b || strings.Count(a, "|") != len(c.tags)/2-1 {
				t.Errorf("%q and %q", a, b)
			}
		})
	}
	r := newRig(t)
	var astral []string // ten full tags of four bytes a character have no room
	for i := range 10 {
		astral = append(astral, strings.Repeat("𝄞", 127)+fmt.Sprint(i), strings.Repeat("𝄞", 256))
	}
	r.put("private", "k", content)
	if a := r.expect(call{method: "PUT", path: "/private/k?tagging", body: tagging(astral...)}, 400, "InvalidTag"); !strings.Contains(a.body, "8192") {
		t.Errorf("%s", a.body)
	}
	r.expect(call{method: "PUT", path: "/private/k", body: content, header: []string{"X-Amz-Tagging", "a=%zz"}}, 400, "InvalidArgument")
	r.expect(call{method: "PUT", path: "/private/k", body: content, header: []string{"X-Amz-Tagging", "a=%01"}}, 400, "InvalidTag")
	r.expect(call{method: "PUT", path: "/private/k", body: content, header: []string{"X-Amz-Tagging", "a=%ff"}}, 400, "InvalidTag")
	r.expect(call{method: "PUT", path: "/private/k", body: content, header: []string{"X-Amz-Tagging", "a=%EF%BF%BE"}}, 400, "InvalidTag")
}

func TestDocumentsOfTags(t *testing.T) {
	r := newRig(t)
	r.put("private", "k", content)
	for _, c := range []struct{ document, code string }{
		{`<Tagging xmlns="urn:other"><TagSet><Tag><Value>v</Value><More/><Key>k</Key></Tag></TagSet><Extra a="b">x</Extra></Tagging>`, ""},
		{"\n<!-- why --><?pi?>" + tagging("k", "v") + "<!-- end -->\n", ""},
		{`<s:Tagging xmlns:s="x"><s:TagSet><s:Tag><s:Key>k</s:Key><s:Value><![CDATA[v]]></s:Value></s:Tag></s:TagSet></s:Tagging>`, ""},
		{`<Tagging/>`, "MalformedXML"},
		{``, "MalformedXML"},
		{`<TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet>`, "MalformedXML"},
		{tagging("k", "v") + tagging("k", "v"), "MalformedXML"},
		{tagging("k", "v") + "more", "MalformedXML"},
		{`<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>`, "MalformedXML"},
		{`<Tagging><TagSet><Tag><Value>k</Value></Tag></TagSet></Tagging>`, "MalformedXML"},
		{`<Tagging><TagSet>`, "MalformedXML"},
		{`<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><Tagging><TagSet><Tag><Key>&c;</Key><Value>v</Value></Tag></TagSet></Tagging>`, "MalformedXML"},
		{`<Tagging><TagSet><Tag><Key>&undefined;</Key><Value>v</Value></Tag></TagSet></Tagging>`, "MalformedXML"},
		{strings.Repeat("<Tagging>", 7000), "MalformedXML"},
		{tagging("k", strings.Repeat("v", 70_000)), "MalformedXML"},
	} {
		r.expect(call{method: "DELETE", path: "/private/k?tagging"}, 204, "")
		status, want := 400, ""
		if c.code == "" {
			status, want = 200, "k=v"
		}
		r.expect(call{method: "PUT", path: "/private/k?tagging", body: c.document}, status, c.code)
		if got := r.tagsOf("/private/k"); got != want {
			t.Errorf("%.200s gave %q", c.document, got)
		}
	}
	r.idle()
}

func FuzzTagging(f *testing.F) {
	f.Add([]byte(tagging("k", "v", "é", "&")), "a=b&c=%20+")
	f.Add([]byte("<Tagging><TagSet/></Tagging>"), "&&=")
	f.Fuzz(func(t *testing.T, document []byte, header string) {
		check := func(kept string) {
			tags, err := decodeTags(kept)
			if err != nil || len(tags) > maxTags || len(kept) > maxTagBytes || !utf8.ValidString(kept) {
				t.Fatalf("kept %q: %v", kept, err)
			}
			again, err := encodeTags(tags)
			if err != nil || again != kept {
				t.Fatalf("kept %q, again %q, %v", kept, again, err)
			}
		}
		if kept, err := parseTagging(document); err == nil {
			check(kept)
		}
		if kept, err := headerTags(map[string][]string{store.TagsHeader: {header}}); err == nil {
			check(kept)
		}
	})
}
