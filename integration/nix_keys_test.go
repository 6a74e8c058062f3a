package integration

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestNixOtherFiles: what Nix keeps in a cache besides NARs and narinfos, with
// the names that it has.
func TestNixOtherFiles(t *testing.T) {
	ctx := limit(t, 2*time.Minute)
	program(t)
	n := nixFolder(t, ctx)
	d := nixDemo(t, ctx, n, filepath.Join(t.TempDir(), "demo"))
	cache := nixCache(d.Endpoint)
	const count = 4
	c := nixClosure(t, ctx, n, count)
	must(t, n.Push(ctx, cache, c.Top, "write-nar-listing=true", "index-debug-info=true", "compression=xz", "parallel-compression=true"))

	anyone := &http.Client{Timeout: time.Minute}
	defer anyone.CloseIdleConnections()
	for _, path := range c.Paths {
		hash := filepath.Base(path)[:32]
		if a, body := fetch(t, ctx, anyone, cache+"/"+hash+".ls"); a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/json" || !strings.Contains(body, `"blob"`) {
			t.Errorf("listing of %s: %s %s %q", path, a.Status, a.Header.Get("Content-Type"), body)
		}
		a, info := fetch(t, ctx, anyone, cache+"/"+hash+".narinfo")
		if a.StatusCode != 200 || a.Header.Get("Content-Type") != "text/x-nix-narinfo" || !strings.Contains(info, "StorePath: "+path+"\n") {
			t.Errorf("narinfo of %s: %s %s %q", path, a.Status, a.Header.Get("Content-Type"), info)
		}
		_, rest, _ := strings.Cut(info, "URL: ")
		nar, _, _ := strings.Cut(rest, "\n")
		// Some front-ends write the URL with a query.
		if a, _ := fetch(t, ctx, anyone, cache+"/"+nar+"?hash="+hash); a.StatusCode != 200 || a.Header.Get("Accept-Ranges") != "bytes" || a.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %s %v", nar, a.Status, a.Header)
		}
	}
	if a, body := fetch(t, ctx, anyone, cache+"/debuginfo/"+BuildID+".debug"); a.StatusCode != 200 || !strings.Contains(body, BuildID[2:]) {
		t.Errorf("debuginfo: %s %q", a.Status, body)
	}

	if out, err := n.Run(ctx, "nix", "log", "--store", cache, c.Paths[2]); err == nil || !strings.Contains(err.Error(), "not available") {
		t.Errorf("a log that is not there: %q, %v", out, err)
	}
	deriver, err := n.Run(ctx, "nix-store", "--query", "--deriver", c.Paths[2])
	must(t, err)
	deriver = filepath.Base(strings.TrimSpace(deriver))
	for _, o := range []struct{ key, contentType, body string }{
		{"log/" + deriver, "text/plain; charset=utf-8", "built by hand\n"},
		{"realisations/sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad!out.doi", "application/json", `{"outPath":"x"}`},
		{"build-trace-v2/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-x.drv/out.doi", "application/json", `{}`},
		{"debuginfo/" + strings.Repeat("ab", 20), "application/json", `{"archive":"../nar/x","member":"y"}`},
		{"a name+with=signs?and%41/ünï", "application/octet-stream", "x"},
	} {
		must(t, putAsNix(ctx, anyone, d, o.key, o.contentType, o.body))
		a, body := fetch(t, ctx, anyone, d.Endpoint+escapePath("/"+nixBucket+"/"+o.key))
		if a.StatusCode != 200 || body != o.body || a.Header.Get("Content-Type") != o.contentType {
			t.Errorf("%s: %s %s %q", o.key, a.Status, a.Header.Get("Content-Type"), body)
		}
	}
	if out, err := n.Run(ctx, "nix", "log", "--store", cache, c.Paths[2]); err != nil || out != "built by hand\n" {
		t.Errorf("a log that is there: %q, %v", out, err)
	}

	// What is not there is not there, for anyone who may read the rest; what may
	// not be listed or written is refused.
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/nix/00000000000000000000000000000000.narinfo", 404},
		{"HEAD", "/nix/nar/none.nar.zst", 404},
		{"GET", "/nix/realisations/sha256:none!out.doi", 404},
		{"GET", "/nix/", 403},
		{"PUT", "/nix/mine", 403},
		{"DELETE", "/nix/nix-cache-info", 403},
		{"GET", "/" + d.Bucket + "/nix-cache-info", 403},
	} {
		r, err := http.NewRequestWithContext(ctx, c.method, d.Endpoint+c.path, nil)
		must(t, err)
		a, err := anyone.Do(r)
		must(t, err)
		a.Body.Close()
		if a.StatusCode != c.status {
			t.Errorf("%s %s without a key: %s, want %d", c.method, c.path, a.Status, c.status)
		}
	}
}

// fetch is a GET by anyone.
func fetch(t *testing.T, ctx context.Context, client *http.Client, address string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	must(t, err)
	a, err := client.Do(r)
	must(t, err)
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	must(t, err)
	return a, string(body)
}

// putAsNix stores a file with the access key as login and password.
func putAsNix(ctx context.Context, client *http.Client, d *Demo, key, contentType, body string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, d.Endpoint+escapePath("/"+nixBucket+"/"+key), bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	r.SetBasicAuth(d.AccessKey, d.SecretKey)
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Expect", "100-continue")
	a, err := client.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("PUT %s: %s", key, a.Status)
	}
	return nil
}
