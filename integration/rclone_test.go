package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// rclone is a real one with the demo as its remote "cairn".
type rclone struct {
	ctx  context.Context
	tool Tool
	path string
}

func newRclone(t *testing.T, ctx context.Context, d *Demo) rclone {
	t.Helper()
	path := os.Getenv("CAIRN_RCLONE")
	if path == "" {
		t.Skip("CAIRN_RCLONE names no rclone: ./test installs one where it can")
	}
	home := t.TempDir()
	settings := filepath.Join(home, "rclone.conf")
	text := fmt.Sprintf("[cairn]\ntype = s3\nprovider = Other\naccess_key_id = %s\nsecret_access_key = %s\nendpoint = %s\nregion = %s\n",
		d.AccessKey, d.SecretKey, d.Endpoint, d.Region)
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return rclone{ctx, Tool{Home: home, Env: []string{"RCLONE_CONFIG=" + settings}}, path}
}

// run takes a command of words; BUCKET stands for the remote's bucket.
func (r rclone) run(bucket, line string, more ...string) (string, error) {
	words := strings.Fields(strings.ReplaceAll(line, "BUCKET", "cairn:"+bucket))
	return r.tool.Run(r.ctx, r.path, append(append(words, more...), "--retries", "1", "--low-level-retries", "1", "--s3-upload-cutoff", "5M", "--s3-chunk-size", "5M")...)
}

// TestRclone as an S3 client: sync both ways, check, ranged reads as a mount
// makes them, uploads of unknown length, delete and purge.
func TestRclone(t *testing.T) {
	ctx := limit(t, 4*time.Minute)
	d := demo(t, ctx)
	r := newRclone(t, ctx, d)
	o := Objects{seed(t)}
	tree := realTree(t, o)
	in, out := filepath.Join(r.tool.Home, "in"), filepath.Join(r.tool.Home, "out")
	if err := tree.WriteTo(in); err != nil {
		t.Fatal(err)
	}
	ok := func(line string, more ...string) string {
		t.Helper()
		said, err := r.run(d.Bucket, line, more...)
		if err != nil {
			t.Fatal(err)
		}
		return said
	}
	started := time.Now()
	ok("sync in BUCKET/tree")
	put := time.Since(started)
	ok("sync BUCKET/tree out")
	figure(t, "rclone: %d files in %.1f s, out %.1f s", len(tree), put.Seconds(), time.Since(started).Seconds()-put.Seconds())
	if err := tree.CompareDir(out); err != nil {
		t.Error(err)
	}
	ok("check --download in BUCKET/tree")
	ok("check in BUCKET/tree") // by MD5, which every single PUT has as its ETag
	if got := ok("lsf -R --files-only BUCKET/tree"); strings.Count(got, "\n") != len(tree) {
		t.Errorf("lsf: %d names, want %d", strings.Count(got, "\n"), len(tree))
	}
	for _, c := range []struct{ at, n int }{{0, 1}, {65536 - 3, 10}, {5<<20 - 1, 70000}, {8<<20 - 5, 5}} {
		want := tree["large.bin"][c.at : c.at+c.n]
		got := ok(fmt.Sprintf("cat --offset %d --count %d BUCKET/tree/large.bin", c.at, c.n))
		if err := compare(fmt.Sprint("large.bin from ", c.at), []byte(got), want); err != nil {
			t.Error(err)
		}
	}
	// The time of a file is kept as metadata: a second sync has nothing to do.
	if said := ok("sync -v in BUCKET/tree --stats-one-line --use-json-log"); strings.Contains(said, "Copied (") {
		t.Errorf("a second sync copies again: %.500s", said)
	}
	for name := range tree { // and a change, both ways
		if strings.HasPrefix(name, "src/") {
			delete(tree, name)
			if err := os.Remove(filepath.Join(in, filepath.FromSlash(name))); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	tree["large.bin"] = o.Version(2000, 0, 16<<20+9)
	if err := tree.WriteTo(in); err != nil {
		t.Fatal(err)
	}
	ok("sync in BUCKET/tree")
	ok("sync BUCKET/tree out")
	if err := tree.CompareDir(out); err != nil {
		t.Error(err)
	}
	ok("copyto BUCKET/tree/large.bin BUCKET/copy") // by the gateway
	ok("moveto BUCKET/copy BUCKET/moved")
	streamed := o.Version(3000, 0, 12<<20+1)
	if err := os.WriteFile(filepath.Join(r.tool.Home, "streamed"), streamed, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.tool.Run(ctx, "sh", "-c", fmt.Sprintf("cat streamed | %s rcat cairn:%s/rcat --s3-chunk-size 5M --streaming-upload-cutoff 5M --retries 1", r.path, d.Bucket)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{"rcat": streamed, "moved": tree["large.bin"]} {
		if err := compare(name, []byte(ok("cat BUCKET/"+name)), want); err != nil {
			t.Error(err)
		}
	}
	if got := ok("size --json BUCKET/moved"); !strings.Contains(got, `"count":1`) {
		t.Errorf("size: %s", got)
	}
	ok("delete BUCKET/tree --include /odd/**")
	if got := ok("lsf -R --files-only BUCKET/tree"); strings.Contains(got, "odd/") || strings.Count(got, "\n") != len(tree)-len(odd) {
		t.Errorf("after delete: %d names", strings.Count(got, "\n"))
	}
	ok("purge BUCKET/tree")
	if got := ok("lsf -R BUCKET"); strings.Contains(got, "tree") {
		t.Errorf("after purge: %.300s", got)
	}
	ok("mkdir cairn:made-by-rclone")
	ok("rmdir cairn:made-by-rclone")
}
