package integration

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestBadRequests: each is refused with its own code, and nothing of it is
// stored.
func TestBadRequests(t *testing.T) {
	ctx := limit(t, 2*time.Minute)
	d := demo(t, ctx)
	client := d.Client(2)
	defer client.Close()
	body := []byte("these bytes are never stored")
	hash := sha256.Sum256(body)
	signed := hex.EncodeToString(hash[:])
	put := func(key string, change func(*http.Request), at time.Time) error {
		r, err := client.request(ctx, http.MethodPut, key, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		payload := signed
		if change != nil {
			change(r)
		}
		if p := r.Header.Get("X-Amz-Content-Sha256"); p != "" {
			payload = p
		}
		client.Keys.Sign(r, payload, at)
		return client.finish(r, nil)
	}
	now := time.Now()
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, c := range []struct {
		name   string
		key    string
		change func(*http.Request)
		at     time.Time
		status int
		code   string
	}{
		{"a clock an hour behind", "skew", nil, now.Add(-time.Hour), 403, "RequestTimeTooSkewed"},
		{"a clock an hour ahead", "skew", nil, now.Add(time.Hour), 403, "RequestTimeTooSkewed"},
		{"a key of 1,025 bytes", strings.Repeat("k", 1025), nil, now, 400, "KeyTooLongError"},
		{"the hash of another body", "hash", header("X-Amz-Content-Sha256", emptyHash), now, 400, "XAmzContentSHA256Mismatch"},
		{"the CRC32 of another body", "crc", header("X-Amz-Checksum-Crc32", "AAAAAA=="), now, 400, "BadDigest"},
		{"the MD5 of another body", "md5", header("Content-Md5", "1B2M2Y8AsgTpgAmY7PhCfg=="), now, 400, "BadDigest"},
		{"a checksum that is none", "crc", header("X-Amz-Checksum-Crc32", "x"), now, 400, "InvalidRequest"},
		{"another bucket", "bucket", func(r *http.Request) { r.URL.Path = "/no-such-bucket/k"; r.URL.RawPath = "" }, now, 404, "NoSuchBucket"},
		{"an ACL", "acl", header("X-Amz-Acl", "public-read"), now, 501, "NotImplemented"},
		{"an object lock", "lock", header("X-Amz-Object-Lock-Mode", "GOVERNANCE"), now, 501, "NotImplemented"},
		{"a retention", "retention", func(r *http.Request) { r.URL.RawQuery = "retention=" }, now, 501, "NotImplemented"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := put(c.key, c.change, c.at)
			if Status(err) != c.status || err == nil || !strings.HasSuffix(err.Error(), " "+c.code) {
				t.Errorf("answer %v, want %d %s", err, c.status, c.code)
			}
			if len(c.key) > 1024 {
				return
			}
			if _, err := client.Get(ctx, c.key); Status(err) != http.StatusNotFound {
				t.Errorf("afterwards the object answers %v", err)
			}
		})
	}
	t.Run("a wrong secret", func(t *testing.T) {
		stranger := *client
		stranger.Keys.Secret += "x"
		if err := stranger.Put(ctx, "stranger", body); Status(err) != 403 || !strings.Contains(err.Error(), "SignatureDoesNotMatch") {
			t.Errorf("answer %v", err)
		}
	})
	t.Run("an unknown access key", func(t *testing.T) {
		stranger := *client
		stranger.Keys.Access = "CKNOBODYNOBODY"
		if err := stranger.Put(ctx, "stranger", body); Status(err) != 403 || !strings.Contains(err.Error(), "InvalidAccessKeyId") {
			t.Errorf("answer %v", err)
		}
	})
	t.Run("no signature at all", func(t *testing.T) {
		r, err := client.request(ctx, http.MethodGet, "stranger", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := client.finish(r, nil); Status(err) != 403 {
			t.Errorf("answer %v", err)
		}
	})
}

// TestTruncatedUpload: a body that ends early stores nothing, nor takes the
// version before with it.
func TestTruncatedUpload(t *testing.T) {
	ctx := limit(t, 2*time.Minute)
	d := demo(t, ctx)
	client := d.Client(2)
	defer client.Close()
	o := Objects{seed(t)}
	before := o.Body(0)
	for _, size := range []int{100, 70 << 10, 3 << 20} {
		if err := client.Put(ctx, o.Key(0), before); err != nil {
			t.Fatal(err)
		}
		body := o.Version(1, 1, size)
		hash := sha256.Sum256(body)
		for _, payload := range []string{hex.EncodeToString(hash[:]), UnsignedPayload} {
			r, err := client.request(ctx, http.MethodPut, o.Key(0), nil)
			if err != nil {
				t.Fatal(err)
			}
			client.Keys.Sign(r, payload, time.Now())
			if answer, err := sendTruncated(ctx, r, body[:size/2], size); err == nil && answer.StatusCode != http.StatusBadRequest {
				t.Errorf("%d of %d bytes: HTTP %d", size/2, size, answer.StatusCode)
			}
			got, err := client.Get(ctx, o.Key(0))
			if err != nil {
				t.Fatal(err)
			}
			if err := compare(o.Key(0), got, before); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestEmptyBodyWithExpect: aws-cli asks for "100 Continue" before an empty file
// too. An answer without it, on a connection that stays open, is taken for an
// early one, and the next request on that connection hangs for a minute.
func TestEmptyBodyWithExpect(t *testing.T) {
	ctx := limit(t, time.Minute)
	d := demo(t, ctx)
	client := d.Client(1)
	defer client.Close()
	r, err := client.request(ctx, http.MethodPut, "empty", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Expect", "100-continue")
	client.Keys.Sign(r, emptyHash, time.Now())
	conn, err := dial(ctx, r, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("\r\n")); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(line, "HTTP/1.1 100 ") {
		return
	}
	answer, err := http.ReadResponse(bufio.NewReader(io.MultiReader(strings.NewReader(line), in)), r)
	if err != nil || !answer.Close {
		t.Errorf("%q came without 100 Continue and the connection stays open: %v", line, err)
	}
}

// dial sends the head of a request, but for its last line, by hand.
func dial(ctx context.Context, r *http.Request, size int) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", r.URL.Host)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		err = conn.SetDeadline(deadline)
	}
	if err == nil {
		_, err = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", r.Method, r.URL.EscapedPath(), r.URL.Host, size)
	}
	if err == nil {
		err = r.Header.Write(conn)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// sendTruncated sends a request whose body ends early, and half-closes; no
// http.Client would do that.
func sendTruncated(ctx context.Context, r *http.Request, part []byte, size int) (*http.Response, error) {
	conn, err := dial(ctx, r, size)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := conn.Write(append([]byte("\r\n"), part...)); err != nil {
		return nil, err
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return nil, err
	}
	return http.ReadResponse(bufio.NewReader(conn), r)
}

// TestFullDisk: with no space left writes are refused cleanly, what was
// acknowledged stays readable, and deleting still works.
func TestFullDisk(t *testing.T) {
	program(t)
	if os.Getuid() != 0 {
		t.Skip("needs root, to mount a small file system")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=192m"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	ctx := limit(t, 4*time.Minute)
	d := demo(t, ctx, "--dir", filepath.Join(dir, "demo"))
	client := d.Client(4)
	defer client.Close()
	o := Objects{seed(t)}
	const size = 512 << 10
	stored := 0
	for refused := 0; refused < 5; {
		if stored > 192<<20/size {
			t.Fatalf("%d MiB fit on a disk of 192", stored*size>>20)
		}
		err := client.Put(ctx, o.Key(stored), o.Version(stored, 0, size))
		switch Status(err) {
		case http.StatusOK:
			stored++
		case http.StatusServiceUnavailable, http.StatusInsufficientStorage:
			refused++
		default:
			t.Fatalf("object %d: %v, want 200, 503 or 507\n%s", stored, err, d.Stderr())
		}
	}
	figure(t, "%d MiB stored on a disk of 192 MiB before the first refusal", stored*size>>20)
	_, errs := Each(ctx, stored, 4, func(ctx context.Context, i int) error {
		got, err := client.Get(ctx, o.Key(i))
		if err != nil {
			return err
		}
		return compare(o.Key(i), got, o.Version(i, 0, size))
	})
	if len(errs) > 0 {
		t.Errorf("%d of %d acknowledged objects cannot be read, the first: %v", len(errs), stored, errs[0])
	}
	for i := range min(stored, 20) {
		if err := client.Delete(ctx, o.Key(i)); err != nil {
			t.Fatalf("delete on a full disk: %v", err)
		}
		if _, err := client.Get(ctx, o.Key(i)); Status(err) != http.StatusNotFound {
			t.Errorf("deleted object answers %v", err)
		}
	}
}
