package integration

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/minio/minio-go/v7"
)

// oneClient is a client as far as storing and reading one object goes.
type oneClient struct {
	name string
	put  func(ctx context.Context, key string, body []byte) error
	get  func(ctx context.Context, key string) ([]byte, error)
}

// everyClient is all of them, set up for d. One that is missing on this machine
// is skipped in a subtest of its own.
func everyClient(t *testing.T, ctx context.Context, d *Demo) (all []oneClient) {
	home := t.TempDir()
	from, to := filepath.Join(home, "from"), filepath.Join(home, "to")
	// byFile makes a client of two commands that copy a file.
	byFile := func(name string, in, out func(ctx context.Context, file, key string) error) oneClient {
		return oneClient{name,
			func(ctx context.Context, key string, body []byte) error {
				if err := os.WriteFile(from, body, 0o600); err != nil {
					return err
				}
				return in(ctx, from, key)
			},
			func(ctx context.Context, key string) ([]byte, error) {
				if err := os.RemoveAll(to); err != nil {
					return nil, err
				}
				if err := out(ctx, to, key); err != nil {
					return nil, err
				}
				return os.ReadFile(to)
			}}
	}
	if os.Getenv("CAIRN_VENV") != "" {
		a := newAWS(t, ctx, d)
		cp := func(ctx context.Context, from, to string) error {
			_, err := a.tool.Run(ctx, "aws", "s3", "cp", "--only-show-errors", from, to)
			return err
		}
		at := func(key string) string { return "s3://" + d.Bucket + "/" + key }
		all = append(all, byFile("aws-cli",
			func(ctx context.Context, file, key string) error { return cp(ctx, file, at(key)) },
			func(ctx context.Context, file, key string) error { return cp(ctx, at(key), file) }))
		script := `import sys, boto3
from botocore.config import Config
s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))
verb, bucket, path, key = sys.argv[1:]
s3.upload_file(path, bucket, key) if verb == "in" else s3.download_file(bucket, key, path)
`
		boto := func(ctx context.Context, verb, file, key string) error {
			_, err := a.tool.Run(ctx, "python", "-c", script, verb, d.Bucket, file, key)
			return err
		}
		all = append(all, byFile("boto3",
			func(ctx context.Context, file, key string) error { return boto(ctx, "in", file, key) },
			func(ctx context.Context, file, key string) error { return boto(ctx, "out", file, key) }))
	} else {
		t.Run("aws-cli and boto3", func(t *testing.T) { venv(t) })
	}
	if os.Getenv("CAIRN_RCLONE") != "" {
		r := newRclone(t, ctx, d)
		all = append(all, byFile("rclone",
			func(ctx context.Context, file, key string) error {
				_, err := r.run(d.Bucket, "copyto", file, "cairn:"+d.Bucket+"/"+key)
				return err
			},
			func(ctx context.Context, file, key string) error {
				_, err := r.run(d.Bucket, "copyto", "cairn:"+d.Bucket+"/"+key, file)
				return err
			}))
	} else {
		t.Run("rclone", func(t *testing.T) { newRclone(t, ctx, d) })
	}
	curl := Tool{Home: home}
	sigv4 := []string{"-sSf", "--aws-sigv4", "aws:amz:" + d.Region + ":s3", "--user", d.AccessKey + ":" + d.SecretKey}
	all = append(all, byFile("curl",
		func(ctx context.Context, file, key string) error {
			_, err := curl.Run(ctx, "curl", append(sigv4, "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "-T", file, d.Endpoint+"/"+d.Bucket+"/"+key)...)
			return err
		},
		func(ctx context.Context, file, key string) error {
			_, err := curl.Run(ctx, "curl", append(sigv4, "-o", file, d.Endpoint+"/"+d.Bucket+"/"+key)...)
			return err
		}))
	sdk := d.sdk()
	all = append(all, oneClient{"aws-sdk-go-v2",
		func(ctx context.Context, key string, body []byte) error {
			_, err := sdk.PutObject(ctx, &s3.PutObjectInput{Bucket: &d.Bucket, Key: &key, Body: bytes.NewReader(body)})
			return err
		},
		func(ctx context.Context, key string) ([]byte, error) {
			out, err := sdk.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(d.Bucket), Key: &key})
			if err != nil {
				return nil, err
			}
			defer out.Body.Close()
			return io.ReadAll(out.Body)
		}})
	m, _ := newMinio(t, strings.TrimPrefix(d.Endpoint, "http://"), Keys{d.AccessKey, d.SecretKey, d.Region}, nil, minio.BucketLookupPath, false)
	return append(all, oneClient{"minio-go",
		func(ctx context.Context, key string, body []byte) error {
			_, err := m.PutObject(ctx, d.Bucket, key, bytes.NewReader(body), -1, minio.PutObjectOptions{PartSize: 5 << 20})
			return err
		},
		func(ctx context.Context, key string) ([]byte, error) {
			r, err := m.GetObject(ctx, d.Bucket, key, minio.GetObjectOptions{})
			if err != nil {
				return nil, err
			}
			defer r.Close()
			return io.ReadAll(r)
		}})
}

// TestEveryClientWithBadNodes: with two of seven nodes dead and one lying every
// client gets every byte, and stores; with three dead and one lying it gets
// every byte or an error, never other bytes.
func TestEveryClientWithBadNodes(t *testing.T) {
	ctx := limit(t, 5*time.Minute)
	o := Objects{seed(t)}
	c := &clients{t: t, ctx: ctx, dir: filepath.Join(t.TempDir(), "demo")}
	c.start()
	defer func() { c.stop() }()
	sizes := []int{20 << 10, 700 << 10, 17 << 20} // the last in parts, for those that make parts
	key := func(client oneClient, i int) string { return fmt.Sprintf("%s/%d", client.name, i) }
	body := func(w, i int) []byte { return o.Version(w, i, sizes[i]) }
	for w, client := range everyClient(t, ctx, c.d) {
		for i := range sizes {
			c.must(client.put(ctx, key(client, i), body(w, i)))
		}
	}
	do(t, ctx, c.d, "flush")

	c.restart()
	c.each("kill", 3, 6)
	c.each("lie", 2)
	for w, client := range everyClient(t, ctx, c.d) {
		for i := range sizes {
			got, err := client.get(ctx, key(client, i))
			if err == nil {
				err = compare(key(client, i), got, body(w, i))
			}
			if err != nil {
				t.Errorf("%s, two dead and one lying: %v", client.name, err)
			}
		}
		name := client.name + "/meanwhile"
		c.must(client.put(ctx, name, body(w, 1)))
		got, err := client.get(ctx, name)
		c.must(err)
		c.must(compare(name, got, body(w, 1)))
	}
	c.each("revive", 2, 3, 6)
	do(t, ctx, c.d, "flush")

	c.restart()
	c.each("kill", 1, 3, 6)
	c.each("lie", 2)
	good, refused := 0, 0
	for w, client := range everyClient(t, ctx, c.d) {
		for i := range sizes {
			got, err := client.get(ctx, key(client, i))
			if err != nil {
				refused++
				continue
			}
			good++
			if err := compare(key(client, i), got, body(w, i)); err != nil {
				t.Errorf("%s, three dead and one lying: %v", client.name, err)
			}
		}
	}
	figure(t, "three dead and one lying: %d exact, %d refused, 0 wrong", good, refused)
	if refused == 0 {
		t.Error("with four of seven nodes bad everything was served: the bytes did not come from the nodes, so this proves nothing")
	}
	c.each("revive", 1, 2, 3, 6)
	k := newDesk(t, ctx, c.d, 2)
	eventually(t, ctx, "whole again after revive", func(ctx context.Context) error {
		_, err := k.Get(ctx, "curl/0")
		return err
	})
	for w, client := range everyClient(t, ctx, c.d) {
		for i := range sizes {
			k.holds(t, key(client, i), body(w, i))
		}
	}
}
