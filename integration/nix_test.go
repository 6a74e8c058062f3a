package integration

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// nixBucket is where the tests push to: anyone may read it.
const nixBucket = "nix"

// nixFolder is a folder with Nix's stores, where there is a Nix.
func nixFolder(t *testing.T, ctx context.Context) *Nix {
	t.Helper()
	for _, program := range []string{"nix", "nix-store"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no %s here: ./test installs Debian's nix-bin where it can", program)
		}
	}
	n, err := NewNix(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// nixDemo is a demo of dir with a public bucket, and whose key Nix has.
func nixDemo(t *testing.T, ctx context.Context, n *Nix, dir string) *Demo {
	t.Helper()
	d := demo(t, ctx, "--dir", dir)
	if err := d.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	r, err := RunVerb(ctx, program(t), "bucket", "create", nixBucket, "--public", "--dir", filepath.Join(dir, "gateway"))
	if err != nil || r.Status != 0 {
		t.Fatalf("bucket create: %+v, %v", r, err)
	}
	d = demo(t, ctx, "--dir", dir)
	if err := n.Netrc("127.0.0.1", d.AccessKey, d.SecretKey); err != nil {
		t.Fatal(err)
	}
	return d
}

// nixCache is where Nix finds the bucket behind an endpoint.
func nixCache(endpoint string) string { return endpoint + "/" + nixBucket }

func nixClient(t *testing.T, d *Demo) *Client {
	c := d.Client(4)
	c.Bucket = nixBucket
	t.Cleanup(c.Close)
	return c
}

func nixClosure(t *testing.T, ctx context.Context, n *Nix, count int) *Closure {
	t.Helper()
	c, err := n.MakeClosure(ctx, Objects{seed(t)}, count)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Verify(ctx, "src", c.Top, count); err == nil || !strings.Contains(err.Error(), "untrusted") {
		t.Fatalf("the closure must be whole and unsigned: %v", err)
	}
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestNixClosure: a signed closure goes in and, with as many nodes stopped as
// may fail, comes out whole into an empty store, by copy and as a substituter.
func TestNixClosure(t *testing.T) {
	ctx := limit(t, 4*time.Minute)
	program(t)
	n := nixFolder(t, ctx)
	d := nixDemo(t, ctx, n, filepath.Join(t.TempDir(), "demo"))
	client, cache := nixClient(t, d), nixCache(d.Endpoint)
	count := 64
	if long() {
		count = 256
	}
	c := nixClosure(t, ctx, n, count)

	must(t, n.Netrc("127.0.0.1", d.AccessKey, d.SecretKey+"x"))
	if err := n.Push(ctx, cache, c.Top); err == nil || !strings.Contains(err.Error(), "does not appear to be a binary cache") {
		t.Errorf("a push with a wrong secret: %v", err)
	}
	must(t, n.Netrc("127.0.0.1", "", ""))
	if err := n.Push(ctx, cache, c.Top); err == nil || !strings.Contains(err.Error(), "does not appear to be a binary cache") {
		t.Errorf("a push without any key: %v", err)
	}
	if keys, err := client.List(ctx, ""); err != nil || len(keys) != 0 {
		t.Fatalf("after pushes that were refused: %d objects, %v", len(keys), err)
	}
	must(t, n.Netrc("127.0.0.1", d.AccessKey, d.SecretKey))

	began := time.Now()
	must(t, n.Push(ctx, cache, c.Top))
	figure(t, "%d paths, %.1f MiB pushed in %.1f s", count, float64(c.Bytes)/(1<<20), time.Since(began).Seconds())
	if keys, err := client.List(ctx, ""); err != nil || len(keys) != 2*count+1 { // nar and narinfo, and nix-cache-info
		t.Errorf("%d objects, %v; want %d", len(keys), err, 2*count+1)
	}
	tap := started(t, &Tap{Endpoint: d.Endpoint})
	must(t, n.Push(ctx, nixCache(tap.URL), c.Top))
	for _, e := range tap.Seen() {
		if e.Method == http.MethodPut {
			t.Errorf("pushed again: %s", e.Path)
		}
	}
	do(t, ctx, d, "flush")

	// Reading needs no key.
	must(t, n.Netrc("127.0.0.1", "", ""))
	for _, node := range []int{1, 4, 6} {
		do(t, ctx, d, "kill %d", node)
	}
	began = time.Now()
	must(t, n.Pull(ctx, cache, "copied", n.Public, c.Top))
	copied := time.Since(began)
	must(t, n.Verify(ctx, "copied", c.Top, count))
	began = time.Now()
	must(t, n.Substitute(ctx, cache, "substituted", n.Public, c.Top, 16))
	figure(t, "with three of seven nodes stopped: copied in %.1f s, substituted with 16 jobs in %.1f s", copied.Seconds(), time.Since(began).Seconds())
	must(t, n.Verify(ctx, "substituted", c.Top, count))

	stranger, err := n.NewKeys(ctx, "stranger-1")
	must(t, err)
	if err := n.Pull(ctx, cache, "refused", stranger, c.Top); err == nil || !strings.Contains(err.Error(), "lacks a valid signature") {
		t.Errorf("a pull by somebody who trusts another key: %v", err)
	}
	if err := n.Substitute(ctx, cache, "refused", stranger, c.Top, 16); err == nil {
		t.Error("a substituter whose key is not trusted was believed")
	}
	for _, path := range c.Paths {
		if _, err := os.Lstat(n.path("refused") + path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s was taken from a stranger: %v", path, err)
		}
	}

	do(t, ctx, d, "kill 7")
	// The first bytes may still be at hand; then the answer is broken off.
	if _, err := client.Get(ctx, largestNAR(t, ctx, client)); Status(err) != http.StatusServiceUnavailable && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("with four of seven nodes stopped: %v; the pulls before did not need the nodes and prove nothing", err)
	}
}

// started starts a tap that ends with the test.
func started(t *testing.T, tap *Tap) *Tap {
	t.Helper()
	must(t, tap.Start())
	t.Cleanup(tap.Close)
	return tap
}

// largestNAR is the key of one of several MiB.
func largestNAR(t *testing.T, ctx context.Context, client *Client) string {
	t.Helper()
	keys, err := client.List(ctx, "nar/")
	must(t, err)
	var largest string
	var most int64
	for _, key := range keys {
		r, err := client.signed(ctx, http.MethodHead, key)
		must(t, err)
		must(t, client.finish(r, func(a *http.Response) error {
			if a.ContentLength > most {
				largest, most = key, a.ContentLength
			}
			return nil
		}))
	}
	if most < 1<<20 {
		t.Fatalf("the largest of %d NARs has %d bytes", len(keys), most)
	}
	return largest
}
