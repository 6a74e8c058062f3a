package integration

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestEdge: what generic S3 servers get wrong on the way in, case by case.
func TestEdge(t *testing.T) {
	ctx := limit(t, 3*time.Minute)
	d := demo(t, ctx)
	k := newDesk(t, ctx, d, 8)
	o := Objects{seed(t)}
	body := o.Version(1, 0, 3*chunkBytes+17)

	t.Run("signed chunks", func(t *testing.T) {
		k.want(t, Ask{Method: "PUT", Key: "chunks", Body: body, Signed: Chunked{Signed: true}.Sign}, 200, "")
		k.holds(t, "chunks", body)
		k.want(t, Ask{Method: "PUT", Key: "chunks-empty", Signed: Chunked{Signed: true}.Sign}, 200, "")
		k.holds(t, "chunks-empty", []byte{})
		for n := range 5 { // four with data and the last
			bad := Chunked{Signed: true, Spoil: spoil(";chunk-signature=", n+1)}
			k.want(t, Ask{Method: "PUT", Key: "chunks-bad", Body: body, Signed: bad.Sign}, 403, "SignatureDoesNotMatch")
		}
		k.holds(t, "chunks-bad", nil)
	})
	t.Run("signed chunks and a trailer", func(t *testing.T) {
		for _, s := range sums {
			good := Chunked{Signed: true, Trailer: s.Name}
			k.want(t, Ask{Method: "PUT", Key: "trailer-" + s.Name, Body: body, Signed: good.Sign}, 200, "")
			r := k.holds(t, "trailer-"+s.Name, body)
			if got := r.Header.Get("X-Amz-Checksum-" + s.Name); got != Sum(s.Name, body) {
				t.Errorf("%s: returned %q", s.Name, got)
			}
		}
		wrong := Chunked{Signed: true, Trailer: "CRC32", Value: "AAAAAA=="}
		k.want(t, Ask{Method: "PUT", Key: "trailer-bad", Body: body, Signed: wrong.Sign}, 400, "BadDigest")
		forged := Chunked{Signed: true, Trailer: "CRC32", Spoil: spoil("x-amz-trailer-signature:", 1)}
		k.want(t, Ask{Method: "PUT", Key: "trailer-bad", Body: body, Signed: forged.Sign}, 403, "SignatureDoesNotMatch")
		k.holds(t, "trailer-bad", nil)
	})
	t.Run("unsigned chunks and a trailer", func(t *testing.T) {
		for _, s := range sums {
			key := "unsigned-" + s.Name
			k.want(t, Ask{Method: "PUT", Key: key, Body: body, Signed: Chunked{Trailer: s.Name}.Sign}, 200, "")
			r := k.holds(t, key, body)
			if got := r.Header.Get("X-Amz-Checksum-" + s.Name); got != Sum(s.Name, body) {
				t.Errorf("%s: returned %q", s.Name, got)
			}
			wrong := Chunked{Trailer: s.Name, Value: Sum(s.Name, body[1:])}
			k.want(t, Ask{Method: "PUT", Key: key + "-bad", Body: body, Signed: wrong.Sign}, 400, "BadDigest")
			k.holds(t, key+"-bad", nil)
		}
	})
	t.Run("a body cut mid-way", func(t *testing.T) {
		for name, signed := range map[string]Signed{
			"signed hash": Usual, "unsigned": Unsigned, "hash not told": Untold, "signed chunks": Chunked{Signed: true}.Sign,
			"signed chunks and trailer": Chunked{Signed: true, Trailer: "CRC32C"}.Sign, "unsigned trailer": Chunked{Trailer: "CRC64NVME"}.Sign,
		} {
			t.Run(name, func(t *testing.T) {
				key := "cut-" + strings.ReplaceAll(name, " ", "-")
				r, err := k.Make(ctx, Ask{Method: "PUT", Key: key, Body: body, Signed: signed})
				if err != nil {
					t.Fatal(err)
				}
				wire, err := io.ReadAll(r.Body)
				if err != nil {
					t.Fatal(err)
				}
				answer, err := sendTruncated(ctx, r, wire[:len(wire)/2], len(wire))
				if err != nil {
					t.Fatalf("no answer: %v", err)
				}
				defer answer.Body.Close()
				text, _ := io.ReadAll(answer.Body) // the connection ends with it
				if answer.StatusCode != 400 || !strings.Contains(string(text), "<Code>IncompleteBody</Code>") {
					t.Errorf("HTTP %d %s, want 400 IncompleteBody", answer.StatusCode, text)
				}
				k.holds(t, key, nil)
			})
		}
	})
	t.Run("x-amz-content-sha256 absent", func(t *testing.T) {
		k.want(t, Ask{Method: "PUT", Key: "untold", Body: body, Signed: Untold}, 200, "")
		k.holds(t, "untold", body)
		k.want(t, Ask{Method: "GET", Key: "untold", Signed: Untold}, 200, "")
		other := func(keys Keys, r *http.Request, b []byte) []byte { Untold(keys, r, b[1:]); return b }
		k.want(t, Ask{Method: "PUT", Key: "untold-bad", Body: body, Signed: other}, 403, "SignatureDoesNotMatch")
		k.holds(t, "untold-bad", nil)
	})
	t.Run("Content-Encoding: aws-chunked", func(t *testing.T) {
		for sent, kept := range map[string]string{"aws-chunked": "", "gzip,aws-chunked": "gzip", "aws-chunked, zstd": "zstd"} {
			a := Ask{Method: "PUT", Key: "encoding", Body: body, Header: []string{"Content-Encoding", sent}, Signed: Chunked{Trailer: "CRC32"}.Sign}
			k.want(t, a, 200, "")
			if got := k.holds(t, "encoding", body).Header.Get("Content-Encoding"); got != kept {
				t.Errorf("%q came back as %q, want %q", sent, got, kept)
			}
		}
		k.put(t, "encoding", body, "Content-Encoding", "zstd")
		if got := k.holds(t, "encoding", body).Header.Get("Content-Encoding"); got != "zstd" {
			t.Errorf("zstd came back as %q", got)
		}
	})
	t.Run("the ETag of a multipart upload", func(t *testing.T) {
		parts := [][]byte{o.Version(2, 1, 5<<20), o.Version(2, 2, 5<<20+1), o.Version(2, 3, 99)}
		r := k.upload(t, "composite", parts...)
		var all, sum []byte
		for _, p := range parts {
			one := md5.Sum(p)
			sum, all = append(sum, one[:]...), append(all, p...)
		}
		of := md5.Sum(sum)
		want := fmt.Sprintf(`"%s-3"`, hex.EncodeToString(of[:]))
		var done struct{ ETag string }
		if err := r.Into(&done); err != nil || done.ETag != want {
			t.Errorf("complete: ETag %s, want %s: %v", done.ETag, want, err)
		}
		if got := k.holds(t, "composite", all).Header.Get("ETag"); got != want {
			t.Errorf("get: ETag %s, want %s", got, want)
		}
	})
	t.Run("parts that S3 refuses", func(t *testing.T) { refusedParts(t, k, o) })
	t.Run("header, query, clock and region", func(t *testing.T) {
		k.put(t, "auth", body)
		get := func(s Signed) Ask { return Ask{Method: "GET", Key: "auth", Signed: s} }
		k.want(t, get(Presigned(0, time.Hour)), 200, "")
		k.want(t, get(Presigned(599*time.Second, 600*time.Second)), 200, "")
		k.want(t, get(Presigned(time.Hour, 600*time.Second)), 403, "AccessDenied")
		k.want(t, get(Presigned(-time.Hour, 600*time.Second)), 403, "AccessDenied")
		k.want(t, get(Presigned(0, 8*24*time.Hour)), 400, "AuthorizationQueryParametersError")
		for _, ok := range []time.Duration{-14 * time.Minute, 14 * time.Minute} {
			k.want(t, get(Off(ok)), 200, "")
		}
		for _, bad := range []time.Duration{-16 * time.Minute, 16 * time.Minute} {
			k.want(t, get(Off(bad)), 403, "RequestTimeTooSkewed")
		}
		for _, region := range []string{"us-east-1", "garage", "auto"} {
			k.want(t, get(func(keys Keys, r *http.Request, b []byte) []byte { keys.Region = region; return Usual(keys, r, b) }), 200, "")
		}
		put := Ask{Method: "PUT", Key: "presigned-put", Body: body, Signed: Presigned(0, time.Minute)}
		k.want(t, put, 200, "")
		k.holds(t, "presigned-put", body)
	})
}

// refusedParts: each mistake of a multipart upload has its own answer, and none
// ends the upload.
func refusedParts(t *testing.T, k desk, o Objects) {
	const key = "refused-parts"
	id, err := k.CreateUpload(k.ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	bodies := [][]byte{o.Version(3, 1, 5<<20), o.Version(3, 2, 1000), o.Version(3, 3, 10)}
	var p []Part
	for i, body := range bodies {
		one, err := k.PutPart(k.ctx, key, id, i+1, body)
		if err != nil {
			t.Fatal(err)
		}
		p = append(p, one)
	}
	for _, c := range []struct {
		name  string
		parts []Part
		code  string
	}{
		{"a part too small before the last", []Part{p[1], p[2]}, "EntityTooSmall"},
		{"parts out of order", []Part{p[1], p[0]}, "InvalidPartOrder"},
		{"a part twice", []Part{p[0], p[0]}, "InvalidPartOrder"},
		{"a part that was never sent", []Part{p[0], {Number: 9, ETag: p[1].ETag}}, "InvalidPart"},
		{"the ETag of another part", []Part{p[0], {Number: 2, ETag: p[2].ETag}}, "InvalidPart"},
		{"no part", nil, "MalformedXML"},
	} {
		r, err := k.CompleteUpload(k.ctx, key, id, c.parts, true)
		if err == nil {
			err = r.Is(400, c.code)
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, number := range []string{"0", "10001", "-1", "x", ""} {
		k.want(t, Ask{Method: "PUT", Key: key, Query: "partNumber=" + number + "&uploadId=" + escape(id), Body: bodies[2]}, 400, "InvalidArgument")
	}
	k.want(t, Ask{Method: "PUT", Key: key, Query: "partNumber=10000&uploadId=" + escape(id), Body: bodies[2]}, 200, "")
	k.want(t, Ask{Method: "PUT", Key: key, Query: "partNumber=4&uploadId=none", Body: bodies[2]}, 404, "NoSuchUpload")
	k.want(t, Ask{Method: "PUT", Key: "another-key", Query: "partNumber=4&uploadId=" + escape(id), Body: bodies[2]}, 404, "NoSuchUpload")
	k.holds(t, key, nil)
	for again := range 2 { // an answer may be lost: the same again is fine
		r, err := k.CompleteUpload(k.ctx, key, id, p[:2], false)
		if err == nil {
			err = r.Is(200, "")
		}
		if err != nil {
			t.Fatalf("complete %d: %v", again+1, err)
		}
	}
	k.holds(t, key, append(append([]byte{}, bodies[0]...), bodies[1]...))
}
