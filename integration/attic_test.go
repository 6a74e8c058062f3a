package integration

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"
)

// TestAtticAndNix: what attic, ncps, niks3 and Nix demand of an S3 endpoint,
// row by row.
func TestAtticAndNix(t *testing.T) {
	ctx := limit(t, 4*time.Minute)
	d := demo(t, ctx)
	k := newDesk(t, ctx, d, 64)
	o := Objects{seed(t)}
	t.Run("PUT", func(t *testing.T) { atticPuts(t, k, o) })
	t.Run("GET", func(t *testing.T) { atticGets(t, k, o) })
	t.Run("DELETE and HEAD", func(t *testing.T) { atticDeletes(t, k, o) })
	t.Run("multipart", func(t *testing.T) { atticUploads(t, k, o) })
	t.Run("arbitrary keys", func(t *testing.T) { nixKeys(t, k, o) })
	t.Run("50 writers, 32 readers", func(t *testing.T) { atticCrowd(t, k, o) })
}

func atticPuts(t *testing.T, k desk, o Objects) {
	body := o.Body(1)
	for i, c := range []struct {
		name   string
		header []string
		query  string
		signed Signed
		status int
		code   string
	}{
		{"x-id", nil, "x-id=PutObject", nil, 200, ""},
		{"CRC32 right", []string{"X-Amz-Checksum-Crc32", Sum("CRC32", body), "X-Amz-Sdk-Checksum-Algorithm", "CRC32"}, "x-id=PutObject", nil, 200, ""},
		{"CRC32 wrong", []string{"X-Amz-Checksum-Crc32", "AAAAAA=="}, "x-id=PutObject", nil, 400, "BadDigest"},
		{"no x-amz-content-sha256", nil, "", Untold, 200, ""},
		{"UNSIGNED-PAYLOAD", nil, "", Unsigned, 200, ""},
		{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", nil, "", Chunked{Signed: true}.Sign, 200, ""},
		{"STREAMING-UNSIGNED-PAYLOAD-TRAILER", nil, "", Chunked{Trailer: "CRC32"}.Sign, 200, ""},
		{"Expect: 100-continue", []string{"Expect", "100-continue"}, "", nil, 200, ""},
		{"Content-MD5 right", []string{"Content-Md5", MD5(body)}, "", nil, 200, ""},
		{"Content-MD5 wrong", []string{"Content-Md5", MD5(body[1:])}, "", nil, 400, "BadDigest"},
	} {
		t.Run(c.name, func(t *testing.T) {
			key, want := fmt.Sprint("put-", i), body
			if c.status != 200 {
				want = nil
			}
			k.want(t, Ask{Method: "PUT", Key: key, Query: c.query, Header: c.header, Body: body, Signed: c.signed}, c.status, c.code)
			k.holds(t, key, want)
		})
	}
}

func atticGets(t *testing.T, k desk, o Objects) {
	body := o.Version(2, 0, 200<<10)
	put := k.put(t, "get", body, "X-Amz-Checksum-Crc32", Sum("CRC32", body))
	etag := put.Header.Get("ETag")
	for _, c := range []struct {
		name   string
		header []string
		signed Signed
		status int
		code   string
		want   []byte
	}{
		{"the stored CRC32", []string{"X-Amz-Checksum-Mode", "ENABLED"}, nil, 200, "", body},
		{"If-Match hit", []string{"If-Match", etag}, nil, 200, "", body},
		{"If-Match miss", []string{"If-Match", `"00000000000000000000000000000000"`}, nil, 412, "PreconditionFailed", nil},
		{"If-None-Match hit", []string{"If-None-Match", etag}, nil, 304, "", nil},
		{"Range from", []string{"Range", "bytes=65530-"}, nil, 206, "", body[65530:]},
		{"Range of one byte", []string{"Range", "bytes=0-0"}, nil, 206, "", body[:1]},
		{"Range suffix", []string{"Range", "bytes=-100"}, nil, 206, "", body[len(body)-100:]},
		{"Range suffix longer than all", []string{"Range", "bytes=-99999999"}, nil, 206, "", body},
		{"Range past the end", []string{"Range", fmt.Sprintf("bytes=%d-", len(body))}, nil, 416, "InvalidRange", nil},
		{"Range that is none", []string{"Range", "lines=1-2"}, nil, 200, "", body},
		{"presigned", nil, Presigned(0, 600*time.Second), 200, "", body},
		{"presigned with Range", []string{"Range", "bytes=1000-"}, Presigned(0, 600*time.Second), 206, "", body[1000:]},
		{"presigned, expired", nil, Presigned(time.Hour, 600*time.Second), 403, "AccessDenied", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := k.want(t, Ask{Method: "GET", Key: "get", Query: "x-id=GetObject", Header: c.header, Signed: c.signed}, c.status, c.code)
			if c.want != nil && !bytes.Equal(r.Body, c.want) {
				t.Error(compare("get", r.Body, c.want))
			}
			if c.status/100 == 2 && r.Header.Get("Accept-Ranges") != "bytes" {
				t.Errorf("Accept-Ranges %q: Nix does not resume without", r.Header.Get("Accept-Ranges"))
			}
			if c.name == "the stored CRC32" && r.Header.Get("X-Amz-Checksum-Crc32") != Sum("CRC32", body) {
				t.Errorf("CRC32 %q, want %q", r.Header.Get("X-Amz-Checksum-Crc32"), Sum("CRC32", body))
			}
		})
	}
}

func atticDeletes(t *testing.T, k desk, o Objects) {
	body := o.Body(3)
	k.want(t, Ask{Method: "DELETE", Key: "never-there.chunk", Query: "x-id=DeleteObject"}, 204, "")
	k.put(t, "head", body, "Content-Type", "text/x-nix-narinfo", "Cache-Control", "max-age=9", "X-Amz-Meta-Color", "grey", "X-Amz-Checksum-Crc32", Sum("CRC32", body))
	for range 50 { // existence is never answered from a stale list
		k.want(t, Ask{Method: "HEAD", Key: "head"}, 200, "")
		k.want(t, Ask{Method: "DELETE", Key: "head"}, 204, "")
		k.want(t, Ask{Method: "HEAD", Key: "head"}, 404, "")
		k.put(t, "head", body, "Content-Type", "text/x-nix-narinfo", "Cache-Control", "max-age=9", "X-Amz-Meta-Color", "grey", "X-Amz-Checksum-Crc32", Sum("CRC32", body))
	}
	for _, header := range [][]string{nil, {"X-Amz-Checksum-Mode", "ENABLED"}, {"Range", "bytes=5-9"}} {
		get := k.ask(t, Ask{Method: "GET", Key: "head", Header: header})
		head := k.ask(t, Ask{Method: "HEAD", Key: "head", Header: header})
		for _, r := range []Reply{get, head} {
			for _, own := range []string{"Date", "X-Amz-Request-Id", "X-Amz-Id-2"} {
				r.Header.Del(own)
			}
		}
		if get.Status != head.Status || fmt.Sprint(get.Header) != fmt.Sprint(head.Header) {
			t.Errorf("%v: HEAD says %d %v, GET %d %v", header, head.Status, head.Header, get.Status, get.Header)
		}
	}
	list := func(keys []string, quiet bool) Ask {
		var b bytes.Buffer
		fmt.Fprintf(&b, `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>%v</Quiet>`, quiet)
		for _, key := range keys {
			fmt.Fprintf(&b, "<Object><Key>%s</Key></Object>", key)
		}
		b.WriteString("</Delete>")
		return Ask{Method: "POST", Query: "delete=", Body: b.Bytes(), Header: []string{"Content-Md5", MD5(b.Bytes())}}
	}
	keys := []string{"many-missing"}
	for i := range 5 {
		keys = append(keys, fmt.Sprint("many-", i))
		k.put(t, keys[i+1], body)
	}
	var said struct {
		Deleted []struct{ Key string }
		Error   []struct{ Key, Code string }
	}
	if err := k.ask(t, list(keys[:4], false)).Into(&said); err != nil || len(said.Deleted) != 4 || len(said.Error) != 0 {
		t.Errorf("DeleteObjects: %+v, %v", said, err)
	}
	said.Deleted = nil
	if err := k.ask(t, list(keys[4:], true)).Into(&said); err != nil || len(said.Deleted)+len(said.Error) != 0 {
		t.Errorf("DeleteObjects, quiet: %+v, %v", said, err)
	}
	for _, key := range keys {
		k.want(t, Ask{Method: "HEAD", Key: key}, 404, "")
	}
	var more []string
	for i := range 1001 {
		more = append(more, fmt.Sprint("m", i))
	}
	k.want(t, list(more, true), 400, "MalformedXML")
}

func atticUploads(t *testing.T, k desk, o Objects) {
	const key = "upload.chunk"
	parts, size := 128, 64<<10 // in the long run of attic's 8 MiB
	if long() {
		size = 8 << 20
	}
	whole := o.Version(4, 0, 5<<20)
	id, err := k.CreateUpload(k.ctx, key, "Content-Md5", MD5([]byte("of the whole object")))
	if err != nil {
		t.Fatalf("with a foreign Content-MD5: %v", err)
	}
	// S3 wants 5 MiB of every part but the last: in the short run one part is
	// completed, and the 128 are counted.
	list := make([]Part, parts)
	_, errs := Each(k.ctx, parts, parts, func(ctx context.Context, i int) (err error) {
		body := o.Version(5, i+1, size)
		if i == 0 {
			body = whole
		}
		list[i], err = k.PutPart(ctx, key, id, i+1, body, "X-Amz-Checksum-Crc32", crc(body))
		return err
	})
	if len(errs) > 0 {
		t.Fatalf("%d of %d parts at once failed, the first: %v", len(errs), parts, errs[0])
	}
	var listed struct {
		Part        []Part
		IsTruncated bool
	}
	if err := k.ask(t, Ask{Method: "GET", Key: key, Query: "uploadId=" + escape(id)}).Into(&listed); err != nil || listed.IsTruncated || len(listed.Part) != parts {
		t.Fatalf("ListParts: %d parts, %v", len(listed.Part), err)
	}
	for i, p := range listed.Part {
		if p.Number != i+1 || p.ETag != list[i].ETag {
			t.Errorf("ListParts: %+v, want %+v", p, list[i])
		}
	}
	want := whole
	if !long() {
		list = list[:2]
	}
	for i := 1; i < len(list); i++ {
		want = append(want, o.Version(5, i+1, size)...)
	}
	r, err := k.CompleteUpload(k.ctx, key, id, list, false) // as Nix: no namespace, quoted ETags
	if err == nil {
		err = r.Is(200, "")
	}
	if err != nil {
		t.Fatalf("complete: %v", err)
	}
	k.holds(t, key, want)

	if id, err = k.CreateUpload(k.ctx, key+".aborted"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.PutPart(k.ctx, key+".aborted", id, 1, whole[:100]); err != nil {
		t.Fatal(err)
	}
	for again := range 2 {
		if r, err := k.AbortUpload(k.ctx, key+".aborted", id); err != nil || r.Status != 204 && (again == 0 || r.Is(404, "NoSuchUpload") != nil) {
			t.Errorf("abort %d: %v %v", again+1, r, err)
		}
	}
	k.want(t, Ask{Method: "PUT", Key: key + ".aborted", Query: "partNumber=1&uploadId=" + escape(id), Body: whole[:9]}, 404, "NoSuchUpload")
	k.holds(t, key+".aborted", nil)
}

func nixKeys(t *testing.T, k desk, o Objects) {
	keys := []string{
		"nix-cache-info", "0c5b8vw40dy178xlpddw65q9gf1h2186.ls", "log/0c5b8vw40dy178xlpddw65q9gf1h2186-hello.drv",
		"realisations/sha256:6e5a8d0f!out.doi", "debuginfo/1a2b3c4d.debug", "nar/1w1fff.nar.xz",
		"nar/1w1fff.nar?hash=0c5b8vw4", "a+b", "a=b", "a%b", "a%2Bb", "a b", " leading and trailing ", "//", "a//b", "./dot", "../dots", "a/../b",
		"ünï/çödé/日本語", "tab\tnewline\nbell\a", "&<>\"'", "$@!*'(),;:", "~tilde", "#hash", "\\back\\slash", "\u202eright to left",
	}
	want := map[string][]byte{}
	for i, key := range keys {
		name := "keys/" + key
		want[name] = o.Version(6, i, 100+i)
		k.put(t, name, want[name])
		k.want(t, Ask{Method: "HEAD", Key: name}, 200, "")
		r := k.want(t, Ask{Method: "GET", Key: name, Signed: Presigned(0, time.Minute)}, 200, "")
		if !bytes.Equal(r.Body, want[name]) {
			t.Errorf("%q, presigned: %v", key, compare(key, r.Body, want[name]))
		}
	}
	for name, body := range want {
		k.holds(t, name, body)
	}
	var listed struct {
		Contents []struct {
			Key  string
			Size int
		}
	}
	if err := k.ask(t, Ask{Method: "GET", Query: "encoding-type=url&list-type=2&prefix=keys%2F"}).Into(&listed); err != nil {
		t.Fatal(err)
	}
	var got, all []string
	for _, c := range listed.Contents {
		got = append(got, c.Key)
	}
	for name := range want {
		all = append(all, name)
	}
	slices.Sort(all)
	for i, key := range got {
		plain, err := unescape(key)
		if err != nil {
			t.Errorf("listed %q: %v", key, err)
		}
		got[i] = plain
	}
	if !slices.Equal(got, all) {
		t.Errorf("listed %q, want %q", got, all)
	}
	for name := range want {
		k.want(t, Ask{Method: "DELETE", Key: name}, 204, "")
		k.want(t, Ask{Method: "HEAD", Key: name}, 404, "")
	}
}

func atticCrowd(t *testing.T, k desk, o Objects) {
	n := 600
	if long() {
		n = 10_000
	}
	const first = 100 // the numbers before were used above
	took := make([]time.Duration, n)
	percentile := func(p int) time.Duration {
		slices.Sort(took)
		return took[min(n*p/100, n-1)].Round(100 * time.Microsecond)
	}
	_, errs := Each(k.ctx, n, 50, func(ctx context.Context, i int) error {
		started := time.Now()
		defer func() { took[i] = time.Since(started) }()
		return k.Put(ctx, o.Key(first+i), o.Body(first+i))
	})
	if len(errs) > 0 {
		t.Fatalf("%d of %d PUTs failed, the first: %v", len(errs), n, errs[0])
	}
	figure(t, "%d PUTs at c50: p50 %v, p99 %v", n, percentile(50), percentile(99))
	_, errs = Each(k.ctx, n, 32, func(ctx context.Context, i int) error {
		started := time.Now()
		defer func() { took[i] = time.Since(started) }()
		return o.Check(ctx, k.Client, first+i)
	})
	if len(errs) > 0 {
		t.Fatalf("%d of %d GETs failed, the first: %v", len(errs), n, errs[0])
	}
	figure(t, "%d GETs at c32: p50 %v, p99 %v", n, percentile(50), percentile(99))
}

// TestSlowNodesDoNotStallBodies: SDKs give up a body that stands still for
// five seconds, and wait patiently for headers.
func TestSlowNodesDoNotStallBodies(t *testing.T) {
	const most = 5 * time.Second
	ctx := limit(t, 4*time.Minute)
	size, slow := 32<<20, 700
	if long() {
		slow = 2000
	}
	c := &clients{t: t, ctx: ctx, dir: t.TempDir()}
	c.start()
	defer func() { c.stop() }()
	o := Objects{seed(t)}
	body := o.Version(1, 0, size)
	newDesk(t, ctx, c.d, 1).put(t, "slow", body)
	do(t, ctx, c.d, "flush")
	c.restart()
	for n := range 7 {
		do(t, ctx, c.d, "slow %d %d", n+1, slow)
	}
	k := newDesk(t, ctx, c.d, 1)
	k.HTTP.Timeout = 10 * time.Minute
	r := k.want(t, Ask{Method: http.MethodGet, Key: "slow"}, 200, "")
	if !bytes.Equal(r.Body, body) {
		t.Error(compare("slow", r.Body, body))
	}
	figure(t, "%d MiB, each answer of each node is %d ms late: headers after %v, then at most %v of silence", size>>20, slow, r.First.Round(time.Millisecond), r.Gap.Round(time.Millisecond))
	if r.First < time.Duration(slow)*time.Millisecond {
		t.Errorf("headers came after %v: the bytes were not fetched from slow nodes, so this proves nothing", r.First)
	}
	if r.Gap >= most {
		t.Errorf("silence of %v within the body, less than %v is promised", r.Gap, most)
	}
	for n := range 7 {
		do(t, ctx, c.d, "revive %d", n+1)
	}
}
