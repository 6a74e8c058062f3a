package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/tags"
)

// watched counts the ways in which bodies were sent.
type watched struct {
	http.RoundTripper
	signedChunks, trailers, http2 atomic.Int64
}

func (w *watched) RoundTrip(r *http.Request) (*http.Response, error) {
	switch mode := r.Header.Get("X-Amz-Content-Sha256"); {
	case strings.HasSuffix(mode, "-TRAILER"):
		w.trailers.Add(1)
	case strings.HasPrefix(mode, "STREAMING-AWS4-HMAC"):
		w.signedChunks.Add(1)
	}
	answer, err := w.RoundTripper.RoundTrip(r)
	if err == nil && answer.ProtoMajor == 2 {
		w.http2.Add(1)
	}
	return answer, err
}

func newMinio(t *testing.T, host string, keys Keys, trust *x509.CertPool, lookup minio.BucketLookupType, trailers bool) (*minio.Client, *watched) {
	t.Helper()
	transport, err := minio.DefaultTransport(trust != nil)
	if err != nil {
		t.Fatal(err)
	}
	if trust != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: trust}
		transport.ForceAttemptHTTP2 = true
	}
	t.Cleanup(transport.CloseIdleConnections)
	w := &watched{RoundTripper: transport}
	client, err := minio.New(host, &minio.Options{
		Creds: credentials.NewStaticV4(keys.Access, keys.Secret, ""), Secure: trust != nil, Region: keys.Region,
		Transport: w, BucketLookup: lookup, MaxRetries: 1, TrailingHeaders: trailers,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client, w
}

// TestMinio over HTTP, where it signs every chunk of a body.
func TestMinio(t *testing.T) {
	ctx := limit(t, 3*time.Minute)
	d := demo(t, ctx)
	client, seen := newMinio(t, strings.TrimPrefix(d.Endpoint, "http://"), Keys{d.AccessKey, d.SecretKey, d.Region}, nil, minio.BucketLookupPath, false)
	o := Objects{seed(t)}
	minioObjects(t, ctx, client, seen, d.Bucket, o)
	if seen.signedChunks.Load() == 0 {
		t.Error("no body came in signed chunks: this proves less than it should")
	}
	client, seen = newMinio(t, strings.TrimPrefix(d.Endpoint, "http://"), Keys{d.AccessKey, d.SecretKey, d.Region}, nil, minio.BucketLookupPath, true)
	minioChecksums(t, ctx, client, d.Bucket, o)
	if seen.trailers.Load() == 0 {
		t.Error("no body had a trailer: this proves less than it should")
	}
}

// TestMinioSecure over TLS with an authority of its own, HTTP/2, path style and
// virtual-host style; the certificate is renewed meanwhile.
func TestMinioSecure(t *testing.T) {
	ctx := limit(t, 3*time.Minute)
	program(t)
	dir := t.TempDir()
	ca, err := NewCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	hosts := []string{"127.0.0.1", "s3.test", "*.s3.test"}
	cert, key, err := ca.Issue(1001, hosts...)
	if err != nil {
		t.Fatal(err)
	}
	g := serve(t, ctx, fmt.Sprintf("domains = [\"s3.test\"]\n[s3.tls]\ncert = %q\nkey = %q\n", cert, key), "secure")
	keys := g.access("--admin", "*")
	o := Objects{seed(t)}

	client, seen := newMinio(t, g.address, keys, ca.Pool, minio.BucketLookupPath, true)
	minioObjects(t, ctx, client, seen, "secure", o)
	minioChecksums(t, ctx, client, "secure", o)
	if seen.http2.Load() == 0 {
		t.Error("no answer came over HTTP/2")
	}
	t.Run("virtual host", func(t *testing.T) {
		_, port, _ := strings.Cut(g.address, ":")
		client, seen := newMinio(t, "s3.test:"+port, keys, ca.Pool, minio.BucketLookupDNS, false)
		own := seen.RoundTripper.(*http.Transport)
		own.DialContext = toAddress(g.address)
		body := o.Version(1, 0, 100<<10)
		if _, err := client.PutObject(ctx, "secure", "by host/a+b", bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
		minioHolds(t, ctx, client, "secure", "by host/a+b", body)
		link, err := client.PresignedGetObject(ctx, "secure", "by host/a+b", time.Minute, nil)
		if err != nil || !strings.HasPrefix(link.Host, "secure.s3.test") {
			t.Fatalf("%v, %v", link, err)
		}
		answer, got := visit(t, ctx, &http.Client{Transport: own}, http.MethodGet, link.String(), nil)
		if answer != http.StatusOK || !bytes.Equal(got, body) {
			t.Errorf("presigned: %d, %d bytes", answer, len(got))
		}
	})
	t.Run("a renewed certificate", func(t *testing.T) {
		if _, _, err := ca.Issue(2002, hosts...); err != nil {
			t.Fatal(err)
		}
		eventually(t, ctx, "the new certificate", func(ctx context.Context) error {
			dialer := tls.Dialer{Config: &tls.Config{RootCAs: ca.Pool}}
			conn, err := dialer.DialContext(ctx, "tcp", g.address)
			if err != nil {
				return err
			}
			defer conn.Close()
			if n := conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64(); n != 2002 {
				return fmt.Errorf("certificate %d", n)
			}
			return nil
		})
	})
	t.Run("aws-cli and curl", func(t *testing.T) {
		home := t.TempDir()
		tool := Tool{Home: home, Env: []string{
			"AWS_CA_BUNDLE=" + ca.File, "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "AWS_ENDPOINT_URL=https://" + g.address,
			"AWS_DEFAULT_REGION=" + keys.Region, "AWS_ACCESS_KEY_ID=" + keys.Access, "AWS_SECRET_ACCESS_KEY=" + keys.Secret,
		}}
		body := o.Version(2, 0, 9<<20) // over aws-cli's threshold: parts with trailers
		if err := os.WriteFile(filepath.Join(home, "one"), body, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := tool.Run(ctx, "curl", "-sSf", "--cacert", ca.File, "-u", keys.Access+":"+keys.Secret, "-T", "one", "https://"+g.address+"/secure/basic"); err != nil {
			t.Errorf("%v %s", err, out)
		} else {
			minioHolds(t, ctx, client, "secure", "basic", body)
		}
		tool.Path = filepath.Join(venv(t), "bin")
		for _, args := range [][]string{{"one", "s3://secure/aws"}, {"s3://secure/aws", "back"}} {
			if _, err := tool.Run(ctx, "aws", append([]string{"s3", "cp", "--only-show-errors"}, args...)...); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(filepath.Join(home, "back"))
		if err == nil {
			err = compare("aws", got, body)
		}
		if err != nil {
			t.Error(err)
		}
	})
}

func visit(t *testing.T, ctx context.Context, client *http.Client, method, address string, body []byte) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, got
}

func minioHolds(t *testing.T, ctx context.Context, client *minio.Client, bucket, key string, want []byte) {
	t.Helper()
	r, err := client.GetObject(ctx, bucket, key, minio.GetObjectOptions{Checksum: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err == nil {
		err = compare(key, got, want)
	}
	if err != nil {
		t.Error(err)
	}
}

func minioObjects(t *testing.T, ctx context.Context, client *minio.Client, seen *watched, bucket string, o Objects) {
	t.Run("one PUT", func(t *testing.T) {
		body := o.Version(10, 0, 3*chunkBytes+5)
		put, err := client.PutObject(ctx, bucket, "minio/one", bytes.NewReader(body), int64(len(body)),
			minio.PutObjectOptions{ContentType: "text/x-minio", UserMetadata: map[string]string{"Color": "grey"}, UserTags: map[string]string{"a b": "1"}})
		if err != nil {
			t.Fatal(err)
		}
		minioHolds(t, ctx, client, bucket, "minio/one", body)
		about, err := client.StatObject(ctx, bucket, "minio/one", minio.StatObjectOptions{})
		if err != nil || about.Size != int64(len(body)) || about.ContentType != "text/x-minio" || about.UserMetadata["Color"] != "grey" || about.ETag != put.ETag {
			t.Errorf("stat: %+v, %v", about, err)
		}
		got, err := client.GetObjectTagging(ctx, bucket, "minio/one", minio.GetObjectTaggingOptions{})
		if err != nil || got.ToMap()["a b"] != "1" {
			t.Errorf("tags: %v, %v", got, err)
		}
		more, err := tags.NewTags(map[string]string{"c": "2", "d": "3"}, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := client.PutObjectTagging(ctx, bucket, "minio/one", more, minio.PutObjectTaggingOptions{}); err != nil {
			t.Error(err)
		}
		for etag, want := range map[string]int{put.ETag: http.StatusOK, "00000000000000000000000000000000": http.StatusPreconditionFailed} {
			var options minio.GetObjectOptions
			if err := options.SetMatchETag(etag); err != nil {
				t.Fatal(err)
			}
			r, err := client.GetObject(ctx, bucket, "minio/one", options)
			if err == nil {
				_, err = io.Copy(io.Discard, r)
				r.Close()
			}
			if status := minio.ToErrorResponse(err).StatusCode; err != nil && status != want || err == nil && want != http.StatusOK {
				t.Errorf("If-Match %s: %v, want %d", etag, err, want)
			}
		}
	})
	t.Run("of unknown length, in parts", func(t *testing.T) {
		const size = 12<<20 + 77
		put, err := client.PutObject(ctx, bucket, "minio/parts", io.LimitReader(o.Reader(12), size), -1, minio.PutObjectOptions{PartSize: 5 << 20})
		if err != nil || !strings.HasSuffix(put.ETag, "-3") {
			t.Fatalf("%+v, %v", put, err)
		}
		r, err := client.GetObject(ctx, bucket, "minio/parts", minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if err := sameStream("minio/parts", r, o.Reader(12), size); err != nil {
			t.Error(err)
		}
		at, part := int64(5<<20-3), make([]byte, 10) // over the border of two parts
		if _, err := r.ReadAt(part, at); err != nil {
			t.Fatal(err)
		}
		want := make([]byte, at+10)
		if _, err := io.ReadFull(o.Reader(12), want); err != nil || !bytes.Equal(part, want[at:]) {
			t.Errorf("read at %d: %x, want %x: %v", at, part, want[at:], err)
		}
		if _, err := client.ComposeObject(ctx, minio.CopyDestOptions{Bucket: bucket, Object: "minio/composed"},
			minio.CopySrcOptions{Bucket: bucket, Object: "minio/parts"}, minio.CopySrcOptions{Bucket: bucket, Object: "minio/one"}); err != nil {
			t.Errorf("compose: %v", err)
		} else if about, err := client.StatObject(ctx, bucket, "minio/composed", minio.StatObjectOptions{}); err != nil || about.Size != size+3*chunkBytes+5 {
			t.Errorf("composed: %+v, %v", about, err)
		}
		if _, err := client.CopyObject(ctx, minio.CopyDestOptions{Bucket: bucket, Object: "minio/copy"}, minio.CopySrcOptions{Bucket: bucket, Object: "minio/one"}); err != nil {
			t.Errorf("copy: %v", err)
		}
	})
	t.Run("an empty one", func(t *testing.T) {
		if _, err := client.PutObject(ctx, bucket, "minio/empty", bytes.NewReader(nil), 0, minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
		minioHolds(t, ctx, client, bucket, "minio/empty", nil)
	})
	t.Run("presigned", func(t *testing.T) {
		body := o.Version(13, 0, 60<<10)
		own := &http.Client{Transport: seen}
		link, err := client.PresignedPutObject(ctx, bucket, "minio/pre signed+", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if status, said := visit(t, ctx, own, http.MethodPut, link.String(), body); status != http.StatusOK {
			t.Fatalf("%d %s", status, said)
		}
		link, err = client.PresignedGetObject(ctx, bucket, "minio/pre signed+", time.Minute, url.Values{"response-content-type": {"text/x-else"}})
		if err != nil {
			t.Fatal(err)
		}
		if status, got := visit(t, ctx, own, http.MethodGet, link.String(), nil); status != http.StatusOK || !bytes.Equal(got, body) {
			t.Errorf("%d, %d bytes", status, len(got))
		}
	})
	t.Run("list and remove", func(t *testing.T) {
		const n = 1100 // more than one DeleteObjects takes
		_, errs := Each(ctx, n, 16, func(ctx context.Context, i int) error {
			_, err := client.PutObject(ctx, bucket, fmt.Sprintf("minio/many/%d/%04d", i%5, i), strings.NewReader("x"), 1, minio.PutObjectOptions{})
			return err
		})
		if len(errs) > 0 {
			t.Fatal(errs[0])
		}
		for _, v1 := range []bool{false, true} {
			keys, folders := 0, 0
			for one := range client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Prefix: "minio/many/", Recursive: true, MaxKeys: 300, UseV1: v1}) {
				if one.Err != nil {
					t.Fatal(one.Err)
				}
				keys++
			}
			for one := range client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Prefix: "minio/many/", UseV1: v1}) {
				if one.Err != nil {
					t.Fatal(one.Err)
				}
				folders++
			}
			if keys != n || folders != 5 {
				t.Errorf("version 1 %v: %d keys, %d folders", v1, keys, folders)
			}
		}
		listed := client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Prefix: "minio/", Recursive: true})
		for failed := range client.RemoveObjects(ctx, bucket, listed, minio.RemoveObjectsOptions{}) {
			t.Errorf("%s: %v", failed.ObjectName, failed.Err)
		}
		for one := range client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Prefix: "minio/", Recursive: true}) {
			t.Fatalf("%s is left, %v", one.Key, one.Err)
		}
	})
}

func minioChecksums(t *testing.T, ctx context.Context, client *minio.Client, bucket string, o Objects) {
	t.Run("every checksum", func(t *testing.T) {
		body := o.Version(11, 0, 200<<10)
		for name, sum := range map[string]minio.ChecksumType{"CRC32": minio.ChecksumCRC32, "CRC32C": minio.ChecksumCRC32C, "CRC64NVME": minio.ChecksumCRC64NVME, "SHA1": minio.ChecksumSHA1, "SHA256": minio.ChecksumSHA256} {
			if _, err := client.PutObject(ctx, bucket, "minio/sum", bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{Checksum: sum}); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			about, err := client.StatObject(ctx, bucket, "minio/sum", minio.StatObjectOptions{Checksum: true})
			got := map[string]string{"CRC32": about.ChecksumCRC32, "CRC32C": about.ChecksumCRC32C, "CRC64NVME": about.ChecksumCRC64NVME, "SHA1": about.ChecksumSHA1, "SHA256": about.ChecksumSHA256}[name]
			if err != nil || got != Sum(name, body) {
				t.Errorf("%s: %q, want %q: %v", name, got, Sum(name, body), err)
			}
			minioHolds(t, ctx, client, bucket, "minio/sum", body)
		}
	})
}
