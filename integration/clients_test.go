package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// venv is the folder of the Python clients.
func venv(t *testing.T) string {
	t.Helper()
	path := os.Getenv("CAIRN_VENV")
	if path == "" {
		t.Skip("CAIRN_VENV names no virtual environment with awscli and boto3: ./test makes one where it can")
	}
	return path
}

// python runs a client as a person would set it up for this demo.
func python(t *testing.T, ctx context.Context, d *Demo, name string, args ...string) error {
	t.Helper()
	settings := filepath.Join(t.TempDir(), "aws")
	text := "[default]\ns3 =\n  addressing_style = path\n  multipart_threshold = 64MB\n  max_concurrent_requests = 8\n"
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(venv(t), "bin")
	cmd := exec.CommandContext(ctx, filepath.Join(bin, name), args...)
	cmd.Env = []string{
		"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LC_ALL=C.UTF-8", "PYTHONUTF8=1", "PYTHONDONTWRITEBYTECODE=1",
		"AWS_CONFIG_FILE=" + settings, "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=3",
		"AWS_ENDPOINT_URL=" + d.Endpoint, "AWS_DEFAULT_REGION=" + d.Region,
		"AWS_ACCESS_KEY_ID=" + d.AccessKey, "AWS_SECRET_ACCESS_KEY=" + d.SecretKey,
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out[max(0, len(out)-4000):])
	}
	if said := strings.TrimSpace(string(out)); said != "" {
		t.Log(said)
	}
	return nil
}

// realTree is part of Go's own sources: real files that every machine which
// builds cairn has.
func realTree(t *testing.T, o Objects) Tree {
	t.Helper()
	n, folders := 300, "net"
	if long() {
		n, folders = 2000, ""
	}
	tree, err := BuildTree(filepath.Join(goroot(t), "src", folders), n, o)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func goroot(t *testing.T) string {
	t.Helper()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(root))
}

// TestRealClients: a tree of real files goes in and comes out byte for byte
// through aws-cli and boto3, whatever happens to as many nodes as may fail; and
// never a wrong byte when more do.
func TestRealClients(t *testing.T) {
	ctx := limit(t, 8*time.Minute)
	program(t)
	venv(t)
	dir := t.TempDir()
	in := filepath.Join(dir, "in")
	tree := realTree(t, Objects{seed(t)})
	if err := tree.WriteTo(in); err != nil {
		t.Fatal(err)
	}
	c := &clients{t: t, ctx: ctx, dir: filepath.Join(dir, "demo"), in: in, tree: tree}
	c.start()
	defer c.stop()

	started := time.Now()
	c.must(python(t, ctx, c.d, "aws", "s3", "cp", "--recursive", "--only-show-errors", in, "s3://"+c.d.Bucket+"/tree/"))
	put := time.Since(started)
	c.awsReads("straight after writing")
	figure(t, "aws-cli: %d files in %.1f s, out in %.1f s", len(tree), put.Seconds(), time.Since(started).Seconds()-put.Seconds())
	c.must(python(t, ctx, c.d, "python", "testdata/boto.py", "write", c.d.Bucket, "boto/", in))
	c.botoReads("straight after writing")
	do(t, ctx, c.d, "flush")

	c.restart()
	c.each("kill", 1, 4, 7)
	c.awsReads("with three nodes killed")

	c.restart()
	c.each("kill", 3, 6)
	c.each("lie", 2)
	c.botoReads("with two nodes killed and one lying")

	c.restart()
	c.each("kill", 1, 3, 6)
	c.each("lie", 2)
	c.readOrRefused("with three nodes killed and one more lying")

	c.restart()
	c.each("kill", 1, 3, 6, 7)
	if refused := c.readOrRefused("with four nodes killed"); refused == 0 {
		t.Error("with four of seven nodes killed every object was still served: the bytes did not come from the nodes, so the reads before prove nothing")
	}
	c.each("revive", 1, 3, 6, 7)
	client := c.d.Client(8)
	defer client.Close()
	eventually(t, ctx, "whole again after revive", func(ctx context.Context) error {
		_, errs := c.readAll(ctx, client)
		return errors.Join(errs[:min(len(errs), 1)]...)
	})
	c.awsReads("after revive")
}

type clients struct {
	t    *testing.T
	ctx  context.Context
	d    *Demo
	dir  string // of the demo
	in   string // of the tree
	tree Tree
	runs int
}

func (c *clients) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *clients) start() {
	c.t.Helper()
	c.d = demo(c.t, c.ctx, "--dir", c.dir)
}

func (c *clients) stop() {
	c.t.Helper()
	if err := c.d.Stop(c.ctx); err != nil {
		c.t.Error(err)
	}
}

// restart makes the gateway forget what it read: reads that follow must come
// from the nodes.
func (c *clients) restart() {
	c.t.Helper()
	c.stop()
	for _, pattern := range []string{"cache", "*/cache"} {
		caches, err := filepath.Glob(filepath.Join(c.dir, pattern))
		c.must(err)
		for _, cache := range caches {
			c.must(os.RemoveAll(cache))
		}
	}
	c.start()
}

func (c *clients) each(command string, nodes ...int) {
	c.t.Helper()
	for _, n := range nodes {
		do(c.t, c.ctx, c.d, "%s %d", command, n)
	}
}

func (c *clients) awsReads(when string) {
	c.t.Helper()
	c.runs++
	out := filepath.Join(c.t.TempDir(), fmt.Sprint("out", c.runs))
	c.must(python(c.t, c.ctx, c.d, "aws", "s3", "cp", "--recursive", "--only-show-errors", "s3://"+c.d.Bucket+"/tree/", out))
	if err := c.tree.CompareDir(out); err != nil {
		c.t.Fatalf("aws-cli, %s: %v", when, err)
	}
}

func (c *clients) botoReads(when string) {
	c.t.Helper()
	if err := python(c.t, c.ctx, c.d, "python", "testdata/boto.py", "read", c.d.Bucket, "boto/", c.in); err != nil {
		c.t.Fatalf("%s: %v", when, err)
	}
}

// readAll compares every file of the tree and counts the answers by status.
func (c *clients) readAll(ctx context.Context, client *Client, allow ...int) (map[int]int, []error) {
	var names []string
	for name := range c.tree {
		names = append(names, name)
	}
	slices.Sort(names)
	return Each(ctx, len(names), 8, func(ctx context.Context, i int) error {
		got, err := client.Get(ctx, "tree/"+names[i])
		var status *StatusError
		switch {
		case errors.As(err, &status) && status.Code == "":
			return fmt.Errorf("%s: %d without a code is no clean refusal", names[i], status.Status)
		case errors.Is(err, io.ErrUnexpectedEOF) && len(c.tree[names[i]]) > 1<<20:
			// Headers go out with the first verified bytes; a large body may
			// still have to be broken off, which a client cannot take for its end.
			return &StatusError{http.StatusServiceUnavailable, "broken off"}
		case err != nil:
			return err
		}
		return compare(names[i], got, c.tree[names[i]])
	}, allow...)
}

// readOrRefused: every object comes exactly or is refused with 503.
func (c *clients) readOrRefused(when string) (refused int) {
	c.t.Helper()
	client := c.d.Client(8)
	defer client.Close()
	counts, errs := c.readAll(c.ctx, client, http.StatusServiceUnavailable)
	if len(errs) > 0 {
		c.t.Fatalf("%s: %d answers are neither exact nor 503, the first: %v", when, len(errs), errs[0])
	}
	figure(c.t, "%s: %d exact, %d refused with 503, 0 wrong", when, counts[http.StatusOK], counts[http.StatusServiceUnavailable])
	return counts[http.StatusServiceUnavailable]
}
