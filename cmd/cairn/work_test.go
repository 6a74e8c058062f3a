package main

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/scrub"
)

// shards are the shard files of a local node.
func (m *machine) shards(node string) (out []string) {
	m.t.Helper()
	must(m.t, filepath.WalkDir(m.path(node+"/packs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, path)
		}
		return err
	}))
	return out
}

// unstaged waits until no pack is on this machine but the open one: until then the
// store itself sees to their shards.
func (m *machine) unstaged() {
	m.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		s := jsonOf[engine.Status](m, "status")
		if s.Staged <= 1 {
			return
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("%d packs are staged still", s.Staged)
		}
	}
}

// again runs a verb until it ends with status 0, as a person would repeat it where
// the gateway is mending the same packs.
func (m *machine) again(args ...string) result {
	m.t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		r := m.run(args...)
		if r.status == 0 {
			return r
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("cairn %s: %+v\n%s", strings.Join(args, " "), r, m.run("status").out)
		}
	}
}

// TestWhatRetiredPacksLeftKeepsNoNode: their files stay a day, on a drained node,
// too; it may be removed all the same, without --force, and is told as it is.
func TestWhatRetiredPacksLeftKeepsNoNode(t *testing.T) {
	m := newStore(t, "store.coding = \"2+2\"\nstage.settle = \"10ms\"")
	s := m.serve()
	for _, name := range []string{"alice", "bob", "carol", "dora"} {
		m.ok("node", "add", "local:"+m.path(name), "--no-checks")
	}
	m.ok("bucket", "create", "cache")
	key := jsonOf[access](m, "access", "create", "--write", "cache", "--name", "attic")
	client := s3{t, s.Endpoint, key.ID, key.Secret}
	if status, body := client.do("PUT", "/cache/large", strings.Repeat("a stone on a heap ", 1_000_000)); status != 200 { // fills a pack of its own
		t.Fatalf("put: %d %s", status, body)
	}
	m.ok("flush")
	m.unstaged()
	if status, _ := client.do("DELETE", "/cache/large", ""); status != 204 {
		t.Fatalf("delete: %d", status)
	}
	m.ok("flush")
	m.unstaged()
	m.ok("compact")
	m.ok("node", "add", "local:"+m.path("erik"), "--no-checks")
	m.again("node", "drain", "dora")
	if left := m.shards("dora"); len(left) == 0 {
		t.Fatal("nothing is left on dora: this test tests nothing")
	}
	if r := m.run("node", "remove", "dora"); r.status != 0 || !strings.Contains(r.out, "which no pack needs; ") || !strings.Contains(r.out, "of packs that were retired stay on it") {
		t.Errorf("remove after drain: %+v", r)
	}
	http.DefaultClient.CloseIdleConnections()
	s.stop()
}

// TestShardsAreLookedAfter: the verbs that a person types when a node lied, was
// wiped or is to leave, inside a running gateway.
func TestShardsAreLookedAfter(t *testing.T) {
	m := newStore(t, "store.coding = \"2+1\"\nstage.settle = \"10ms\"")
	s := m.serve()
	for _, name := range []string{"alice", "bob", "carol", "dora"} {
		m.ok("node", "add", "local:"+m.path(name), "--no-checks")
	}
	m.ok("bucket", "create", "cache")
	key := jsonOf[access](m, "access", "create", "--write", "cache", "--name", "attic")
	client := s3{t, s.Endpoint, key.ID, key.Secret}
	data := strings.Repeat("a stone on a heap ", 40_000)
	for _, name := range []string{"1", "2", "3", "4"} {
		if status, body := client.do("PUT", "/cache/"+name, data); status != 200 {
			t.Fatalf("put: %d %s", status, body)
		}
		m.ok("flush")
	}
	m.ok("status", "--check")
	m.unstaged()

	// All is well, and that is said.
	if r := jsonOf[scrub.Report](m, "scrub", "--full"); r.Wrong+r.Missing+r.Lost+r.Left != 0 || r.Shards == 0 || r.Read == 0 {
		t.Errorf("scrub of a store that is whole: %+v", r)
	}
	if text := m.ok("scrub", "--dry-run"); !strings.Contains(text, "4 nodes would be listed") {
		t.Errorf("a dry run:\n%s", text)
	}
	if text := m.ok("node", "evidence", "bob"); !strings.Contains(text, "never sent wrong bytes") {
		t.Errorf("no evidence:\n%s", text)
	}

	// One lies: found, told with exit status 5, proven, and mended.
	victim := m.shards("bob")[0]
	b, err := os.ReadFile(victim)
	must(t, err)
	b[100] ^= 1
	must(t, os.WriteFile(victim, b, 0o600))
	if r := m.run("scrub", "--node", "bob", "--full"); r.status != 5 || !strings.Contains(r.out, "wrong bytes") {
		t.Errorf("scrub of a node that lies: %+v", r)
	}
	if text := m.ok("node", "evidence", "bob"); !strings.Contains(text, filepath.Base(victim)) || !strings.Contains(text, "block 0") {
		t.Errorf("evidence:\n%s", text)
	}
	m.again("repair") // the gateway may be at it by itself
	if text := m.ok("node", "reset", "bob"); !strings.Contains(text, "Nothing is held against bob") {
		t.Errorf("reset:\n%s", text)
	}
	m.ok("scrub", "--full")

	// One is wiped, all but its marker: rebuilt.
	must(t, os.RemoveAll(m.path("carol/packs")))
	must(t, os.Mkdir(m.path("carol/packs"), 0o700))
	if r := jsonOf[scrub.Report](m, "rebuild", "carol"); r.Made == 0 || r.Left != 0 {
		t.Errorf("rebuild: %+v", r)
	}
	m.ok("scrub", "--full")

	// One is to leave.
	if r := m.run("node", "remove", "dora"); r.status != 3 || !strings.Contains(r.err, "every one stays readable without it") {
		t.Errorf("remove before drain: %+v", r)
	}
	if text := m.ok("node", "drain", "dora", "--dry-run"); !strings.Contains(text, "would move") {
		t.Errorf("a dry run of drain:\n%s", text)
	}
	m.ok("flush") // a pack still being spread would have to be waited for
	r := m.run("node", "drain", "dora", "--bwlimit", "1G")
	if r.status != 0 || !strings.Contains(r.out, "may be removed now") {
		t.Errorf("drain: %+v", r)
	}
	if r := m.run("node", "remove", "dora"); r.status != 0 || !strings.Contains(r.out, "held no shards that count") {
		t.Errorf("remove after drain: %+v", r)
	}
	for _, name := range []string{"1", "2", "3", "4"} {
		if status, got := client.do("GET", "/cache/"+name, ""); status != 200 || got != data {
			t.Errorf("object %s: %d, %d bytes", name, status, len(got))
		}
	}
	if text := m.ok("rebalance", "--dry-run"); !strings.Contains(text, "would have to move") {
		t.Errorf("rebalance:\n%s", text)
	}
	http.DefaultClient.CloseIdleConnections()
	if r := s.stop(); r.status != 0 || strings.Contains(r.err, "ERROR") && !strings.Contains(r.err, "wrong bytes") {
		t.Errorf("the gateway ended with %+v", r)
	}
	// And without a gateway.
	m.ok("scrub")
	for _, c := range []struct {
		args   []string
		status int
	}{
		{[]string{"scrub", "--sample", "2"}, 2}, {[]string{"scrub", "--sample", "0.5", "--full"}, 2}, {[]string{"scrub", "--bwlimit", "fast"}, 2},
		{[]string{"rebuild", "nobody"}, 4}, {[]string{"node", "drain", "nobody"}, 4}, {[]string{"node", "evidence", "nobody"}, 4}, {[]string{"node", "reset", "nobody"}, 4},
		{[]string{"scrub", "--node", "nobody"}, 4}, {[]string{"rebuild"}, 2},
	} {
		if r := m.run(c.args...); r.status != c.status || r.err == "" {
			t.Errorf("cairn %s: %+v", strings.Join(c.args, " "), r)
		}
	}
	m.ok("node", "set", "bob", "--traffic", "300G", "--hours", "22:00-07:00", "--wipe-proof", "snapshots")
	if text := m.ok("status"); !strings.Contains(text, "/279.4 GiB") || !strings.Contains(text, "snapshots") {
		t.Errorf("options of a node:\n%s", text)
	}
	if r := m.run("node", "set", "bob", "--hours", "always"); r.status != 2 {
		t.Errorf("bad hours: %+v", r)
	}
}
