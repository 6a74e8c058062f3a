package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// http is a client that trusts the proxy's certificate.
func (px *proxied) http(http2 bool) *http.Client {
	return &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: px.ca.Pool}, ForceAttemptHTTP2: http2, DisableCompression: true, ExpectContinueTimeout: time.Minute,
	}}
}

func (px *proxied) s3(t *testing.T, http2 bool) *Client {
	c := px.Client(4)
	c.HTTP = px.http(http2)
	t.Cleanup(c.Close)
	return c
}

// objects are put and read with signatures: names that a proxy might tidy up,
// metadata that it might drop, ranges, and bodies that it must not keep.
func (px *proxied) objects(t *testing.T, ctx context.Context) {
	o := Objects{seed(t)}
	for _, http2 := range []bool{false, true} {
		client := px.s3(t, http2)
		for i, key := range []string{"plain", "two//slashes", "slash at the end/", "a+b=c&d", "percent%2Fand%41", "que?stion#hash", "dot.../.hidden", "ünï/çödé 日本", "semi;colon,comma"} {
			body := o.Version(i, 0, 1000+i)
			must(t, client.Put(ctx, key, body))
			got, err := client.Get(ctx, key)
			if err == nil {
				err = compare(key, got, body)
			}
			if err != nil {
				t.Errorf("HTTP/2 %v: %v", http2, err)
			}
		}
		keys, err := client.List(ctx, "")
		if err != nil || len(keys) != 9 {
			t.Errorf("HTTP/2 %v: %d keys, %v: %q", http2, len(keys), err, keys)
		}
	}
	client := px.s3(t, false)

	meta, err := client.request(ctx, http.MethodPut, "meta", strings.NewReader("x"))
	must(t, err)
	meta.ContentLength = 1
	meta.Header.Set("X-Amz-Meta-Dots.and_underscores", "kept")
	client.Keys.Sign(meta, UnsignedPayload, time.Now())
	must(t, client.finish(meta, nil))
	head, err := client.signed(ctx, http.MethodHead, "meta")
	must(t, err)
	must(t, client.finish(head, func(a *http.Response) error {
		if got := a.Header.Get("X-Amz-Meta-Dots.and_underscores"); got != "kept" {
			t.Errorf("metadata came back as %q", got)
		}
		return nil
	}))

	const size = 64 << 20
	large := o.Version(100, 0, size)
	began := time.Now()
	before, err := px.staged()
	must(t, err)
	streamed := make(chan error, 1)
	must(t, client.PutStream(ctx, "large", &upload{body: bytes.NewReader(large), left: size / 2, halfway: func() { streamed <- px.arrives(ctx, before, 8<<20) }}, size))
	put := time.Since(began)
	if err := <-streamed; err != nil {
		t.Errorf("with half of 64 MiB sent: %v", err)
	}
	must(t, client.GetStream(ctx, "large", func(body io.Reader) error {
		got, err := io.ReadAll(body)
		if err == nil {
			err = compare("large", got, large)
		}
		return err
	}))
	figure(t, "64 MiB in %.1f s, out in %.1f s", put.Seconds(), (time.Since(began) - put).Seconds())
	part, err := client.signed(ctx, http.MethodGet, "large", "Range", fmt.Sprintf("bytes=%d-", size-100_000))
	must(t, err)
	must(t, client.finish(part, func(a *http.Response) error {
		got, err := io.ReadAll(a.Body)
		if err == nil && a.StatusCode != http.StatusPartialContent {
			err = fmt.Errorf("a range: %s", a.Status)
		}
		if err == nil {
			err = compare("large, its end", got, large[size-100_000:])
		}
		return err
	}))

	expect, err := client.request(ctx, http.MethodPut, "expect", bytes.NewReader(large[:5<<20]))
	must(t, err)
	expect.ContentLength = 5 << 20
	client.Keys.Sign(expect, UnsignedPayload, time.Now())
	expect.Header.Set("Expect", "100-continue")
	must(t, client.finish(expect, nil))

	signed, err := client.request(ctx, http.MethodGet, "plain", nil)
	must(t, err)
	client.Keys.Presign(signed, time.Now(), time.Minute)
	must(t, client.finish(signed, nil))
}

// arrives waits until the gateway has that many more bytes in its stage than
// before; a proxy that gathers bodies first never lets it.
func (px *proxied) arrives(ctx context.Context, before, more int64) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		size, err := px.staged()
		if err != nil || size >= before+more {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("the gateway has %d bytes in its stage, %d before: %w", size, before, ctx.Err())
		}
	}
}

func (px *proxied) staged() (size int64, err error) {
	err = filepath.WalkDir(px.stage, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if info, err := e.Info(); err == nil { // else it was released meanwhile
			size += info.Size()
		}
		return nil
	})
	return size, err
}

// refusals must arrive as refusals, and what is refused directly stays refused.
func (px *proxied) refusals(t *testing.T, ctx context.Context) {
	client := px.s3(t, false)
	late, err := client.request(ctx, http.MethodGet, "plain", nil)
	must(t, err)
	client.Keys.Presign(late, time.Now().Add(-time.Hour), time.Minute)
	if err := client.finish(late, nil); Status(err) != http.StatusForbidden {
		t.Errorf("an address that has expired: %v", err)
	}
	client.Keys.Secret += "x"
	if err := client.Put(ctx, "wrong", make([]byte, 2<<20)); Status(err) != http.StatusForbidden || !strings.Contains(err.Error(), "SignatureDoesNotMatch") {
		t.Errorf("a wrong secret: %v", err)
	}
	// A client may claim to be anybody behind any proxy; only what this one says
	// counts.
	anyone := px.http(false)
	defer anyone.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, px.Endpoint+"/"+px.Bucket+"/forged", strings.NewReader("x"))
	must(t, err)
	r.Header.Set("X-Forwarded-For", "127.0.0.1")
	r.Header.Set("X-Forwarded-Host", "elsewhere.example.org")
	a, err := anyone.Do(r)
	must(t, err)
	a.Body.Close()
	if a.StatusCode != http.StatusForbidden {
		t.Errorf("a PUT by nobody: %s", a.Status)
	}
}

func (px *proxied) aws(t *testing.T, ctx context.Context) {
	a := newAWS(t, ctx, px.Demo)
	a.tool.Env = append(a.tool.Env, "AWS_CA_BUNDLE="+px.ca.File)
	body := (Objects{seed(t)}).Version(0, 0, 6<<20)
	a.file("in", body)
	a.ok("s3api put-object --bucket BUCKET --key aws/one --body in --metadata color=green --checksum-algorithm CRC32")
	a.ok("s3api get-object --bucket BUCKET --key aws/one --checksum-mode ENABLED out")
	a.same("out", body)
	a.ok("s3api get-object --bucket BUCKET --key aws/one --range bytes=1000000-1999999 part")
	a.same("part", body[1_000_000:2_000_000])
	if list := a.ok("s3 ls --recursive s3://BUCKET/aws/"); !strings.Contains(list, "aws/one") {
		t.Errorf("listing: %q", list)
	}
	address := strings.TrimSpace(a.ok("s3 presign --region eu-central-1 s3://BUCKET/aws/one --expires-in 60"))
	client := px.http(false)
	defer client.CloseIdleConnections()
	if answer, got := fetch(t, ctx, client, address); answer.StatusCode != 200 || got != string(body) {
		t.Errorf("presigned by aws-cli: %s, %d bytes", answer.Status, len(got))
	}
	a.refused("404", "s3api head-object --bucket BUCKET --key aws/none")
}

// nix pushes with the netrc line that was printed, and anyone pulls.
func (px *proxied) nix(t *testing.T, ctx context.Context) {
	n := nixFolder(t, ctx)
	n.CA = px.ca.File
	const count = 16
	c := nixClosure(t, ctx, n, count)
	cache := nixCache(px.Endpoint)
	must(t, n.Netrc("localhost", px.AccessKey, px.SecretKey))
	if want := fmt.Sprintf("machine localhost login %s password %s\n", px.AccessKey, px.SecretKey); px.netrc != want {
		t.Errorf("access create printed %q, want %q", px.netrc, want)
	}
	must(t, n.Push(ctx, cache, c.Top))
	must(t, n.Netrc("localhost", "", ""))
	must(t, n.Pull(ctx, cache, "copied", n.Public, c.Top))
	must(t, n.Verify(ctx, "copied", c.Top, count))
	must(t, n.Substitute(ctx, cache, "substituted", n.Public, c.Top, 16))
	must(t, n.Verify(ctx, "substituted", c.Top, count))
}
