package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/contribute"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/race"
	"github.com/cairn-storage/cairn/store"
	"golang.org/x/crypto/ssh"
)

// asked counts what SFTP nodes were asked and what they sent.
type asked struct{ requests, sent atomic.Int64 }

func (a *asked) Before(context.Context, string, string) error {
	a.requests.Add(1)
	return nil
}

func (a *asked) Data(_ string, _ int64, p []byte) { a.sent.Add(int64(len(p))) }

// costly is a store of many small objects on seven SFTP nodes.
type costly struct {
	*machine
	program string
	asked
}

func newCostly(t *testing.T) *costly {
	c := &costly{machine: newMachine(t, "")}
	c.program = c.path("cairn")
	if out, err := exec.Command("go", "build", "-o", c.program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	c.configure(fmt.Sprintf("kit = %q\nstore.coding = \"4+3\"\nstore.checkpoint = \"168h\"", c.path("kit.age")))
	c.ok("init", "--owner", c.path("owner"))
	line := jsonOf[nodeList](c.machine, "node", "list").AuthorizedKey
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	must(t, err)
	for i := range 7 {
		host, err := contribute.NewKey()
		must(t, err)
		dir := c.path(fmt.Sprint("n", i+1))
		must(t, os.Mkdir(dir, 0o700))
		s, err := contribute.New(contribute.Config{Dir: dir, HostKey: host.Signer, Authorized: []ssh.PublicKey{key}, Tap: &c.asked})
		must(t, err)
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Serve(ctx, ln) })
		t.Cleanup(func() { cancel(); wg.Wait() })
		c.ok("node", "add", "sftp://cairn@"+ln.Addr().String()+"/", "--name", fmt.Sprint("n", i+1), "--host-key", host.Fingerprint(), "--no-checks")
	}
	c.ok("bucket", "create", "cache")
	return c
}

func (c *costly) key(i int) cairn.Key {
	return cairn.Key{Bucket: "cache", Object: fmt.Sprintf("nar/%08x/%d.nar", uint32(i)*2654435761, i)}
}

func (c *costly) data(i int) []byte { return fmt.Appendf(nil, "object %d", i) }

// during opens the store in this process.
func (c *costly) during(do func(e *engine.Engine)) {
	c.t.Helper()
	file, err := config.Load(c.path("cairn.toml"))
	must(c.t, err)
	id, err := engine.Identity(durable.OS(), file.Dir, file.Identity)
	must(c.t, err)
	e, err := engine.Open(c.t.Context(), engine.Config{FS: durable.OS(), File: file, Identity: id})
	must(c.t, err)
	do(e)
	must(c.t, e.Close(c.t.Context()))
}

// put puts objects from to n, a few hundred at a time.
func (c *costly) put(from, n int, checkpoint bool) {
	c.t.Helper()
	began := time.Now()
	c.during(func(e *engine.Engine) {
		var next atomic.Int64
		next.Store(int64(from))
		var wg sync.WaitGroup
		for range 256 {
			wg.Go(func() {
				for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
					body := c.data(i)
					if _, err := e.Store.Put(c.t.Context(), store.Put{Key: c.key(i), Body: bytes.NewReader(body), Size: int64(len(body)),
						Digest: func() (store.Digest, error) { return store.Digest{ETag: "e"}, nil }}); err != nil {
						c.t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		must(c.t, e.Store.Flush(c.t.Context()))
		if checkpoint {
			_, err := e.Store.Checkpoint(c.t.Context())
			must(c.t, err)
		}
	})
	c.t.Logf("%d objects put in %v", n-from, time.Since(began).Round(time.Second))
}

// recover burns the gateway, has the program bring it back, and prints what that
// took.
func (c *costly) recover(what string, objects int) engine.RecoverReport {
	c.t.Helper()
	must(c.t, os.RemoveAll(c.path("state")))
	requests, sent := c.requests.Load(), c.sent.Load()
	cmd := exec.CommandContext(c.t.Context(), c.program, "recover", "--kit", c.path("kit.age"), "--identity", c.path("owner"), "--takeover", "--json", "--config", c.path("cairn.toml"))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	began := time.Now()
	must(c.t, cmd.Start())
	peak, ended := make(chan int64), make(chan struct{})
	go func() { peak <- peakOf(cmd.Process.Pid, ended) }()
	err := cmd.Wait()
	took := time.Since(began)
	close(ended)
	most := <-peak
	if err != nil {
		c.t.Fatalf("recover: %v: %s", err, errs.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var r engine.RecoverReport
	must(c.t, json.Unmarshal([]byte(lines[len(lines)-1]), &r))
	c.t.Logf("FIGURE recovery of %d objects %s: %.1f s, %.1f s of a core, peak RSS %d MiB; %d SFTP operations, %.1f MiB from nodes",
		objects, what, took.Seconds(), (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), most>>10,
		c.requests.Load()-requests, float64(c.sent.Load()-sent)/(1<<20))
	for _, s := range r.Index.Steps {
		c.t.Logf("  %-10s %8d objects %6d packs %6d KiB %v", s.Name, s.Objects, s.Packs, s.Bytes>>10, s.Took.Round(time.Millisecond))
	}
	if r.Objects != int64(objects) || r.Index.LostCount != 0 || len(r.Index.Holes) != 0 {
		c.t.Errorf("%s: %d objects are back, want %d: %+v", what, r.Objects, objects, r.Index)
	}
	return r
}

// peakOf is the most memory that a process held, KiB, as of shortly before ended
// is closed. What wait tells counts the process that began it, too.
func peakOf(pid int, ended <-chan struct{}) (most int64) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return most
		case <-tick.C:
		}
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if _, rest, ok := strings.Cut(string(b), "VmHWM:"); err == nil && ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			most = max(most, n)
		}
	}
}

// exact reads some of the objects.
func (c *costly) exact(n int) {
	c.t.Helper()
	var got bytes.Buffer
	c.during(func(e *engine.Engine) {
		for i := 0; i < n; i += max(n/50, 1) {
			o, src, err := e.Store.Open(c.t.Context(), c.key(i))
			must(c.t, err)
			in, err := src.Range(c.t.Context(), 0, o.Size)
			must(c.t, err)
			got.Reset()
			_, err = got.ReadFrom(in)
			must(c.t, err)
			if !bytes.Equal(got.Bytes(), c.data(i)) {
				c.t.Errorf("object %d reads %q", i, got.Bytes())
			}
			must(c.t, in.Close())
			must(c.t, src.Close())
		}
	})
}

// TestWhatARecoveryCosts: a gateway with many objects on seven SFTP nodes is
// deleted, and `cairn recover --kit`, the built program, brings it back: a tenth
// of them without any checkpoint, then all from one. 1,000,000 objects with
// CAIRN_LONG=2, 100,000 with CAIRN_LONG=1. The nodes run in the test's process, on
// the same cores and disk.
func TestWhatARecoveryCosts(t *testing.T) {
	n := 2_000
	switch os.Getenv("CAIRN_LONG") {
	case "":
	case "2":
		n = 1_000_000
	default:
		n = 100_000
	}
	n = race.Some(n, 4)
	c := newCostly(t)
	c.put(0, n/10, false)
	r := c.recover("without a checkpoint", n/10)
	if r.Index.Rows != 0 || r.Index.Records < uint64(n/10) {
		t.Errorf("%d rows came from a checkpoint, %d records from the log", r.Index.Rows, r.Index.Records)
	}
	c.exact(n / 10)
	c.put(n/10, n, true)
	r = c.recover("from a checkpoint", n)
	if r.Index.Rows < uint64(n) {
		t.Errorf("%d rows came from a checkpoint", r.Index.Rows)
	}
	c.exact(n)
}
