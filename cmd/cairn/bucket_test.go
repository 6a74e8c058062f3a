package main

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn/gateway"
)

// What the verbs set is what clients meet, at once and after a restart.
func TestQuotaAndCORSOfABucket(t *testing.T) {
	m := newStore(t, "")
	m.ok("bucket", "create", "cache")
	rules := m.path("cors.json")
	must(t, os.WriteFile(rules, []byte(`{"CORSRules": [{"AllowedOrigins": ["https://app.example.org"], "AllowedMethods": ["GET"]}]}`), 0o600))
	set := jsonOf[bucket](m, "bucket", "set", "cache", "--quota", "100K", "--cors", rules)
	if set.Quota != 100_000 || !set.CORS || set.Bytes != 0 {
		t.Fatalf("bucket set: %+v", set)
	}
	key := jsonOf[access](m, "access", "create", "--write", "cache")
	s := m.serve()
	client := s3{t, s.Endpoint, key.ID, key.Secret}
	if status, body := client.do("PUT", "/cache/small", strings.Repeat("x", 60_000)); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	if status, body := client.do("PUT", "/cache/more", strings.Repeat("x", 60_000)); status != 403 || !strings.Contains(body, "<Code>QuotaExceeded</Code>") {
		t.Errorf("beyond the quota: %d %s", status, body)
	}
	preflight := func() int {
		t.Helper()
		ask, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, s.Endpoint+"/cache/small", nil)
		must(t, err)
		ask.Header.Set("Origin", "https://app.example.org")
		ask.Header.Set("Access-Control-Request-Method", "GET")
		answer, err := http.DefaultClient.Do(ask)
		must(t, err)
		answer.Body.Close()
		return answer.StatusCode
	}
	if status := preflight(); status != 200 {
		t.Errorf("a page that the rules allow: %d", status)
	}
	if bs := jsonOf[[]bucket](m, "bucket", "list"); len(bs) != 1 || bs[0].Objects != 1 || bs[0].Bytes != 60_000 || bs[0].Quota != set.Quota || !bs[0].CORS {
		t.Errorf("bucket list: %+v", bs)
	}
	if out := m.ok("bucket", "list"); !strings.Contains(out, "QUOTA") || !strings.Contains(out, bytesText(60_000)) {
		t.Errorf("bucket list:\n%s", out)
	}
	m.ok("bucket", "set", "cache", "--quota", "none", "--cors", "none")
	if status, body := client.do("PUT", "/cache/more", strings.Repeat("x", 60_000)); status != 200 {
		t.Errorf("without a quota: %d %s", status, body)
	}
	if status := preflight(); status != 403 {
		t.Errorf("without rules: %d", status)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestBadQuotaAndCORS(t *testing.T) {
	m := newStore(t, "")
	m.ok("bucket", "create", "cache")
	broken := m.path("broken.xml")
	must(t, os.WriteFile(broken, []byte("<CORSConfiguration><CORSRule/></CORSConfiguration>"), 0o600))
	for _, c := range []struct {
		flag, value string
		status      int
		says        string
	}{
		{"--quota", "lots", 2, "--quota"},
		{"--quota", "0G", 2, "none to end the limit"},
		{"--quota", "-1G", 2, "--quota"},
		{"--cors", m.path("missing"), 4, "--cors"},
		{"--cors", broken, 2, "AllowedOrigin"},
	} {
		if r := m.run("bucket", "set", "cache", c.flag, c.value); r.status != c.status || !strings.Contains(r.err, c.says) {
			t.Errorf("%s %s: %+v", c.flag, c.value, r)
		}
	}
	if b := jsonOf[[]bucket](m, "bucket", "list")[0]; b.Quota != 0 || b.CORS {
		t.Errorf("something was set: %+v", b)
	}
	if _, err := gateway.ParseCORS(nil); err == nil {
		t.Error("an empty file holds rules")
	}
}
