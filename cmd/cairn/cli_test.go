package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/internal/durable"
)

// machine is a gateway's files in a test, and a shell to use them in.
type machine struct {
	t    *testing.T
	root string     // holds cairn.toml, state/ and the nodes
	fs   durable.FS // nil for this machine's
	// See env.
	hung, patience time.Duration
}

// result is how a command line ended.
type result struct {
	status   int
	out, err string
}

// newMachine has cairn.toml with free ports and what more says, and no store.
func newMachine(t *testing.T, more string) *machine {
	t.Helper()
	root, err := os.MkdirTemp("", "cairn") // short: sockets have short names
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(root) })
	m := &machine{t: t, root: root, hung: time.Minute, patience: 200 * time.Millisecond}
	m.configure(more)
	return m
}

func newStore(t *testing.T, more string) *machine {
	t.Helper()
	m := newMachine(t, more)
	m.ok("init")
	return m
}

// configure writes cairn.toml.
func (m *machine) configure(more string) {
	m.t.Helper()
	text := fmt.Sprintf("dir = %q\ns3.listen = \"127.0.0.1:0\"\nadmin.listen = \"127.0.0.1:0\"\ncache.limit = \"0B\"\n%s\n", m.path("state"), more)
	must(m.t, os.WriteFile(m.path("cairn.toml"), []byte(text), 0o600))
}

func (m *machine) path(name string) string { return filepath.Join(m.root, name) }

// write makes a file with a mode, whatever the umask.
func (m *machine) write(name string, mode os.FileMode) string {
	m.t.Helper()
	must(m.t, os.WriteFile(m.path(name), []byte("hunter2\n"), mode))
	must(m.t, os.Chmod(m.path(name), mode))
	return m.path(name)
}

func (m *machine) env(out, err io.Writer) *env {
	return &env{in: strings.NewReader(""), out: out, err: err, getenv: func(string) string { return "" }, patience: m.patience, hung: m.hung, fs: m.fs}
}

// run is `cairn ARGS... --config FILE`.
func (m *machine) run(args ...string) result {
	m.t.Helper()
	var out, err bytes.Buffer
	status := run(m.t.Context(), m.env(&out, &err), append(args, "--config", m.path("cairn.toml")))
	return result{status, out.String(), err.String()}
}

// ok is run for what must work.
func (m *machine) ok(args ...string) string {
	m.t.Helper()
	r := m.run(args...)
	if r.status != 0 || r.err != "" {
		m.t.Fatalf("cairn %s: %+v", strings.Join(args, " "), r)
	}
	return r.out
}

// jsonOf is ok with --json, decoded.
func jsonOf[T any](m *machine, args ...string) (v T) {
	m.t.Helper()
	out := m.ok(append(args, "--json")...)
	lines := strings.Split(strings.TrimSpace(out), "\n") // the last; progress stands above
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &v); err != nil {
		m.t.Fatalf("cairn %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return v
}

// served is a running `cairn serve`.
type serving struct {
	Endpoint, Admin, Socket string
	stop                    func() result
}

// serve starts the gateway and returns when it is ready; stop is SIGTERM.
func (m *machine) serve(args ...string) *serving {
	m.t.Helper()
	ctx, cancel := context.WithCancel(m.t.Context())
	r, w := io.Pipe()
	var log bytes.Buffer
	var status int
	var wg sync.WaitGroup
	wg.Go(func() {
		status = run(ctx, m.env(w, &log), append([]string{"serve", "--json", "--config", m.path("cairn.toml"), "--log", "warn"}, args...))
		w.Close()
	})
	s := &serving{}
	s.stop = func() result {
		cancel()
		wg.Wait()
		return result{status: status, err: log.String()}
	}
	m.t.Cleanup(func() { s.stop() })
	line, err := bufio.NewReader(r).ReadBytes('\n')
	if err != nil {
		m.t.Fatalf("serve: %+v", s.stop())
	}
	must(m.t, json.Unmarshal(line, s))
	return s
}

func TestFromInitToObjectsAndBack(t *testing.T) {
	m := newStore(t, "")
	for _, name := range []string{"alice", "bob", "carol"} {
		m.ok("node", "add", "local:"+m.path(name), "--no-checks")
	}
	r := jsonOf[engine.NodeReport](m, "node", "check", "alice")
	if r.Name != "alice" || r.Passed() != r.Of || r.Of == 0 {
		t.Errorf("node check: %+v", r)
	}
	s := m.serve()

	// From here on every verb runs inside the gateway.
	m.ok("bucket", "create", "cache")
	key := jsonOf[access](m, "access", "create", "--write", "cache", "--name", "attic")
	client := s3{t, s.Endpoint, key.ID, key.Secret}
	data := strings.Repeat("a stone on a heap ", 9000)
	if status, body := client.do("PUT", "/cache/nar/1.zst", data); status != 200 {
		t.Fatalf("put: %d %s", status, body)
	}
	if status, _ := client.do("PUT", "/other/x", "x"); status != 403 && status != 404 {
		t.Errorf("put into a bucket that the key may not write: %d", status)
	}
	out := jsonOf[flushed](m, "flush")
	if out.Bytes < int64(len(data)) {
		t.Errorf("flush: %+v", out)
	}
	if status, got := client.do("GET", "/cache/nar/1.zst", ""); status != 200 || got != data {
		t.Errorf("get: %d, %d bytes", status, len(got))
	}
	at := jsonOf[located](m, "locate", "cache/nar/1.zst")
	if at.Size != int64(len(data)) || len(at.Packs) != 1 || len(at.Packs[0].Shards) != 3 || at.Packs[0].Coding != "2+1" {
		t.Errorf("locate: %+v", at)
	}
	for _, shard := range at.Packs[0].Shards {
		found := false
		must(t, filepath.WalkDir(m.path(shard.Node), func(path string, _ os.DirEntry, err error) error {
			found = found || filepath.Base(path) == shard.File
			return err
		}))
		if !found {
			t.Errorf("%s is not on %s", shard.File, shard.Node)
		}
	}
	type report struct {
		engine.Status
		Serving bool
	}
	st := jsonOf[report](m, "status", "--check")
	if st.State != engine.Whole || !st.Serving || st.Objects != 1 || st.HereOnly != 0 || st.Fsyncs == 0 || len(st.Nodes) != 3 || st.Disk.Syncs == 0 {
		t.Errorf("status: %+v", st)
	}
	if text := m.ok("status"); !strings.HasPrefix(text, "OK ") || !strings.Contains(text, "1 object ·") || !strings.Contains(text, "alice  local") {
		t.Errorf("status for a person:\n%s", text)
	}
	if r := m.run("node", "remove", "bob"); r.status != 3 || !strings.Contains(r.err, "--force") {
		t.Errorf("a node with shards was let go: %+v", r)
	}
	m.ok("node", "set", "bob", "--site", "cellar", "--capacity", "1P")
	m.ok("node", "remove", "bob", "--force")
	if status, got := client.do("GET", "/cache/nar/1.zst", ""); status != 200 || got != data {
		t.Errorf("get without bob: %d, %d bytes", status, len(got))
	}
	m.ok("access", "revoke", key.ID)
	if status, _ := client.do("GET", "/cache/nar/1.zst", ""); status != 403 {
		t.Errorf("a revoked key still reads: %d", status)
	}
	documented(t, s.Admin)
	http.DefaultClient.CloseIdleConnections()
	if r := s.stop(); r.status != 0 || r.err != "" {
		t.Errorf("the gateway ended with %+v", r)
	}

	// And now without a gateway.
	if l := jsonOf[nodeList](m, "node", "list"); len(l.Nodes) != 2 || l.AuthorizedKey == "" {
		t.Errorf("node list: %+v", l)
	}
	if l := jsonOf[[]access](m, "access", "list"); len(l) != 0 {
		t.Errorf("access list: %+v", l)
	}
	if r := m.run("bucket", "rm", "cache"); r.status != 3 {
		t.Errorf("a bucket with an object was removed: %+v", r)
	}
	if r := m.run("status", "--check"); r.status != 1 || !strings.Contains(r.out, "no gateway runs") || r.err != "" {
		t.Errorf("status --check without a gateway: %+v", r)
	}
}

func TestServeAnswersPeopleAndMonitors(t *testing.T) {
	m := newStore(t, "[[bucket]]\nname = \"declared\"\npublic = true\n")
	s := m.serve()
	for _, c := range []struct{ path, says string }{
		{"/healthz", "ok"},
		{"/metrics", "go_goroutines"},
		{"/metrics", "cairn_store_groups_total"},
		{"/metrics", "cairn_store_packs_degraded 0"},
		{"/metrics", "cairn_store_state 1"}, // no nodes
		{"/metrics", "cairn_scrub_age_seconds"},
		{"/api/status", `"fsyncs":`},
		{"/api/status", `"staged_bytes":`},
		{"/", "LOCAL"},
	} {
		answer, err := http.Get(s.Admin + c.path)
		must(t, err)
		body, err := io.ReadAll(answer.Body)
		must(t, err)
		answer.Body.Close()
		if answer.StatusCode != 200 || !strings.Contains(string(body), c.says) {
			t.Errorf("%s: %d without %q", c.path, answer.StatusCode, c.says)
		}
	}
	if bs := jsonOf[[]bucket](m, "bucket", "list"); len(bs) != 1 || bs[0].Name != "declared" || !bs[0].Public {
		t.Errorf("declared buckets: %+v", bs)
	}
	http.DefaultClient.CloseIdleConnections()
	if r := s.stop(); r.status != 0 || r.err != "" {
		t.Errorf("stopping: %+v", r)
	}
	if _, err := os.Stat(s.Socket); err == nil {
		t.Error("the socket stays behind")
	}
	m.serve() // and starts again on the same directory
}

func TestTwoGatewaysOnOneDirectory(t *testing.T) {
	m := newStore(t, "")
	m.serve()
	r := m.run("serve")
	if r.status != 6 || !strings.Contains(r.err, "already") || strings.Count(r.err, "\n") != 1 {
		t.Errorf("got %+v", r)
	}
	// Whoever has another socket set does not get in either.
	m.configure(fmt.Sprintf("admin.socket = %q", m.path("other.sock")))
	r = m.run("bucket", "list")
	if r.status != 6 || !strings.Contains(r.err, "in use by another cairn") || !strings.Contains(r.err, "other.sock") {
		t.Errorf("got %+v", r)
	}
}

func TestEveryVerbHasHelpWithAnExample(t *testing.T) {
	m := newMachine(t, "")
	overview := m.ok2("help")
	for _, v := range verbs() {
		if !strings.Contains(overview, "  "+v.name+" ") || v.short == "" {
			t.Errorf("%s is not in the overview", v.name)
		}
		for _, args := range [][]string{append([]string{"help"}, strings.Fields(v.name)...), append(strings.Fields(v.name), "--help")} {
			page := m.ok2(args...)
			if !strings.Contains(page, "For example\n  cairn "+v.name) || !strings.Contains(page, "--json") {
				t.Errorf("%s:\n%s", strings.Join(args, " "), page)
			}
		}
	}
	if !strings.Contains(m.ok2("help", "node"), "cairn node set NAME") {
		t.Error("help of a group lacks its verbs")
	}
	if m.ok2() != overview || m.ok2("--help") != overview {
		t.Error("cairn alone says something else than cairn help")
	}
}

// ok2 is a command line without --config.
func (m *machine) ok2(args ...string) string {
	m.t.Helper()
	var out, err bytes.Buffer
	if status := run(m.t.Context(), m.env(&out, &err), args); status != 0 || err.Len() > 0 {
		m.t.Fatalf("cairn %s: %d %s", strings.Join(args, " "), status, err.String())
	}
	return out.String()
}

func TestInitSaysWhatItMadeAndWhere(t *testing.T) {
	m := newMachine(t, "")
	must(t, os.Remove(m.path("cairn.toml")))
	text := m.ok("init", "--dir", m.path("state"), "--owner", m.path("owner"))
	for _, want := range []string{"Store ", m.path("owner"), m.path("cairn.toml"), "fsync ", "authorized_keys", "ssh-ed25519 ", "Next: cairn node add"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	m.ok("config", "check") // what init wrote is what cairn reads
	if show := m.ok("config", "show"); !strings.Contains(show, m.path("state")) {
		t.Errorf("config show:\n%s", show)
	}
	m.ok("bucket", "create", "cache")
	before, err := os.ReadFile(m.path("cairn.toml"))
	must(t, err)
	if r := m.run("init", "--dir", m.path("second")); r.status != 0 {
		t.Errorf("a second store beside the first: %+v", r)
	}
	if after, err := os.ReadFile(m.path("cairn.toml")); err != nil || !bytes.Equal(before, after) {
		t.Errorf("cairn.toml was changed: %v", err)
	}
}
