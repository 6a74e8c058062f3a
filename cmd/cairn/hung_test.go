package main

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cairn-storage/cairn/internal/durable"
)

// TestStatusAnswersWhileTheDiskHangs: inside a gateway whose disk stops
// answering, and on a store that cannot be opened for it. Every question below
// is asked while the disk hangs: had it to answer first, the test would not end.
func TestStatusAnswersWhileTheDiskHangs(t *testing.T) {
	for _, c := range []struct{ what, below string }{{"all of it", ""}, {"the stage", "state/stage"}, {"the index", "state/index"}} {
		t.Run(c.what, func(t *testing.T) {
			m := newStore(t, "stage.settle = \"10ms\"")
			var disk *durable.Hang
			m.fs, disk = durable.Hangs(durable.OS())
			for _, name := range []string{"alice", "bob", "carol"} {
				m.ok("node", "add", "local:"+m.path(name), "--no-checks")
			}
			below := m.path(c.below)
			if c.below == "" {
				below = ""
			}

			s := m.serve()
			m.ok("bucket", "create", "cache")
			key := jsonOf[access](m, "access", "create", "--write", "cache", "--name", "attic")
			client := s3{t, s.Endpoint, key.ID, key.Secret}
			if status, _ := client.do("PUT", "/cache/x", "something"); status != 200 {
				t.Fatalf("put: %d", status)
			}
			m.until("1 object")
			disk.Stop(below)
			var wg sync.WaitGroup
			wg.Go(func() { client.do("PUT", "/cache/y", strings.Repeat("a", 2<<20)) }) // whatever comes of it
			wg.Go(func() { m.run("flush") })
			<-disk.Stuck()
			r := m.until("this machine's disk does not answer")
			if r.status < 1 || r.status > 2 || !strings.Contains(r.out, "DO NOW") || !strings.Contains(r.out, "alice") || !strings.Contains(r.out, " object") {
				t.Errorf("in a gateway: %+v", r)
			}
			if r := m.run("status", "--json"); !strings.Contains(r.out, `"disk_silent_s":`) || !strings.Contains(r.out, `"serving":true`) || r.status != 0 {
				t.Errorf("for programs: %+v", r)
			}
			if r := m.run("status", "--without", "bob"); r.status != 0 || !strings.Contains(r.out, "readable") {
				t.Errorf("without bob: %+v", r)
			}
			disk.Go()
			wg.Wait()
			s.stop()

			disk.Stop(below)
			m.hung = 100 * time.Millisecond
			r = m.run("status", "--check")
			if r.status != 2 || !strings.HasPrefix(r.out, "AT RISK    this machine's disk does not answer") || !strings.Contains(r.out, "no gateway runs") ||
				!strings.Contains(r.out, m.path("state")) || strings.Contains(r.out, "no nodes") || strings.Contains(r.out, "0 objects") || strings.Contains(r.out, "kit") {
				t.Errorf("without a gateway: %+v", r)
			}
			m.patience = time.Minute
			if r := m.run("status", "--check"); r.status == 0 || !strings.Contains(r.out, "another cairn has the store open") && !strings.Contains(r.out, "disk does not answer") {
				t.Errorf("while the first still waits: %+v", r)
			}
			if r := m.run("status", "--without", "bob"); r.status != 6 || !strings.Contains(r.err, "does not answer") {
				t.Errorf("without bob: %+v", r)
			}
			disk.Go()
			m.hung = time.Minute
			m.again("status") // when those that waited have given the store back
		})
	}
}

// TestStatusAnswersWhenTheGatewayDoesNot, as it does not while it begins.
func TestStatusAnswersWhenTheGatewayDoesNot(t *testing.T) {
	m := newStore(t, "")
	ln, err := net.Listen("unix", m.path("state/admin.sock"))
	must(t, err)
	defer ln.Close()
	m.hung = 50 * time.Millisecond
	r := m.run("status", "--check")
	if r.status != 2 || !strings.HasPrefix(r.out, "AT RISK    the gateway does not answer") || strings.Contains(r.out, "no gateway runs") {
		t.Errorf("%+v", r)
	}
}
