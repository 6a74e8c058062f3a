package integration

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestNixPushThroughAKill: a gateway that dies in the middle of a push has lost
// nothing of what it acknowledged; the push is repeated and only adds the rest.
func TestNixPushThroughAKill(t *testing.T) {
	ctx := limit(t, 4*time.Minute)
	program(t)
	n := nixFolder(t, ctx)
	dir := filepath.Join(t.TempDir(), "demo")
	d := nixDemo(t, ctx, n, dir)
	const count, at = 64, 40 // the NAR in whose body the gateway is killed
	c := nixClosure(t, ctx, n, count)

	var mu sync.Mutex
	nars := 0 // guarded by mu
	killed := make(chan error, 1)
	tap := started(t, &Tap{Endpoint: d.Endpoint, Midway: func(e Exchange) {
		mu.Lock()
		defer mu.Unlock()
		if e.Method != http.MethodPut || !strings.Contains(e.Path, "/nar/") {
			return
		}
		if nars++; nars == at {
			killed <- d.Kill()
		}
	}})
	if err := n.Push(ctx, nixCache(tap.URL), c.Top); err == nil {
		t.Fatal("a push to a gateway that was killed says it succeeded")
	}
	must(t, <-killed)
	acknowledged := puts(tap, c)
	if len(acknowledged) < at/2 || len(acknowledged) >= count {
		t.Fatalf("%d of %d paths were acknowledged before the kill", len(acknowledged), count)
	}

	d = demo(t, ctx, "--dir", dir)
	client, cache := nixClient(t, d), nixCache(d.Endpoint)
	for _, e := range tap.Seen() {
		if e.Method != http.MethodPut || e.Status != http.StatusOK {
			continue
		}
		if _, err := client.Get(ctx, strings.TrimPrefix(e.Path, "/"+nixBucket+"/")); err != nil {
			t.Errorf("acknowledged before the kill, then %s: %v", e.Path, err)
		}
	}
	// Nix announces a path only after all that it refers to.
	for _, path := range acknowledged {
		must(t, n.Pull(ctx, cache, "half", n.Public, path))
	}
	if err := n.Pull(ctx, cache, "absent", n.Public, c.Top); err == nil {
		t.Error("the top path was never pushed whole, and can be pulled")
	}

	second := started(t, &Tap{Endpoint: d.Endpoint})
	must(t, n.Push(ctx, nixCache(second.URL), c.Top))
	if more := puts(second, c); len(more)+len(acknowledged) != count {
		t.Errorf("%d paths before the kill and %d after it, want %d together", len(acknowledged), len(more), count)
	}
	do(t, ctx, d, "flush")
	for _, node := range []int{1, 2, 7} {
		do(t, ctx, d, "kill %d", node)
	}
	must(t, n.Pull(ctx, cache, "whole", n.Public, c.Top))
	must(t, n.Verify(ctx, "whole", c.Top, count))
	figure(t, "killed after %d of %d paths; all of them were there, the rest was added", len(acknowledged), count)
}

// puts are the paths of the closure whose narinfo was taken.
func puts(tap *Tap, c *Closure) (paths []string) {
	taken := map[string]bool{}
	for _, e := range tap.Seen() {
		if hash, ok := strings.CutSuffix(e.Path, ".narinfo"); ok && e.Method == http.MethodPut && e.Status == http.StatusOK {
			taken[strings.TrimPrefix(hash, "/"+nixBucket+"/")] = true
		}
	}
	for _, path := range c.Paths {
		if taken[strings.TrimPrefix(path, "/nix/store/")[:32]] {
			paths = append(paths, path)
		}
	}
	return paths
}
