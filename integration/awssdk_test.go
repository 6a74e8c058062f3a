package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	transfer "github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// sdk is aws-sdk-go-v2 as its configuration from the environment would make
// it: a CRC32 with each PUT, which is checked again on each GET.
func (d *Demo) sdk() *s3.Client {
	return newSDK(d.Endpoint, Keys{d.AccessKey, d.SecretKey, d.Region})
}

func newSDK(endpoint string, keys Keys) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(endpoint), Region: keys.Region, UsePathStyle: true, RetryMaxAttempts: 1,
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported, ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
		Credentials: credentials.NewStaticCredentialsProvider(keys.Access, keys.Secret, ""),
	})
}

func TestAWSSDKGo(t *testing.T) {
	ctx := limit(t, 3*time.Minute)
	d := demo(t, ctx)
	o := Objects{seed(t)}
	client := d.sdk()
	bucket := aws.String(d.Bucket)
	t.Run("objects", func(t *testing.T) { sdkObjects(t, ctx, client, bucket, o) })
	t.Run("transfer manager", func(t *testing.T) { sdkTransfers(t, ctx, client, bucket, o) })
	t.Run("listing", func(t *testing.T) { sdkListing(t, ctx, client, bucket) })
	t.Run("presigned", func(t *testing.T) { sdkPresigned(t, ctx, client, bucket, o) })
}

func sdkGet(ctx context.Context, client *s3.Client, in *s3.GetObjectInput, want []byte) (*s3.GetObjectOutput, error) {
	in.ChecksumMode = types.ChecksumModeEnabled // the SDK checks what comes
	out, err := client.GetObject(ctx, in)
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	got, err := io.ReadAll(out.Body)
	if err != nil {
		return nil, err
	}
	return out, compare(aws.ToString(in.Key), got, want)
}

func sdkObjects(t *testing.T, ctx context.Context, client *s3.Client, bucket *string, o Objects) {
	body := o.Version(1, 0, 300<<10)
	key := aws.String("sdk/a b+c")
	for name, in := range map[string]*s3.PutObjectInput{
		"default":   {Body: bytes.NewReader(body)},
		"CRC32C":    {Body: bytes.NewReader(body), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c},
		"CRC64NVME": {Body: bytes.NewReader(body), ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme},
		"SHA1":      {Body: bytes.NewReader(body), ChecksumAlgorithm: types.ChecksumAlgorithmSha1},
		"SHA256":    {Body: bytes.NewReader(body), ChecksumAlgorithm: types.ChecksumAlgorithmSha256},
	} {
		in.Bucket, in.Key, in.ContentType = bucket, key, aws.String("text/x-sdk")
		in.Metadata = map[string]string{"name": name}
		if _, err := client.PutObject(ctx, in); err != nil {
			t.Fatalf("put, %s: %v", name, err)
		}
		out, err := sdkGet(ctx, client, &s3.GetObjectInput{Bucket: bucket, Key: key}, body)
		if err != nil {
			t.Fatalf("get, %s: %v", name, err)
		}
		got := map[string]*string{"default": out.ChecksumCRC32, "CRC32C": out.ChecksumCRC32C, "CRC64NVME": out.ChecksumCRC64NVME, "SHA1": out.ChecksumSHA1, "SHA256": out.ChecksumSHA256}[name]
		want := Sum(name, body)
		if name == "default" {
			want = Sum("CRC32", body)
		}
		if aws.ToString(got) != want || aws.ToString(out.ContentType) != "text/x-sdk" || out.Metadata["name"] != name {
			t.Errorf("%s: checksum %q, want %q; %v %v", name, aws.ToString(got), want, aws.ToString(out.ContentType), out.Metadata)
		}
	}
	if _, err := sdkGet(ctx, client, &s3.GetObjectInput{Bucket: bucket, Key: key, Range: aws.String("bytes=65530-65545")}, body[65530:65546]); err != nil {
		t.Error(err)
	}
	_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: bytes.NewReader(body), IfNoneMatch: aws.String("*")})
	if sdkStatus(err) != http.StatusPreconditionFailed {
		t.Errorf("put if absent: %v", err)
	}
	var missing *types.NoSuchKey
	if _, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("sdk/not")}); !errors.As(err, &missing) {
		t.Errorf("get of a missing key: %v, want NoSuchKey", err)
	}
	var notFound *types.NotFound
	if _, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("sdk/not")}); !errors.As(err, &notFound) {
		t.Errorf("head of a missing key: %v, want NotFound", err)
	}
	copied := aws.String("sdk/copy")
	if _, err := client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: bucket, Key: copied, CopySource: aws.String(escapePath(*bucket + "/" + *key))}); err != nil {
		t.Fatalf("copy: %v", err)
	}
	if _, err := sdkGet(ctx, client, &s3.GetObjectInput{Bucket: bucket, Key: copied}, body); err != nil {
		t.Error(err)
	}
	gone, err := client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: key}, {Key: copied}}}})
	if err != nil || len(gone.Deleted) != 2 || len(gone.Errors) != 0 {
		t.Errorf("delete: %+v, %v", gone, err)
	}
}

func sdkStatus(err error) int {
	var answer interface{ HTTPStatusCode() int }
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}

func sdkTransfers(t *testing.T, ctx context.Context, client *s3.Client, bucket *string, o Objects) {
	size := int64(33<<20 + 12345)
	if long() {
		size = 512<<20 + 12345
	}
	for _, c := range []struct {
		name string
		sum  transfer.ChecksumAlgorithm
		get  transfer.GetObjectType
		// seekable says whether the uploader knows the length before.
		seekable bool
	}{
		{"by parts", "", transfer.GetObjectParts, true},
		{"by ranges", "", transfer.GetObjectRanges, true},
		{"of unknown length, CRC32C", transfer.ChecksumAlgorithmCrc32c, transfer.GetObjectParts, false},
		{"composite SHA256", transfer.ChecksumAlgorithmSha256, transfer.GetObjectParts, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := transfermanager.New(client, func(m *transfermanager.Options) {
				m.PartSizeBytes, m.Concurrency, m.GetObjectType = 5<<20, 8, c.get
				if c.sum != "" {
					m.ChecksumAlgorithm = c.sum
				}
			})
			key := aws.String("sdk/transfer " + c.name)
			dir := t.TempDir()
			var from io.Reader = io.LimitReader(o.Reader(7), size)
			if c.seekable {
				f, err := os.Create(filepath.Join(dir, "from"))
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if _, err := io.Copy(f, from); err != nil {
					t.Fatal(err)
				}
				if _, err := f.Seek(0, io.SeekStart); err != nil {
					t.Fatal(err)
				}
				from = f
			}
			if _, err := m.UploadObject(ctx, &transfermanager.UploadObjectInput{Bucket: bucket, Key: key, Body: from}); err != nil {
				t.Fatalf("upload: %v", err)
			}
			to, err := os.Create(filepath.Join(dir, "to"))
			if err != nil {
				t.Fatal(err)
			}
			defer to.Close()
			if _, err := m.DownloadObject(ctx, &transfermanager.DownloadObjectInput{Bucket: bucket, Key: key, WriterAt: to, ChecksumMode: transfer.ChecksumModeEnabled}); err != nil {
				t.Fatalf("download: %v", err)
			}
			if err := sameStream(*key, to, o.Reader(7), size); err != nil {
				t.Error(err)
			}
			second, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: key, PartNumber: aws.Int32(2)})
			if err != nil || aws.ToInt64(second.ContentLength) != 5<<20 || aws.ToInt32(second.PartsCount) != int32((size+5<<20-1)/(5<<20)) {
				t.Errorf("head of part 2: %+v, %v", second, err)
			}
		})
	}
}

func sdkListing(t *testing.T, ctx context.Context, client *s3.Client, bucket *string) {
	const n = 30
	for i := range n {
		_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String(fmt.Sprintf("list/%d/%02d", i%3, i)), Body: bytes.NewReader([]byte("x"))})
		if err != nil {
			t.Fatal(err)
		}
	}
	keys := 0
	for pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: bucket, Prefix: aws.String("list/"), MaxKeys: aws.Int32(7)}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		keys += len(page.Contents)
	}
	if keys != n {
		t.Errorf("%d keys, want %d", keys, n)
	}
	page, err := client.ListObjects(ctx, &s3.ListObjectsInput{Bucket: bucket, Prefix: aws.String("list/"), Delimiter: aws.String("/")})
	if err != nil || len(page.CommonPrefixes) != 3 || len(page.Contents) != 0 {
		t.Errorf("version 1 with a delimiter: %+v, %v", page, err)
	}
}

func sdkPresigned(t *testing.T, ctx context.Context, client *s3.Client, bucket *string, o Objects) {
	body := o.Version(8, 0, 50<<10)
	signer := s3.NewPresignClient(client)
	key := aws.String("sdk/presigned")
	put, err := signer.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	get, err := signer.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key, ResponseContentType: aws.String("text/x-else")})
	if err != nil {
		t.Fatal(err)
	}
	send := func(method, url string, body []byte) (*http.Response, []byte) {
		r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		got, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer, got
	}
	if answer, said := send(put.Method, put.URL, body); answer.StatusCode != http.StatusOK {
		t.Fatalf("put: %d %s", answer.StatusCode, said)
	}
	answer, got := send(get.Method, get.URL, nil)
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/x-else" || !bytes.Equal(got, body) {
		t.Errorf("get: %d %v, %d bytes", answer.StatusCode, answer.Header, len(got))
	}
}
