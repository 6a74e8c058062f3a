package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/store"
)

// TestRecodeCompactPurge: a store that grew is coded anew, what little is left of
// packs is written anew, and a secret goes from every node.
func TestRecodeCompactPurge(t *testing.T) {
	m := newStore(t, "stage.settle = \"10ms\"")
	s := m.serve()
	m.ok("node", "add", "local:"+m.path("alice"), "--no-checks")
	m.ok("bucket", "create", "cache")
	key := jsonOf[access](m, "access", "create", "--write", "cache", "--name", "attic")
	client := s3{t, s.Endpoint, key.ID, key.Secret}
	data := strings.Repeat("a stone on a heap ", 40_000)
	for _, name := range []string{"1", "2", "secret"} {
		if status, body := client.do("PUT", "/cache/"+name, name+data); status != 200 {
			t.Fatalf("put: %d %s", status, body)
		}
	}
	m.ok("flush")
	if at := jsonOf[located](m, "locate", "cache/1"); at.Packs[0].Coding != "1+0" {
		t.Fatalf("on one node: %+v", at)
	}
	for _, name := range []string{"bob", "carol", "dora"} {
		m.ok("node", "add", "local:"+m.path(name), "--no-checks")
	}
	m.ok("flush")
	m.unstaged()
	if r := m.run("status"); !strings.Contains(r.out, "coded for fewer failures than new packs (2+2)") {
		t.Errorf("status does not tell of old packs:\n%s", r.out)
	}
	if text := m.ok("recode", "--dry-run"); !strings.Contains(text, "would be written anew") || !strings.Contains(text, "coded 2+2") {
		t.Errorf("a dry run:\n%s", text)
	}
	if text := m.ok("recode", "--bwlimit", "1G"); !strings.Contains(text, "written anew") {
		t.Errorf("recode:\n%s", text)
	}
	if at := jsonOf[located](m, "locate", "cache/1"); at.Packs[0].Coding != "2+2" || len(at.Packs[0].Shards) != 4 {
		t.Errorf("after recode: %+v", at)
	}
	if r := m.run("recode", "--to", "4+3"); r.status != 6 || !strings.Contains(r.err, "needs more nodes") {
		t.Errorf("a coding for which there are too few nodes: %+v", r)
	}
	if out := jsonOf[engine.CompactReport](m, "recode", "--to", "2+1"); out.Coding != "2+1" || out.Packs == 0 {
		t.Errorf("recode --to: %+v", out)
	}
	if st := jsonOf[engine.Status](m, "status"); st.Coding != "2+1" {
		t.Errorf("the setting is %s", st.Coding)
	}

	if status, _ := client.do("DELETE", "/cache/2", ""); status != 204 {
		t.Errorf("delete: %d", status)
	}
	m.ok("flush")
	m.unstaged()
	if text := m.ok("compact", "--below", "90%"); !strings.Contains(text, "written anew") && !strings.Contains(text, "nothing to write anew") {
		t.Errorf("compact:\n%s", text)
	}

	if r := m.run("purge", "cache/secret"); r.status != 3 || !strings.Contains(r.err, "--yes") {
		t.Errorf("purge asked nobody: %+v", r)
	}
	if text := m.ok("purge", "cache/secret", "--dry-run"); !strings.Contains(text, "would go at once") {
		t.Errorf("a dry run of purge:\n%s", text)
	}
	out := jsonOf[store.Purged](m, "purge", "cache/secret", "--yes")
	if out.Packs == 0 || len(out.Nodes) == 0 {
		t.Errorf("purge: %+v", out)
	}
	for _, n := range out.Nodes {
		if n.Left > 0 || n.Name == "" {
			t.Errorf("not confirmed: %+v", n)
		}
	}
	if status, _ := client.do("GET", "/cache/secret", ""); status != 404 {
		t.Errorf("what was purged: %d", status)
	}
	if status, got := client.do("GET", "/cache/1", ""); status != 200 || got != "1"+data {
		t.Errorf("its neighbour: %d, %d bytes", status, len(got))
	}
	http.DefaultClient.CloseIdleConnections()
	if r := s.stop(); r.status != 0 || strings.Contains(r.err, "very-private") {
		t.Errorf("the gateway ended with %+v", r)
	}
	for _, c := range []struct {
		args   []string
		status int
	}{
		{[]string{"purge", "cache"}, 2}, {[]string{"purge", "cache/none", "--dry-run"}, 4}, {[]string{"recode", "--to", "many"}, 2}, {[]string{"compact", "--below", "2"}, 2},
	} {
		if r := m.run(c.args...); r.status != c.status || r.err == "" {
			t.Errorf("cairn %s: %+v", strings.Join(c.args, " "), r)
		}
	}
}

// A person is asked before a purge; only yes is yes.
func TestPurgeAsksAPerson(t *testing.T) {
	m := newStore(t, "")
	m.ok("bucket", "create", "cache")
	var out, errs bytes.Buffer
	e := m.env(&out, &errs)
	e.person, e.in = true, strings.NewReader("no\n")
	if status := run(t.Context(), e, []string{"purge", "cache/x", "--config", m.path("cairn.toml")}); status != 3 || !strings.Contains(errs.String(), "for good, from every node") {
		t.Errorf("status %d: %s", status, errs.String())
	}
}
