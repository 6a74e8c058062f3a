package gateway

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// endlessStore lists keys that it makes when they are asked for.
type endlessStore struct {
	*memStore
	keys int
}

func numbered(i int) string { return fmt.Sprintf("some/where/%04d/%08d.narinfo", i/1000, i) }

func (e endlessStore) List(ctx context.Context, r store.ListRequest) (l store.Listing, err error) {
	i := 0
	if r.After != "" {
		if _, err := fmt.Sscanf(r.After[len("some/where/0000/"):], "%d", &i); err != nil {
			return l, err
		}
		i++
	}
	for ; i < e.keys; i++ {
		if len(l.Objects) == r.Max {
			l.More, l.Next = true, l.Objects[r.Max-1].Key.Object
			break
		}
		l.Objects = append(l.Objects, cairn.Object{Key: cairn.Key{Bucket: r.Bucket, Object: numbered(i)},
			Size: int64(i), ETag: "d41d8cd98f00b204e9800998ecf8427e", Modified: time.Unix(int64(i), 0)})
	}
	return l, nil
}

// Listing all of a bucket takes the memory of one page, and the last page costs
// what the first did, however many keys there are.
func TestAMillionKeysAreListedPageByPage(t *testing.T) {
	keys := 50_001
	if os.Getenv("CAIRN_LONG") != "" {
		keys = 1_000_001
	}
	r := newRig(t, func(c *Config) { c.Store = endlessStore{c.Store.(*memStore), keys} })
	for _, version := range []string{"", "2"} {
		var first, last uint64 // bytes allocated by ten pages
		var held uint64
		next, seen, pages := "", 0, 0
		for more := true; more; pages++ {
			path := "/private?list-type=" + version
			if next != "" && version == "2" {
				path += "&continuation-token=" + url.QueryEscape(next)
			} else if next != "" {
				path += "&marker=" + url.QueryEscape(next)
			}
			if pages%25 == 0 {
				held = max(held, heap())
			}
			// Signing and parsing are the client's; only the gateway's part counts.
			hr := r.request(call{method: "GET", path: path})
			hr.RequestURI = hr.URL.RequestURI()
			w := &pageWriter{header: http.Header{}}
			before := allocated()
			r.g.ServeHTTP(w, hr)
			if cost := allocated() - before; pages < 10 {
				first += cost
			} else if pages >= keys/1000-10 && pages < keys/1000 {
				last += cost
			}
			var err error
			var n int
			if n, next, more, err = w.read(numbered(seen)); err != nil {
				t.Fatalf("page %d: %v", pages, err)
			}
			seen += n
		}
		if seen != keys || pages != keys/1000+1 {
			t.Fatalf("%d keys on %d pages, want %d", seen, pages, keys)
		}
		if last > first+first/4 {
			t.Errorf("the last ten pages allocate %d bytes, the first ten %d", last, first)
		}
		const bound = 32 << 20 // a page is about 0.3 MB
		if held > bound {
			t.Errorf("%d bytes are held in between", held)
		}
		t.Logf("version %q: %d pages of %d bytes allocated each, %d held", version, pages, first/10, held)
	}
}

// heap is what is held once all that nobody needs is gone.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// pageWriter is a client that reads a page without keeping its keys.
type pageWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *pageWriter) Header() http.Header         { return w.header }
func (w *pageWriter) WriteHeader(status int)      { w.status = status }
func (w *pageWriter) Write(p []byte) (int, error) { return w.body.Write(p) }

// read counts the page's keys, of which the first must be as said. It looks at
// the bytes, for a parser would cost more than what is measured.
func (w *pageWriter) read(firstKey string) (keys int, next string, more bool, err error) {
	page := w.body.Bytes()
	between := func(from int, start, end string) string {
		_, rest, _ := bytes.Cut(page[from:], []byte(start))
		value, _, _ := bytes.Cut(rest, []byte(end))
		return string(value)
	}
	if first := between(0, "<Key>", "</Key>"); w.status != http.StatusOK || first != firstKey {
		return 0, "", false, fmt.Errorf("status %d, the page begins with %q, want %q", w.status, first, firstKey)
	}
	if next = between(0, "<NextContinuationToken>", "</NextContinuationToken>"); next == "" {
		next = between(bytes.LastIndex(page, []byte("<Key>")), "<Key>", "</Key>")
	}
	more = between(0, "<IsTruncated>", "</IsTruncated>") == "true"
	return bytes.Count(page, []byte("<Key>")), next, more, nil
}
