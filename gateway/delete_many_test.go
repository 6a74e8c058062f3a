package gateway

import (
	"context"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// deletion is a Delete document of keys.
func deletion(keys ...string) string {
	var b strings.Builder
	b.WriteString("<Delete>")
	for _, k := range keys {
		b.WriteString("<Object><Key>" + escapeText(k).Escaped + "</Key></Object>")
	}
	return b.String() + "</Delete>"
}

// deleting is a DeleteObjects as writer.
func deleting(document string) call {
	return call{method: "POST", path: "/private?delete", body: document, header: []string{"Content-Md5", md5Base64(document)}}
}

// deleted reads a DeleteResult: keys that are gone, and "key: code" of others.
func (r *rig) deleted(c call) (gone, failed []string) {
	r.t.Helper()
	a := r.expect(c, 200, "")
	var x struct {
		XMLName xml.Name
		Deleted []struct{ Key string }
		Error   []struct{ Key, Code, Message string }
	}
	if err := xml.Unmarshal([]byte(a.body), &x); err != nil || x.XMLName.Local != "DeleteResult" {
		r.t.Fatalf("%v in %s", err, a.body)
	}
	for _, d := range x.Deleted {
		gone = append(gone, d.Key)
	}
	for _, e := range x.Error {
		if e.Message == "" {
			r.t.Errorf("no message for %q", e.Key)
		}
		failed = append(failed, e.Key+": "+e.Code)
	}
	return gone, failed
}

func TestManyObjectsAreDeletedAtOnce(t *testing.T) {
	r := newRig(t)
	var keys []string
	for i := range 999 {
		keys = append(keys, fmt.Sprintf("some/key %d&<>", i))
		r.put("private", keys[i], "x")
	}
	r.put("private", "kept", "x")
	keys = append(keys, "missing")
	gone, failed := r.deleted(deleting(deletion(keys...)))
	if !slices.Equal(gone, keys) || failed != nil || len(r.store.objects) != 1 {
		t.Errorf("%d gone, failed %v, %d left", len(gone), failed, len(r.store.objects))
	}
	r.put("private", "a", "x")
	quiet := strings.Replace(deletion("a", "missing"), "<Delete>", `<Delete xmlns="`+s3Namespace+`"><Quiet>true</Quiet>`, 1)
	if gone, failed := r.deleted(deleting(quiet)); gone != nil || failed != nil || len(r.store.objects) != 1 {
		t.Errorf("quiet: %v, %v, %d left", gone, failed, len(r.store.objects))
	}
	r.expect(deleting(deletion(append(keys, "one more")...)), 400, "MalformedXML")
	r.idle()
}

func TestEachKeyIsDecidedOnItsOwn(t *testing.T) {
	r := newRig(t)
	for _, k := range []string{"a", "b", "c", "d", "e"} {
		r.put("private", k, k)
	}
	document := `<?xml version="1.0"?><Delete><Object><Key>a</Key><ETag>` + md5Hex("a") + `</ETag></Object>
		<Object><ETag>&quot;` + md5Hex("else") + `&quot;</ETag><Key>b</Key></Object>
		<Object><VersionId>null</VersionId><Key>c</Key><Else/></Object>
		<Object><Key>d</Key><VersionId>17</VersionId></Object>
		<Object><Key>e</Key><Size>1</Size></Object>
		<Object><Key>` + strings.Repeat("k", 1025) + `</Key></Object>
		<Object><Key>f</Key><ETag>"</ETag></Object></Delete>`
	gone, failed := r.deleted(deleting(document))
	want := []string{"b: PreconditionFailed", "d: NotImplemented", "e: NotImplemented", strings.Repeat("k", 1025) + ": KeyTooLongError", "f: InvalidArgument"}
	if !slices.Equal(gone, []string{"a", "c"}) || !slices.Equal(failed, want) {
		t.Errorf("gone %q, failed %q", gone, failed)
	}
	for k, there := range map[string]bool{"a": false, "b": true, "c": false, "d": true, "e": true} {
		if _, ok := r.stored(k); ok != there {
			t.Errorf("%s is there: %v", k, ok)
		}
	}
	r.idle()
}

func TestADeletionIsProvenBeforeAnythingGoes(t *testing.T) {
	r := newRig(t)
	r.put("private", "k", content)
	document := deletion("k")
	with := func(header ...string) call {
		return call{method: "POST", path: "/private?delete", body: document, header: header}
	}
	r.expect(with(), 400, "InvalidRequest")
	r.expect(with("Content-Md5", md5Base64("else")), 400, "BadDigest")
	r.expect(with("Content-Md5", "nonsense"), 400, "InvalidDigest")
	r.expect(with("X-Amz-Checksum-Sha256", sumOf("sha256", "else")), 400, "BadDigest")
	unsigned := with("X-Amz-Trailer", "x-amz-checksum-crc32")
	unsigned.mode, unsigned.trailer = modeUnsignedTrailer, []string{"x-amz-checksum-crc32:" + sumOf("crc32", "else")}
	r.expect(unsigned, 400, "BadDigest")
	for _, d := range []string{"<Delete/>", "<Delete>", "<Remove><Object><Key>k</Key></Object></Remove>", "<Delete><Object/></Delete>",
		"<Delete><Object><Key></Key></Object></Delete>", "<Delete><Quiet>maybe</Quiet><Object><Key>k</Key></Object></Delete>",
		deletion("k") + deletion("k"), "<!DOCTYPE x [<!ENTITY a 'k'>]><Delete><Object><Key>&a;</Key></Object></Delete>",
		"<Delete><Object><Key>k</Key></Object><Object><Key>\xff</Key></Object></Delete>", ""} {
		r.expect(deleting(d), 400, "MalformedXML")
	}
	r.expect(call{method: "POST", path: "/nowhere?delete", body: document, as: "admin", header: []string{"Content-Md5", md5Base64(document)}}, 404, "NoSuchBucket")
	for _, as := range []string{"reader", "nothing", "-"} {
		c := deleting(document)
		c.as = as
		r.expect(c, 403, "AccessDenied")
	}
	if _, ok := r.stored("k"); !ok {
		t.Fatal("it is gone")
	}
	for _, c := range []call{
		with("X-Amz-Checksum-Crc32", sumOf("crc32", document)), with("X-Amz-Checksum-Crc64nvme", sumOf("crc64nvme", document)),
		{method: "POST", path: "/private?delete", body: document, mode: modeUnsignedTrailer, header: []string{"X-Amz-Trailer", "x-amz-checksum-crc32"},
			trailer: []string{"x-amz-checksum-crc32:" + sumOf("crc32", document)}},
	} {
		r.put("private", "k", content)
		if gone, _ := r.deleted(c); !slices.Equal(gone, []string{"k"}) {
			t.Errorf("%v: %v", c.header, gone)
		}
	}
	r.idle()
}

// Keys that XML 1.0 has no words for are deleted by whatever spelling clients
// have for them, and no other key is.
func TestDeletingKeysWithControlCharacters(t *testing.T) {
	for _, c := range []struct{ sent, key string }{
		{"a\x01b", "a\x01b"},
		{"a&#1;b", "a\x01b"},
		{"a&#x1;b", "a\x01b"},
		{"a&#x0001;b", "a\x01b"},
		{"a&#x1F;b\x1f", "a\x1fb\x1f"},
		{"\x7f?&#127;", "\x7f?\x7f"},
		{"\x7fA", "\x7fA"},
		{"&#0;", "\x00"},
		{"a&#10;b&#13;c&#9;", "a\nb\rc\t"},
		{"\uffff&#xfffe;", "\uffff\ufffe"},
		{"&amp;#1;", "&#1;"},
		{"<![CDATA[a&#1;b]]>", "a&#1;b"},
		{"<![CDATA[a\x01b]]>", "a\x01b"},
		{"<!-- &#1; <![CDATA[ -->a<![CDATA[&#2;]]>", "a&#2;"},
		{" a ", " a "},
		{"&#x1F4A9;é", "💩é"},
	} {
		r := newRig(t)
		r.put("private", c.key, "x")
		r.put("private", "other", "x")
		document := "<Delete><Object><Key>" + c.sent + "</Key></Object></Delete>"
		a := r.expect(deleting(document), 200, "")
		if len(r.store.objects) != 1 || !strings.Contains(a.body, "<Deleted><Key>"+escapeText(c.key).Escaped+"</Key>") {
			t.Errorf("%q: %d left, %s", c.sent, len(r.store.objects), a.body)
		}
	}
}

// widthStore counts how many deletes are with it at a time.
type widthStore struct {
	*memStore
	now, most atomic.Int64
	full      chan struct{} // closed once deleteWidth are in at the same time
	once      sync.Once
	fail      error
}

func (w *widthStore) Delete(ctx context.Context, k cairn.Key, c store.Condition) error {
	n := w.now.Add(1)
	defer w.now.Add(-1)
	for {
		most := w.most.Load()
		if n <= most || w.most.CompareAndSwap(most, n) {
			break
		}
	}
	if n == deleteWidth {
		w.once.Do(func() { close(w.full) })
	}
	select {
	case <-w.full:
	case <-ctx.Done():
		return ctx.Err()
	}
	if w.fail != nil {
		return w.fail
	}
	if k.Object == "panic" {
		panic("a bug in the store")
	}
	return w.memStore.Delete(ctx, k, c)
}

func TestDeletesOfOneRequestAreBounded(t *testing.T) {
	w := &widthStore{full: make(chan struct{})}
	r := newRig(t, func(c *Config) { w.memStore = c.Store.(*memStore); c.Store = w })
	var keys []string
	for i := range 3*deleteWidth + 1 {
		keys = append(keys, fmt.Sprint(i))
		r.put("private", keys[i], "x")
	}
	gone, failed := r.deleted(deleting(deletion(keys...)))
	if len(gone) != len(keys) || failed != nil || w.most.Load() != deleteWidth || w.now.Load() != 0 {
		t.Errorf("%d gone, %v failed, %d at once, %d still there", len(gone), failed, w.most.Load(), w.now.Load())
	}
}

func TestAFailingStoreIsToldPerKey(t *testing.T) {
	w := &widthStore{full: make(chan struct{}), fail: fmt.Errorf("node garage: %w", cairn.ErrUnavailable)}
	close(w.full)
	r := newRig(t, func(c *Config) { w.memStore = c.Store.(*memStore); c.Store = w })
	gone, failed := r.deleted(deleting(deletion("a", "b")))
	if gone != nil || !slices.Equal(failed, []string{"a: ServiceUnavailable", "b: ServiceUnavailable"}) {
		t.Errorf("gone %v, failed %v", gone, failed)
	}
	if l := r.log.String(); !strings.Contains(l, "level=WARN") || !strings.Contains(l, "objects=2") || strings.Contains(l, "garage") {
		t.Errorf("log: %s", l)
	}
	w.fail = nil
	r.expect(deleting(deletion("a", "panic")), 500, "InternalError")
	r.idle()
}

func TestALargeDeletionFitsItsBudget(t *testing.T) {
	var keys []string
	for i := range 1000 {
		keys = append(keys, fmt.Sprintf("%04d&", i)+strings.Repeat("k", 1015))
	}
	document := deletion(keys...)
	r := newRig(t)
	if gone, _ := r.deleted(deleting(document)); len(gone) != 1000 || len(document) < 1<<20 {
		t.Errorf("%d gone of %d bytes", len(gone), len(document))
	}
	r.expect(deleting(document+strings.Repeat(" ", maxDeleteDocument)), 400, "MalformedXML")
	r.idle()
	small := newRig(t, func(c *Config) { c.MemoryBudget = smallestBudget })
	small.expect(deleting(document), 400, "MalformedXML") // at once, not after waiting for what cannot come
	small.idle()
}

func TestADeleteWithACondition(t *testing.T) {
	r := newRig(t)
	r.put("private", "k", content)
	r.expect(call{method: "DELETE", path: "/private/k", header: []string{"If-Match", quote(md5Hex("else"))}}, 412, "PreconditionFailed")
	r.expect(call{method: "DELETE", path: "/private/k", header: []string{"If-Match", `"`}}, 400, "InvalidArgument")
	if _, ok := r.stored("k"); !ok {
		t.Fatal("it is gone")
	}
	r.expect(call{method: "DELETE", path: "/private/k", header: []string{"If-Match", quote(md5Hex(content))}}, 204, "")
	if _, ok := r.stored("k"); ok {
		t.Error("it is still there")
	}
	r.put("private", "k", content)
	r.expect(call{method: "DELETE", path: "/private/k", header: []string{"If-Match", "*"}}, 204, "")
	r.expect(call{method: "DELETE", path: "/private/k"}, 204, "")
}

func FuzzDelete(f *testing.F) {
	f.Add([]byte(deletion("a", "b&c")))
	f.Add([]byte("<Delete><Quiet>true</Quiet><Object><Key>a\x01&#2;<![CDATA[&#3;]]></Key><ETag>x</ETag></Object></Delete>"))
	f.Add([]byte("<!DOCTYPE x><Delete/>"))
	f.Fuzz(func(t *testing.T, document []byte) {
		hiddenForm := hideControls(document)
		if len(hiddenForm) > 2*len(document) {
			t.Fatalf("%d bytes became %d", len(document), len(hiddenForm))
		}
		entries, _, err := parseDelete(document)
		var plain deleteXML
		perr := parseXML(document, "Delete", &plain)
		if err != nil {
			if f := classify(err, false); f.code != codeMalformedXML {
				t.Fatalf("%q: %v", document, err)
			}
			return
		}
		for _, e := range entries {
			if *e.Key == "" || !utf8.ValidString(*e.Key) {
				t.Fatalf("%q names %q", document, *e.Key)
			}
		}
		// What XML can say means the same as without the hiding.
		if perr != nil {
			return
		}
		if len(plain.Object) != len(entries) {
			t.Fatalf("%q: %d keys, %d by the plain parser", document, len(entries), len(plain.Object))
		}
		for i, e := range entries {
			if plain.Object[i].Key == nil || *plain.Object[i].Key != *e.Key {
				t.Fatalf("%q: %q, by the plain parser %v", document, *e.Key, plain.Object[i].Key)
			}
		}
	})
}
