package main

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
)

// TestStatusGoesFromOKToLost: three disks of a store coded 2+1 go one after the
// other; what the status says, and its exit status, follow.
func TestStatusGoesFromOKToLost(t *testing.T) {
	m := newStore(t, "")
	s := m.serve()
	for _, name := range []string{"alice", "bob", "carol"} {
		m.ok("node", "add", "local:"+m.path(name), "--no-checks")
	}
	m.ok("bucket", "create", "cache")
	key := jsonOf[access](m, "access", "create", "--write", "cache", "--name", "attic")
	if status, _ := (s3{t, s.Endpoint, key.ID, key.Secret}).do("PUT", "/cache/x", strings.Repeat("a", 200_000)); status != 200 {
		t.Fatalf("put: %d", status)
	}
	m.ok("flush")
	if r := m.until("any 1 operator may fail\n"); r.status != 0 || !strings.HasPrefix(r.out, "OK         every object is readable and writes go on; any 1 operator may fail\n") {
		t.Errorf("whole: %+v", r)
	}
	w := jsonOf[engine.Without](m, "status", "--without", "bob")
	if w.Readable.Packs == 0 || w.Unreadable.Packs != 0 || !w.Writable || w.Coding != "1+1" {
		t.Errorf("without bob: %+v", w)
	}
	if text := m.ok("status", "--without", "bob,carol"); !strings.Contains(text, "not readable") || !strings.Contains(text, "writable      no") {
		t.Errorf("without two:\n%s", text)
	}
	if r := m.run("status", "--without", "dora"); r.status != 4 || !strings.Contains(r.err, "alice, bob, carol") {
		t.Errorf("without nobody: %+v", r)
	}

	s.stop()
	must(t, os.Rename(m.path("bob"), m.path("away"))) // its disk is not mounted
	s = m.serve()
	if r := m.until("no operator may fail (1 when whole)"); r.status != 2 || !strings.HasPrefix(r.out, "AT RISK") || !strings.Contains(r.out, "DO NOW     1. bring back bob") {
		t.Errorf("with one away: %+v", r)
	}
	s.stop()
	must(t, os.Rename(m.path("carol"), m.path("away2")))
	s = m.serve()
	if r := m.until("cannot be read now"); r.status != 2 || !strings.Contains(r.out, "bring back bob or carol") {
		t.Errorf("with two away: %+v", r)
	}
	m.ok("node", "remove", "bob", "--force")
	m.ok("node", "remove", "carol", "--force")
	if r := m.run("status", "--check"); r.status != 3 || !strings.HasPrefix(r.out, "LOST") {
		t.Errorf("with two given up: %+v", r)
	}
	http.DefaultClient.CloseIdleConnections()
	s.stop()
	if r := m.run("status", "--check"); r.status != 3 || !strings.Contains(r.out, "no gateway runs") {
		t.Errorf("and without a gateway: %+v", r)
	}
}

// until is status --check, asked again until it says something.
func (m *machine) until(says string) result {
	m.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(30 * time.Second)
	for {
		r := m.run("status", "--check")
		if strings.Contains(r.out, says) {
			return r
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("status never said %q: %+v", says, r)
		}
		<-tick.C
	}
}
