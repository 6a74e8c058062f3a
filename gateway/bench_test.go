package gateway

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn/store"
)

func accessAll(id string) store.Access {
	return store.Access{ID: id, Secret: "secret of " + id, Grants: []store.Grant{{Bucket: "*", Level: store.Admin}}}
}

// discard is a ResponseWriter that costs nothing.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// benchmarkCall sends one signed call over and over through the handler.
func benchmarkCall(b *testing.B, c call, size int64) {
	r := newRig(b, func(g *Config) { g.Log = slog.New(slog.DiscardHandler) })
	r.put("private", "k", strings.Repeat("x", 64<<10))
	r.store.byLength = true // one allocation of the size is the double's own
	req := r.request(c)
	body, _ := io.ReadAll(req.Body)
	req.RequestURI = req.URL.RequestURI()
	w := &discard{}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		w.h = make(http.Header, 16)
		req.Body = io.NopCloser(bytes.NewReader(body))
		r.g.ServeHTTP(w, req)
	}
	b.StopTimer()
	rec := httptest.NewRecorder()
	req.Body = io.NopCloser(bytes.NewReader(body))
	if r.g.ServeHTTP(rec, req); rec.Code != 200 {
		b.Fatalf("%d %s", rec.Code, rec.Body)
	}
}

func BenchmarkPut64K(b *testing.B) {
	body := strings.Repeat("x", 64<<10)
	crc := sumOf("crc32", body)
	for name, c := range map[string]call{
		"signed":   {mode: modeSigned, header: []string{"X-Amz-Checksum-Crc32", crc}},
		"unsigned": {mode: modeUnsigned},
		"chained":  {mode: modeChained, chunk: 64 << 10},
		"trailer":  {mode: modeUnsignedTrailer, chunk: 64 << 10, header: []string{"X-Amz-Trailer", "x-amz-checksum-crc32"}, trailer: []string{"x-amz-checksum-crc32:" + crc}},
	} {
		c.method, c.path, c.body = "PUT", "/private/k", body
		b.Run(name, func(b *testing.B) { benchmarkCall(b, c, 64<<10) })
	}
}

func BenchmarkGet64K(b *testing.B) {
	benchmarkCall(b, call{method: "GET", path: "/private/k"}, 64<<10)
}
