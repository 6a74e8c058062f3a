package sftp_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/sftp"
	"github.com/cairn-storage/cairn/contribute"
)

func TestChangedHostKeyIsDeniedAndExplained(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, n *node) {
		c := n.config()
		other := newKey(t).Fingerprint()
		c.HostKey = other
		_, err := open(t, c).Stat(t.Context(), "packs/a")
		if !errors.Is(err, cairn.ErrDenied) {
			t.Fatalf("got %v, want ErrDenied", err)
		}
		for _, part := range []string{other, n.host.Fingerprint(), "--host-key"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not say %q", err, part)
			}
		}
		shown, err := sftp.Probe(t.Context(), n.addr)
		if err != nil || shown != n.host.Fingerprint() {
			t.Errorf("probe: got %s, %v, want %s", shown, err, n.host.Fingerprint())
		}
	})
}

func TestAnyOfTheServersKeysCanBePinned(t *testing.T) {
	t.Parallel()
	rsa := filepath.Join(t.TempDir(), "rsa")
	n := openssh(t, "HostKey "+rsaKey(t, rsa))
	c := n.config()
	c.HostKey = fingerprintOf(t, rsa)
	r := open(t, c)
	for range 2 {
		if err := r.Put(t.Context(), "packs/a", content(10, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWrongCredentialsAreDenied(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, n *node) {
		for name, change := range map[string]func(c *sftp.Config){
			"key":      func(c *sftp.Config) { c.Key = newKey(t).Signer },
			"user":     func(c *sftp.Config) { c.User = "no-such-user" },
			"password": func(c *sftp.Config) { c.Key, c.Password = nil, "guess" },
		} {
			c := n.config()
			change(&c)
			if _, err := open(t, c).Stat(t.Context(), "packs/a"); !errors.Is(err, cairn.ErrDenied) {
				t.Errorf("wrong %s: got %v, want ErrDenied", name, err)
			}
		}
	})
}

func TestUnreachableIsUnavailable(t *testing.T) {
	t.Parallel()
	c := contributed(t, contribute.Config{}).config()
	c.Address = "127.0.0.1:" + freePort(t)
	_, err := open(t, c).Stat(t.Context(), "packs/a")
	var where *backends.Error
	if !errors.Is(err, cairn.ErrUnavailable) || !errors.As(err, &where) || where.Op != backends.OpConnect {
		t.Errorf("got %v, want an ErrUnavailable of connect", err)
	}
	if _, err := sftp.Probe(t.Context(), c.Address); !errors.Is(err, cairn.ErrUnavailable) {
		t.Errorf("probe: got %v, want ErrUnavailable", err)
	}
}

// rsaKey writes an RSA host key file.
func rsaKey(t *testing.T, file string) string {
	t.Helper()
	data, err := newRSA()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func fingerprintOf(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.ParsePrivateKey(data)
	if err != nil {
		t.Fatal(err)
	}
	return ssh.FingerprintSHA256(s.PublicKey())
}
