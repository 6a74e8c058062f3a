package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestNixPullResumes: a NAR whose connection breaks twice goes on where it
// broke, by ranges, and is not begun again.
func TestNixPullResumes(t *testing.T) {
	ctx := limit(t, 3*time.Minute)
	program(t)
	n := nixFolder(t, ctx)
	d := nixDemo(t, ctx, n, filepath.Join(t.TempDir(), "demo"))
	const count = 24 // one of them of several MiB
	c := nixClosure(t, ctx, n, count)
	must(t, n.Push(ctx, nixCache(d.Endpoint), c.Top))
	do(t, ctx, d, "flush")
	for _, node := range []int{2, 3, 5} {
		do(t, ctx, d, "kill %d", node)
	}
	large := "/" + nixBucket + "/" + largestNAR(t, ctx, nixClient(t, d))
	for _, way := range []struct {
		store string
		pull  func(cache, store string) error
	}{
		{"copied", func(cache, store string) error { return n.Pull(ctx, cache, store, n.Public, c.Top) }},
		{"substituted", func(cache, store string) error { return n.Substitute(ctx, cache, store, n.Public, c.Top, 16) }},
	} {
		t.Run(way.store, func(t *testing.T) {
			var mu sync.Mutex
			var size int64 // of the NAR; guarded by mu
			cuts := 0      // guarded by mu
			tap := started(t, &Tap{Endpoint: d.Endpoint, Cut: func(e Exchange, length int64) int64 {
				mu.Lock()
				defer mu.Unlock()
				if e.Path != large || cuts == 2 {
					return -1
				}
				cuts++
				size = max(size, length)
				return length / 3
			}})
			must(t, way.pull(nixCache(tap.URL), way.store))
			must(t, n.Verify(ctx, way.store, c.Top, count))
			if err := resumed(tap.Seen(), large, size); err != nil {
				t.Error(err)
			}
		})
	}
}

// resumed returns an error unless the NAR was asked for three times, each time
// from where the connection before was closed.
func resumed(seen []Exchange, path string, size int64) error {
	var of []Exchange
	for _, e := range seen {
		if e.Path == path && e.Method == "GET" {
			of = append(of, e)
		}
	}
	if len(of) != 3 || of[0].Status != 200 || of[0].Range != "" || !of[0].Cut || !of[1].Cut || of[2].Cut {
		return fmt.Errorf("want one whole GET and two that go on, saw %+v", of)
	}
	var before int64
	for _, e := range of[1:] {
		var from int64
		if _, err := fmt.Sscanf(e.Range, "bytes=%d-", &from); err != nil {
			return fmt.Errorf("%+v: %w", e, err)
		}
		if from <= before || from > before+size/3 {
			return fmt.Errorf("%+v goes on at %d; before it %d bytes were known, and %d more came", e, from, before, size/3)
		}
		if want := fmt.Sprintf("bytes %d-%d/%d", from, size-1, size); e.Status != 206 || !strings.EqualFold(e.ContentRange, want) {
			return fmt.Errorf("%+v: want 206 and %q", e, want)
		}
		before = from
	}
	return nil
}

func TestResumedNotices(t *testing.T) {
	first := Exchange{Method: "GET", Path: "/n", Status: 200, Cut: true}
	second := Exchange{Method: "GET", Path: "/n", Range: "bytes=30-", Status: 206, ContentRange: "bytes 30-89/90", Cut: true}
	third := Exchange{Method: "GET", Path: "/n", Range: "bytes=50-", Status: 206, ContentRange: "bytes 50-89/90"}
	again, short, whole := third, third, third
	again.Range, short.ContentRange, whole.Status = "bytes=0-", "bytes 51-89/90", 200
	for _, c := range []struct {
		name string
		seen []Exchange
		ok   bool
	}{
		{"as it must be", []Exchange{first, second, third}, true},
		{"never cut", []Exchange{{Method: "GET", Path: "/n", Status: 200}}, false},
		{"begun again", []Exchange{first, second, again}, false},
		{"another range", []Exchange{first, second, short}, false},
		{"the whole in place of a range", []Exchange{first, second, whole}, false},
	} {
		if err := resumed(c.seen, "/n", 90); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
