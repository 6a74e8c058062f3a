package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// gateway is a `cairn serve` of the built program.
type gateway struct {
	*machine
	address string // host:port
	ended   chan error
	cmd     *exec.Cmd // nil while it does not run
	said    *tail
}

// newGateway initialises a store whose gateway listens at an address that stays,
// and whose cairn.toml says more; start starts it.
func newGateway(t *testing.T, ctx context.Context, more string) *gateway {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{address: free.Addr().String()}
	free.Close()
	g.machine = newMachine(t, ctx, fmt.Sprintf("[s3]\nlisten = %q\n%s", g.address, more))
	return g
}

// serve starts the gateway of a fresh store with these lines in its [s3]
// table, and ends it with the test.
func serve(t *testing.T, ctx context.Context, s3 string, buckets ...string) *gateway {
	t.Helper()
	g := newGateway(t, ctx, s3)
	g.addLocal("disk")
	for _, b := range buckets {
		g.do("bucket", "create", b)
	}
	g.start()
	t.Cleanup(func() {
		g.end()
		if t.Failed() {
			t.Logf("the gateway said:\n%s", g.said)
		}
	})
	return g
}

// start starts the gateway and returns when it listens, to verbs as well: before
// that, one would open the store in its place.
func (g *gateway) start() {
	g.t.Helper()
	g.ended, g.said = make(chan error, 1), &tail{}
	g.cmd = exec.Command(g.bin, "serve", "--config", g.config)
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	g.cmd.Stderr = g.said
	if err := g.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	cmd, ended := g.cmd, g.ended
	go func() { ended <- cmd.Wait() }()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(g.ctx, "tcp", g.address)
		if err == nil {
			conn.Close()
			conn, err = dialer.DialContext(g.ctx, "unix", filepath.Join(g.dir, "admin.sock"))
		}
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-again.C:
		case err := <-g.ended:
			g.cmd = nil
			g.t.Fatalf("serve ended: %v\n%s", err, g.said)
		case <-g.ctx.Done():
			g.t.Fatalf("serve does not listen: %v\n%s", err, g.said)
		}
	}
}

// kill is kill -9; it returns when the process is gone.
func (g *gateway) kill() {
	if g.cmd != nil {
		_ = g.cmd.Process.Kill() // it may have ended, which ended tells
		<-g.ended
		g.cmd = nil
	}
}

// end is SIGTERM, after which the gateway ends by itself with status 0.
func (g *gateway) end() {
	g.t.Helper()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		g.t.Fatal(err)
	}
	if err := <-g.ended; err != nil {
		g.t.Errorf("serve after SIGTERM: %v; it said:\n%s", err, g.said)
	}
	g.cmd = nil
}

// do runs a verb that must work.
func (g *gateway) do(words ...string) string {
	g.t.Helper()
	r := g.run(words...)
	if r.Status != 0 {
		g.t.Fatalf("%v: %+v", words, r)
	}
	return r.Stdout
}

// access makes an access key.
func (g *gateway) access(grants ...string) Keys {
	g.t.Helper()
	var made struct{ ID, Secret string }
	text := g.do(append([]string{"access", "create", "--json"}, grants...)...)
	if err := json.Unmarshal([]byte(text), &made); err != nil || made.Secret == "" {
		g.t.Fatalf("access create: %q: %v", text, err)
	}
	return Keys{made.ID, made.Secret, "us-east-1"}
}

// jsonOf is what a verb that works says with --json, in its last line.
func jsonOf[T any](g *gateway, words ...string) (v T) {
	g.t.Helper()
	text := []byte(g.do(append(words, "--json")...))
	if err := lastJSON(text, &v); err != nil {
		g.t.Fatalf("%v: %v: %s", words, err, text)
	}
	return v
}

// lastJSON decodes the last line of text; progress stands above.
func lastJSON(text []byte, v any) error {
	text = bytes.TrimSpace(text)
	text = text[bytes.LastIndexByte(text, '\n')+1:]
	return json.Unmarshal(text, v)
}

// shardFiles are the files below packs/ of a node.
func shardFiles(t *testing.T, node string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(node, "packs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // moved meanwhile
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
