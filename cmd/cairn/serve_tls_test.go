package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// writePair makes cert.pem and key.pem for localhost and a pool that trusts
// them.
func (m *machine) writePair() *x509.CertPool {
	m.t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(m.t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &secret.PublicKey, secret)
	must(m.t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(secret)
	must(m.t, err)
	must(m.t, os.WriteFile(m.path("cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), 0o600))
	must(m.t, os.WriteFile(m.path("key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
	leaf, err := x509.ParseCertificate(signed)
	must(m.t, err)
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return pool
}

// What cairn.toml says of the endpoint reaches it: TLS, names of buckets, and
// a password where nobody can listen.
func TestServeOverTLS(t *testing.T) {
	m := newMachine(t, "")
	pool := m.writePair()
	m.configure(fmt.Sprintf("s3.tls = { cert = %q, key = %q }\ns3.domains = [\"s3.example.org\"]\n[[bucket]]\nname = \"cache\"\n", m.path("cert.pem"), m.path("key.pem")))
	m.ok("init")
	m.ok("node", "add", "local:"+m.path("alice"), "--no-checks")
	s := m.serve()
	if !strings.HasPrefix(s.Endpoint, "https://127.0.0.1:") {
		t.Fatalf("served at %s", s.Endpoint)
	}
	key := jsonOf[access](m, "access", "create", "--write", "cache")
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "localhost"}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	do := func(method, path, host, body string) (string, string) {
		q, err := http.NewRequestWithContext(t.Context(), method, s.Endpoint+path, strings.NewReader(body))
		must(t, err)
		q.SetBasicAuth(key.ID, key.Secret)
		if host != "" {
			q.Host = host
		}
		resp, err := transport.RoundTrip(q)
		must(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		must(t, err)
		return resp.Proto + " " + resp.Status, string(text)
	}
	if status, body := do("PUT", "/cache/nix-cache-info", "", "StoreDir: /nix/store\n"); status != "HTTP/2.0 200 OK" {
		t.Errorf("PUT: %s %s", status, body)
	}
	if status, body := do("GET", "/nix-cache-info", "cache.s3.example.org", ""); status != "HTTP/2.0 200 OK" || body != "StoreDir: /nix/store\n" {
		t.Errorf("GET: %s %s", status, body)
	}
	if r := s.stop(); r.status != 0 {
		t.Errorf("%+v", r)
	}

	must(t, os.Chmod(m.path("key.pem"), 0o644))
	if r := m.run("serve"); r.status != 8 || !strings.Contains(r.err, "s3.tls: ") || !strings.Contains(r.err, "chmod o= ") {
		t.Errorf("with a key for all to read: %+v", r)
	}
	if r := m.run("config", "check"); r.status == 0 || !strings.Contains(r.err+r.out, "chmod o= ") {
		t.Errorf("config check: %+v", r)
	}
}
