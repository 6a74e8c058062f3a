package main

import (
	"net/http"
	"os"
	"strings"
	"testing"
)

// TestEventsTellAndKeepQuiet: what happened is told in words, with a gateway and
// without, and nothing that is private ever gets into the file, at whatever level
// the gateway logs.
func TestEventsTellAndKeepQuiet(t *testing.T) {
	m := newStore(t, "s3.access_log = \"all\"")
	if text := m.ok("events"); !strings.HasPrefix(text, "no events yet") {
		t.Errorf("before the first gateway: %s", text)
	}
	s := m.serve("--log", "debug")
	m.ok("node", "add", "local:"+m.path("alice"), "--no-checks")
	m.ok("node", "add", "local:"+m.path("bob"), "--no-checks")
	m.ok("bucket", "create", "cache")
	key := jsonOf[access](m, "access", "create", "--write", "cache", "--name", "attic")
	client := s3{t, s.Endpoint, key.ID, key.Secret}
	const private = "nar/0123456789-very-private.zst"
	for _, method := range []string{"PUT", "GET", "DELETE", "GET"} {
		client.do(method, "/cache/"+private, "a stone on a heap")
	}
	s3{t, s.Endpoint, key.ID, "wrong" + key.Secret}.do("GET", "/cache/"+private, "")
	client.do("GET", "/none/"+private, "")
	m.run("locate", "cache/"+private)
	must(t, os.Rename(m.path("bob"), m.path("away"))) // unmounted
	client.do("PUT", "/cache/"+private, strings.Repeat("b", 3<<20))
	m.run("flush")
	m.run("node", "remove", "nobody")
	http.DefaultClient.CloseIdleConnections()
	s.stop()

	text := m.ok("events", "--since", "1h")
	for _, want := range []string{"gateway begins", "gateway ends", "verb begins: op node add", "verb ended: op node remove, class not-exist"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if of := m.ok("events", "--node", "bob"); !strings.Contains(of, "bob: ") || strings.Contains(of, "alice") {
		t.Errorf("of bob:\n%s", of)
	}
	if lines := m.ok("events", "--json"); !strings.Contains(lines, `"event":"gateway begins"`) {
		t.Errorf("as JSON:\n%s", lines)
	}
	if none := m.ok("events", "--since", "0s"); !strings.HasPrefix(none, "nothing happened") {
		t.Errorf("since now:\n%s", none)
	}
	if r := m.run("events", "--since", "yesterday"); r.status != 2 {
		t.Errorf("a bad age: %+v", r)
	}
	raw, err := os.ReadFile(m.path("state/events"))
	must(t, err)
	for _, secret := range []string{"very-private", "0123456789", key.ID, key.Secret, "status", `"locate"`, "127.0.0.1"} {
		if strings.Contains(string(raw), secret) {
			t.Errorf("%q is in the file:\n%s", secret, raw)
		}
	}
	if info, err := os.Stat(m.path("state/events")); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}
