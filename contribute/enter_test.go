package contribute_test

import (
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/contribute"
)

func TestOnlyTheAuthorizedKeyEnters(t *testing.T) {
	h := serve(t, contribute.Config{User: "bob"})
	for name, c := range map[string]struct {
		user string
		key  contribute.Key
		ok   bool
	}{
		"the key and the user": {"bob", h.user, true},
		"another key":          {"bob", newKey(t), false},
		"another user":         {"root", h.user, false},
	} {
		conn, err := h.dial(c.user, c.key)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			conn.Close()
		}
	}
	_, err := ssh.Dial("tcp", h.addr, &ssh.ClientConfig{
		User: "bob", Auth: []ssh.AuthMethod{ssh.Password("x")}, HostKeyCallback: ssh.FixedHostKey(h.host.Public()),
	})
	if err == nil {
		t.Error("a password let someone in")
	}
}

func TestNothingButSFTPIsServed(t *testing.T) {
	h := serve(t, contribute.Config{})
	conn, _ := h.enter(t)
	for name, ask := range map[string]func(s *ssh.Session) error{
		"shell":             func(s *ssh.Session) error { return s.Shell() },
		"command":           func(s *ssh.Session) error { return s.Start("id") },
		"terminal":          func(s *ssh.Session) error { return s.RequestPty("xterm", 24, 80, nil) },
		"environment":       func(s *ssh.Session) error { return s.Setenv("A", "b") },
		"another subsystem": func(s *ssh.Session) error { return s.RequestSubsystem("netconf") },
	} {
		s, err := conn.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := ask(s); err == nil {
			t.Errorf("%s: was served", name)
		}
		s.Close()
	}
	if c, err := conn.Dial("tcp", h.addr); err == nil {
		c.Close()
		t.Error("a port was forwarded")
	}
	if ln, err := conn.Listen("tcp", "127.0.0.1:0"); err == nil {
		ln.Close()
		t.Error("a port was forwarded back")
	}
}

func TestServeEndsWithItsConnections(t *testing.T) {
	h := serve(t, contribute.Config{})
	_, c := h.enter(t)
	if err := put(c, "a", []byte("abc")); err != nil {
		t.Fatal(err)
	}
	silent, err := net.Dial("tcp", h.addr) // never says who it is
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ended := make(chan struct{})
	go func() { h.stop(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("serve goes on though its context is over")
	}
	if _, err := c.Lstat("a"); err == nil {
		t.Error("a session outlived Serve")
	}
}

func TestConfigIsChecked(t *testing.T) {
	k := newKey(t)
	good := contribute.Config{Dir: t.TempDir(), HostKey: k.Signer, Authorized: []ssh.PublicKey{k.Public()}}
	if _, err := contribute.New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(c *contribute.Config){
		"no directory":      func(c *contribute.Config) { c.Dir = filepath.Join(c.Dir, "missing") },
		"no host key":       func(c *contribute.Config) { c.HostKey = nil },
		"nobody authorized": func(c *contribute.Config) { c.Authorized = nil },
		"negative quota":    func(c *contribute.Config) { c.Quota = -1 },
	} {
		c := good
		change(&c)
		if _, err := contribute.New(c); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}
