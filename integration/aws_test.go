package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// awsCLI is aws-cli in a folder of its own.
type awsCLI struct {
	t    *testing.T
	ctx  context.Context
	tool Tool
	d    *Demo
}

func newAWS(t *testing.T, ctx context.Context, d *Demo) awsCLI {
	t.Helper()
	home := t.TempDir()
	settings := filepath.Join(home, "aws-settings")
	text := "[default]\ns3 =\n  addressing_style = path\n  multipart_threshold = 8MB\n  multipart_chunksize = 8MB\n  max_concurrent_requests = 8\n"
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return awsCLI{t, ctx, Tool{home, filepath.Join(venv(t), "bin"), append(d.AWSEnv(), "AWS_CONFIG_FILE="+settings)}, d}
}

// in is the same for a subtest.
func (a awsCLI) in(t *testing.T) awsCLI { a.t = t; return a }

// ok runs a command that must work; BUCKET stands for the demo's.
func (a awsCLI) ok(line string, more ...string) string {
	a.t.Helper()
	out, err := a.run(line, more...)
	if err != nil {
		a.t.Fatal(err)
	}
	return out
}

func (a awsCLI) run(line string, more ...string) (string, error) {
	words := strings.Fields(strings.ReplaceAll(line, "BUCKET", a.d.Bucket))
	return a.tool.Run(a.ctx, "aws", append(words, more...)...)
}

// refused runs a command that must fail and say so.
func (a awsCLI) refused(says, line string, more ...string) {
	a.t.Helper()
	if out, err := a.run(line, more...); err == nil || !strings.Contains(err.Error(), says) {
		a.t.Errorf("%s: %v\n%s, want an error that says %q", line, err, out, says)
	}
}

// file writes a file into the folder that the commands run in.
func (a awsCLI) file(name string, body []byte) {
	a.t.Helper()
	if err := os.WriteFile(filepath.Join(a.tool.Home, name), body, 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// holds compares an object with what it must be; nil stands for none.
func (a awsCLI) holds(key string, want []byte) {
	a.t.Helper()
	newDesk(a.t, a.ctx, a.d, 1).holds(a.t, key, want)
}

// same compares a file there.
func (a awsCLI) same(name string, want []byte) {
	a.t.Helper()
	got, err := os.ReadFile(filepath.Join(a.tool.Home, name))
	if err == nil {
		err = compare(name, got, want)
	}
	if err != nil {
		a.t.Error(err)
	}
}

func TestAWSCLI(t *testing.T) {
	ctx := limit(t, 6*time.Minute)
	program(t)
	venv(t)
	d := demo(t, ctx)
	a := newAWS(t, ctx, d)
	o := Objects{seed(t)}
	for name, test := range map[string]func(*testing.T, awsCLI, Objects){
		"cp and range": awsCopyIn, "sync both ways": awsSync, "multipart": awsMultipart, "presign": awsPresign,
		"conditional put": awsConditions, "checksums": awsChecksums, "tags and copy": awsTags,
		"thousands of keys": awsMany, "buckets": awsBuckets, "unfinished uploads": awsUploads,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := a.in(t)
			own.tool.Home = t.TempDir()
			test(t, own, o)
		})
	}
}

func awsCopyIn(t *testing.T, a awsCLI, o Objects) {
	body := o.Version(1, 0, 300<<10)
	a.file("one", body)
	a.ok("s3 cp --only-show-errors one s3://BUCKET/cp/one --content-type text/x-cairn --metadata color=grey")
	a.ok("s3 cp --only-show-errors s3://BUCKET/cp/one back")
	a.same("back", body)
	a.ok("s3api get-object --bucket BUCKET --key cp/one --range bytes=65530-65545 part")
	a.same("part", body[65530:65546])
	a.ok("s3api get-object --bucket BUCKET --key cp/one --range bytes=-7 part")
	a.same("part", body[len(body)-7:])
	a.refused("InvalidRange", "s3api get-object --bucket BUCKET --key cp/one --range bytes=9999999- part")
	var head struct {
		ContentType   string
		ContentLength int
		Metadata      map[string]string
	}
	if err := json.Unmarshal([]byte(a.ok("s3api head-object --bucket BUCKET --key cp/one")), &head); err != nil ||
		head.ContentType != "text/x-cairn" || head.ContentLength != len(body) || head.Metadata["color"] != "grey" {
		t.Errorf("head-object: %+v, %v", head, err)
	}
	a.ok("s3 mv --only-show-errors s3://BUCKET/cp/one s3://BUCKET/cp/moved")
	a.holds("cp/one", nil)
	a.holds("cp/moved", body)
	a.refused("404", "s3 cp s3://BUCKET/cp/never back")
}

func awsSync(t *testing.T, a awsCLI, o Objects) {
	tree, err := BuildTree(filepath.Join(goroot(t), "src", "net"), 120, o)
	if err != nil {
		t.Fatal(err)
	}
	in, out := filepath.Join(a.tool.Home, "in"), filepath.Join(a.tool.Home, "out")
	if err := tree.WriteTo(in); err != nil {
		t.Fatal(err)
	}
	a.ok("s3 sync --only-show-errors in s3://BUCKET/sync/")
	if again := a.ok("s3 sync in s3://BUCKET/sync/"); strings.Contains(again, "upload:") {
		t.Errorf("a second sync uploads again: %.500s", again)
	}
	a.ok("s3 sync --only-show-errors s3://BUCKET/sync/ out")
	if err := tree.CompareDir(out); err != nil {
		t.Error(err)
	}
	for gone := range tree { // one goes, one changes its size, one comes
		if strings.HasPrefix(gone, "src/") {
			delete(tree, gone)
			if err := os.Remove(filepath.Join(in, filepath.FromSlash(gone))); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	tree["large.bin"], tree["odd/new one"] = o.Version(9, 0, 8<<20+1), o.Version(9, 1, 77)
	if err := tree.WriteTo(in); err != nil {
		t.Fatal(err)
	}
	a.ok("s3 sync --only-show-errors --delete --size-only in s3://BUCKET/sync/")
	a.ok("s3 sync --only-show-errors --delete --size-only s3://BUCKET/sync/ out")
	if err := tree.CompareDir(out); err != nil {
		t.Error(err)
	}
}

func awsMultipart(t *testing.T, a awsCLI, o Objects) {
	size := int64(64 << 20)
	if long() {
		size = 1 << 30
	}
	file := filepath.Join(a.tool.Home, "large")
	f, err := os.Create(file)
	if err == nil {
		_, err = io.Copy(f, io.LimitReader(o.Reader(3), size))
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	a.ok("s3 cp --only-show-errors large s3://BUCKET/large")
	in := time.Since(started)
	var head struct {
		ContentLength int64
		ETag          string
	}
	if err := json.Unmarshal([]byte(a.ok("s3api head-object --bucket BUCKET --key large")), &head); err != nil ||
		head.ContentLength != size || !strings.HasSuffix(head.ETag, fmt.Sprintf(`-%d"`, size/(8<<20))) {
		t.Errorf("head-object: %+v, %v", head, err)
	}
	started = time.Now()
	a.ok("s3 cp --only-show-errors s3://BUCKET/large back")
	figure(t, "aws-cli: %d MiB in parts of 8: in %.1f s, out %.1f s", size>>20, in.Seconds(), time.Since(started).Seconds())
	f, err = os.Open(filepath.Join(a.tool.Home, "back"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := sameStream("large", f, o.Reader(3), size); err != nil {
		t.Error(err)
	}
}

func awsPresign(t *testing.T, a awsCLI, o Objects) {
	body := o.Version(4, 0, 100<<10)
	a.file("one", body)
	a.ok("s3 cp --only-show-errors one", "s3://"+a.d.Bucket+"/presign/a b+c=d%.bin")
	// In the oldest regions aws-cli signs addresses with version 2, unless told
	// otherwise; that one is refused with the word for what to tell it.
	old := strings.TrimSpace(a.ok("s3 presign --region us-east-1 --expires-in 600", "s3://"+a.d.Bucket+"/presign/a b+c=d%.bin"))
	if said, err := a.tool.Run(a.ctx, "curl", "-sS", old); err != nil || !strings.Contains(said, "<Error>") || !strings.Contains(said, "AWS4-HMAC-SHA256") {
		t.Errorf("signature version 2: %.300s, %v", said, err)
	}
	a.tool.Env = append(a.tool.Env, "AWS_DEFAULT_REGION=eu-central-1", "AWS_REGION=eu-central-1")
	link := strings.TrimSpace(a.ok("s3 presign --expires-in 600", "s3://"+a.d.Bucket+"/presign/a b+c=d%.bin"))
	if _, err := a.tool.Run(a.ctx, "curl", "-sSf", "-o", "whole", link); err != nil {
		t.Fatal(err)
	}
	a.same("whole", body)
	if _, err := a.tool.Run(a.ctx, "curl", "-sSf", "-r", "1000-", "-o", "rest", link); err != nil {
		t.Fatal(err)
	}
	a.same("rest", body[1000:])
	for what, address := range map[string]string{"another key": strings.Replace(link, "/presign/", "/presigns/", 1), "a changed signature": string(spoil("X-Amz-Signature=", 1)([]byte(link)))} {
		if code, err := a.tool.Run(a.ctx, "curl", "-sS", "-o", "refused", "-w", "%{http_code}", address); err != nil || code != "403" {
			t.Errorf("%s: HTTP %s, %v", what, code, err)
		}
	}
}

func awsConditions(t *testing.T, a awsCLI, o Objects) {
	first, second := o.Version(5, 0, 5000), o.Version(5, 1, 6000)
	a.file("first", first)
	a.file("second", second)
	const put = "s3api put-object --bucket BUCKET --key if --output text --query ETag --body "
	etag := strings.TrimSpace(a.ok(put+"first --if-none-match", "*"))
	a.refused("PreconditionFailed", put+"second --if-none-match", "*")
	a.refused("PreconditionFailed", put+"second --if-match", `"00000000000000000000000000000000"`)
	a.holds("if", first)
	a.ok(put+"second --if-match", etag)
	a.holds("if", second)
	a.refused("PreconditionFailed", "s3api get-object --bucket BUCKET --key if --if-match", etag, "back")
	a.refused("PreconditionFailed", "s3api delete-object --bucket BUCKET --key if --if-match", etag)
	a.holds("if", second)
}

func awsChecksums(t *testing.T, a awsCLI, o Objects) {
	body := o.Version(6, 0, 200<<10)
	a.file("one", body)
	byHand := false
	for _, s := range sums {
		key, wants := "checksum-"+s.Name, Sum(s.Name, body)
		value := " --checksum-" + strings.ToLower(strings.NewReplacer("CRC32C", "crc32-c", "CRC64NVME", "crc64-nvme").Replace(s.Name)) + " "
		// Two of them aws-cli only makes with a library of its own: where that is
		// missing the value is given by hand, and the gateway checks it.
		const put = "s3api put-object --bucket BUCKET --body one --key "
		var out string
		var err error
		if byHand = byHand && !strings.HasPrefix(s.Name, "SHA"); !byHand {
			out, err = a.run(put + key + " --checksum-algorithm " + s.Name)
			byHand = err != nil && strings.Contains(err.Error(), "botocore[crt]")
		}
		if byHand {
			out, err = a.run(put + key + value + wants)
			a.refused("BadDigest", put+"wrong"+value+Sum(s.Name, body[1:]))
		}
		if err != nil || !strings.Contains(out, wants) {
			t.Errorf("put with %s: %v\n%s, want %s", s.Name, err, out, wants)
			continue
		}
		if out := a.ok("s3api get-object --bucket BUCKET --key " + key + " --checksum-mode ENABLED back"); !strings.Contains(out, wants) {
			t.Errorf("get with %s: %s, want %s", s.Name, out, wants)
		}
		a.same("back", body)
	}
	a.refused("BadDigest", "s3api put-object --bucket BUCKET --body one --key wrong --checksum-sha256 "+Sum("SHA256", body[1:]))
	a.holds("wrong", nil)
}

func awsTags(t *testing.T, a awsCLI, o Objects) {
	body := o.Version(7, 0, 70<<10)
	a.file("one", body)
	a.ok("s3api put-object --bucket BUCKET --key tags --body one --tagging color=grey&size=big --metadata shape=round --content-type text/x-a")
	tags := func(key string) string {
		return strings.TrimSpace(a.ok("s3api get-object-tagging --bucket BUCKET --key " + key + " --output text --query TagSet[].[Key,Value]"))
	}
	if got := tags("tags"); got != "color\tgrey\nsize\tbig" {
		t.Errorf("tags of the put: %q", got)
	}
	a.ok("s3api put-object-tagging --bucket BUCKET --key tags --tagging", `{"TagSet":[{"Key":"a b","Value":"c&d"}]}`)
	if got := tags("tags"); got != "a b\tc&d" {
		t.Errorf("tags: %q", got)
	}
	source := a.d.Bucket + "/tags"
	a.ok("s3api copy-object --bucket BUCKET --key copy --copy-source " + source)
	if got := tags("copy"); got != "a b\tc&d" {
		t.Errorf("tags of the copy: %q", got)
	}
	a.ok("s3api copy-object --bucket BUCKET --key copy2 --metadata-directive REPLACE --metadata shape=square --content-type text/x-b --tagging-directive REPLACE --tagging new=1 --copy-source " + source)
	if got := tags("copy2"); got != "new\t1" {
		t.Errorf("tags replaced in the copy: %q", got)
	}
	for key, want := range map[string]string{"copy": "text/x-a\tround", "copy2": "text/x-b\tsquare"} {
		if got := strings.TrimSpace(a.ok("s3api head-object --bucket BUCKET --key " + key + " --output text --query [ContentType,Metadata.shape]")); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
		a.holds(key, body)
	}
	a.ok("s3api delete-object-tagging --bucket BUCKET --key tags")
	if got := tags("tags"); got != "" && got != "None" {
		t.Errorf("tags that were deleted: %q", got)
	}
	a.ok("s3 rm --only-show-errors s3://BUCKET/tags")
	a.holds("copy", body) // outlives its source
	a.refused("NoSuchKey", "s3api copy-object --bucket BUCKET --key copy3 --copy-source "+source)
}

func awsMany(t *testing.T, a awsCLI, o Objects) {
	n := 2500
	client := a.d.Client(16)
	defer client.Close()
	_, errs := Each(a.ctx, n, 16, func(ctx context.Context, i int) error {
		return client.Put(ctx, fmt.Sprintf("many/%02d/%04d", i%25, i), []byte("x"))
	})
	if len(errs) > 0 {
		t.Fatal(errs[0])
	}
	if got := strings.Count(a.ok("s3 ls --recursive s3://BUCKET/many/"), "\n"); got != n {
		t.Errorf("ls --recursive: %d lines, want %d", got, n)
	}
	if got := a.ok("s3 ls s3://BUCKET/many/"); strings.Count(got, "PRE ") != 25 || strings.Count(got, "\n") != 25 {
		t.Errorf("ls: want 25 prefixes, got\n%s", got)
	}
	if got := strings.TrimSpace(a.ok("s3api list-objects-v2 --bucket BUCKET --prefix many/ --page-size 77 --output json --query length(Contents)")); got != fmt.Sprint(n) {
		t.Errorf("list-objects-v2 in pages of 77: %s keys, want %d", got, n)
	}
	if got := strings.TrimSpace(a.ok("s3api list-objects --bucket BUCKET --prefix many/ --page-size 333 --output json --query length(Contents)")); got != fmt.Sprint(n) {
		t.Errorf("list-objects in pages of 333: %s keys, want %d", got, n)
	}
	a.ok("s3 rm --recursive --only-show-errors s3://BUCKET/many/ --exclude 24/*") // relative to the prefix
	left, err := client.List(a.ctx, "many/")
	if err != nil || len(left) != n/25 {
		t.Errorf("after rm --exclude: %d keys are left, want %d: %v", len(left), n/25, err)
	}
	a.ok("s3 rm --recursive --only-show-errors s3://BUCKET/many/")
	if left, err = client.List(a.ctx, "many/"); err != nil || len(left) != 0 {
		t.Errorf("after rm --recursive: %d keys are left, %v", len(left), err)
	}
}

func awsBuckets(t *testing.T, a awsCLI, o Objects) {
	a.file("one", o.Body(8))
	a.ok("s3 mb s3://made-here")
	a.ok("s3 cp --only-show-errors one s3://made-here/a/b")
	a.ok("s3 cp --only-show-errors one s3://made-here/c")
	if got := a.ok("s3 ls"); !strings.Contains(got, "made-here") || !strings.Contains(got, a.d.Bucket) {
		t.Errorf("ls: %s", got)
	}
	a.refused("BucketNotEmpty", "s3 rb s3://made-here")
	a.ok("s3api get-bucket-location --bucket made-here")
	if got := strings.TrimSpace(a.ok("s3api get-bucket-versioning --bucket made-here --output text")); got != "" && got != "None" {
		t.Errorf("versioning: %q", got)
	}
	a.ok("s3 rb --force s3://made-here")
	if got := a.ok("s3 ls"); strings.Contains(got, "made-here") {
		t.Errorf("ls after rb: %s", got)
	}
}

func awsUploads(t *testing.T, a awsCLI, o Objects) {
	a.file("part", o.Version(9, 9, 5<<20))
	id := func(key string) string {
		return strings.TrimSpace(a.ok("s3api create-multipart-upload --bucket BUCKET --output text --query UploadId --key " + key))
	}
	first, second := id("unfinished/a"), id("unfinished/b")
	const list = "s3api list-multipart-uploads --bucket BUCKET --prefix unfinished/ --output text --query Uploads[].[Key,UploadId]"
	if got := a.ok(list); !strings.Contains(got, "unfinished/a\t"+first) || !strings.Contains(got, "unfinished/b\t"+second) {
		t.Errorf("list-multipart-uploads: %s", got)
	}
	a.ok("s3api upload-part --bucket BUCKET --key unfinished/a --part-number 3 --body part --upload-id " + first)
	if got := strings.TrimSpace(a.ok("s3api list-parts --bucket BUCKET --key unfinished/a --output text --query Parts[].[PartNumber,Size] --upload-id " + first)); got != "3\t5242880" {
		t.Errorf("list-parts: %q", got)
	}
	a.ok("s3api abort-multipart-upload --bucket BUCKET --key unfinished/a --upload-id " + first)
	a.ok("s3api abort-multipart-upload --bucket BUCKET --key unfinished/b --upload-id " + second)
	if got := strings.TrimSpace(a.ok(list)); got != "" && got != "None" {
		t.Errorf("after abort: %s", got)
	}
	a.refused("NoSuchUpload", "s3api upload-part --bucket BUCKET --key unfinished/a --part-number 3 --body part --upload-id "+first)
	a.holds("unfinished/a", nil)
}
