package sftp_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/sftp"
	"github.com/cairn-storage/cairn/contribute"
	"github.com/cairn-storage/cairn/internal/netfault"
)

// node is a server under test with what is needed to enter it.
type node struct {
	kind    string
	addr    string
	dir     string // as the server has it on disk
	path    string // as the client names it
	user    string
	key     contribute.Key
	host    contribute.Key
	restart func() // ends the server, and starts it on the same directory
}

func (n *node) config() sftp.Config {
	return sftp.Config{
		Node: "n1", Address: n.addr, User: n.user, Path: n.path,
		Key: n.key.Signer, HostKey: n.host.Fingerprint(),
		Patience: 300 * time.Millisecond,
	}
}

func open(t testing.TB, c sftp.Config) *sftp.Remote {
	t.Helper()
	r, err := sftp.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return r
}

// proxied opens n through a proxy.
func proxied(t *testing.T, n *node) (*sftp.Remote, *netfault.Proxy) {
	t.Helper()
	p, err := netfault.New(n.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	c := n.config()
	c.Address = p.Addr()
	return open(t, c), p
}

// onEach runs f against our own server and against OpenSSH.
func onEach(t *testing.T, f func(t *testing.T, n *node)) {
	t.Run("contribute", func(t *testing.T) { f(t, contributed(t, contribute.Config{})) })
	t.Run("openssh", func(t *testing.T) { f(t, openssh(t)) })
}

func newKey(t testing.TB) contribute.Key {
	t.Helper()
	k, err := contribute.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// scratch is a directory in memory where there is one: these tests wait for
// many an fsync, and other tests need the disk.
func scratch(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "cairn-sftp-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return dir
}

// contributed serves c with a directory and keys filled in.
func contributed(t testing.TB, c contribute.Config) *node {
	t.Helper()
	n := &node{kind: "contribute", dir: scratch(t), user: "bob", key: newKey(t), host: newKey(t)}
	c.Dir, c.HostKey, c.Authorized, c.User = n.dir, n.host.Signer, []ssh.PublicKey{n.key.Public()}, "bob"
	s, err := contribute.New(c)
	if err != nil {
		t.Fatal(err)
	}
	n.addr = "127.0.0.1:0"
	var stop func()
	start := func() {
		ln, err := net.Listen("tcp", n.addr)
		if err != nil {
			t.Fatal(err)
		}
		n.addr = ln.Addr().String()
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.Serve(ctx, ln); err != nil {
				t.Errorf("serve: %v", err)
			}
		})
		stop = func() { cancel(); wg.Wait() }
	}
	start()
	n.restart = func() { stop(); start() }
	t.Cleanup(func() { stop() })
	return n
}

// openssh runs the real thing, as the current user, on a free port.
func openssh(t testing.TB, extra ...string) *node {
	t.Helper()
	const sshd = "/usr/sbin/sshd" // it insists on an absolute path
	if _, err := os.Stat(sshd); err != nil {
		t.Skip("OpenSSH's sshd is not installed (apt install openssh-server)")
	}
	who, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if who.Uid == "0" {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // privilege separation wants it
			t.Skipf("sshd cannot run here: %v", err)
		}
	}
	n := &node{kind: "openssh", dir: scratch(t), user: who.Username, key: newKey(t), host: newKey(t)}
	n.path = n.dir
	etc := t.TempDir()
	write := func(name string, data []byte) string {
		p := filepath.Join(etc, name)
		if err := os.WriteFile(p, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	host, err := n.host.PEM("host")
	if err != nil {
		t.Fatal(err)
	}
	config := []string{
		"ListenAddress 127.0.0.1",
		"HostKey " + write("host_key", host),
		"AuthorizedKeysFile " + write("authorized_keys", []byte(contribute.AuthorizedKey(n.key.Public(), "test"))),
		"PidFile none", "StrictModes no", "UsePAM no", "PasswordAuthentication no",
		"KbdInteractiveAuthentication no", "PermitRootLogin yes", "MaxStartups 100",
		"Subsystem sftp internal-sftp",
	}
	file := write("sshd_config", []byte(strings.Join(append(config, extra...), "\n")+"\n"))

	port := freePort(t)
	n.addr = net.JoinHostPort("127.0.0.1", port)
	var stop func()
	start := func() {
		cmd := exec.Command(sshd, "-D", "-e", "-p", port, "-f", file)
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Skipf("sshd does not start: %v", err)
		}
		listens := make(chan bool, 1)
		var said strings.Builder
		var wg sync.WaitGroup
		wg.Go(func() {
			in := bufio.NewScanner(stderr)
			for in.Scan() {
				if strings.Contains(in.Text(), "Server listening on") {
					listens <- true
					continue
				}
				said.WriteString(in.Text() + "\n")
			}
			close(listens)
		})
		stop = func() {
			_ = cmd.Process.Kill()
			wg.Wait() // its sessions hold stderr too: the last one has ended
			_ = cmd.Wait()
			if t.Failed() {
				t.Logf("sshd said:\n%s", said.String())
			}
		}
		if !<-listens {
			stop()
			t.Fatalf("sshd ended:\n%s", said.String())
		}
	}
	start()
	n.restart = func() { stop(); start() }
	t.Cleanup(func() { stop() })
	return n
}

func freePort(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return fmt.Sprint(ln.Addr().(*net.TCPAddr).Port)
}

// eventually waits until ok, and fails when that takes too long.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s: not after 10 s", what)
		}
	}
}

// content is n bytes that differ by seed and position.
func content(n int, seed byte) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i) ^ byte(i>>8) ^ byte(i>>16) ^ seed
	}
	return p
}

// list collects a listing.
func list(t *testing.T, r backends.Remote, dir string) map[string]int64 {
	t.Helper()
	files := make(map[string]int64)
	for e, err := range r.List(t.Context(), dir) {
		if err != nil {
			t.Fatalf("list %q: %v", dir, err)
		}
		files[e.Name] = e.Size
	}
	return files
}
