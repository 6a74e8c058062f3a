package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
)

// newPair is a certificate for localhost and its key, PEM.
func newPair(t *testing.T) (cert, key string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &secret.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return text("CERTIFICATE", signed), text("PRIVATE KEY", raw)
}

func TestReadPair(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		write(t, path, text, mode)
		return path
	}
	cert, key := newPair(t)
	_, other := newPair(t)
	goodCert, goodKey := file("cert", cert, 0o644), file("key", key, 0o640)
	for _, c := range []struct {
		name, cert, key string
		class           error
		says            string
	}{
		{"a pair", goodCert, goodKey, nil, ""},
		{"a key that everyone may read", goodCert, file("open", key, 0o644), cairn.ErrDenied, "chmod o= "},
		{"the key of another", goodCert, file("other", other, 0o600), cairn.ErrInvalid, "match"},
		{"two certificates", goodCert, file("cert2", cert, 0o600), cairn.ErrInvalid, "cert2"},
		{"no certificate in it", file("text", "hello", 0o600), goodKey, cairn.ErrInvalid, "text"},
		{"no certificate", filepath.Join(dir, "none"), goodKey, cairn.ErrNotExist, "none"},
		{"no key", goodCert, filepath.Join(dir, "none"), cairn.ErrNotExist, "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			pair, err := ReadPair(c.cert, c.key)
			if !errors.Is(err, c.class) || (c.class == nil) != (err == nil) {
				t.Fatalf("got %v, want %v", err, c.class)
			}
			if err == nil && len(pair.Certificate) != 1 {
				t.Errorf("%d certificates", len(pair.Certificate))
			}
			if err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q is not in %v", c.says, err)
			}
			conf := Default().Resolve()
			conf.Identity = filepath.Join(dir, "no-identity")
			conf.S3.TLS = TLS{Cert: c.cert, Key: c.key}
			if err := conf.CheckSecrets(); (err == nil) != (c.class == nil) || err != nil && !strings.HasPrefix(err.Error(), "s3.tls: ") {
				t.Errorf("CheckSecrets: %v", err)
			}
		})
	}
}
