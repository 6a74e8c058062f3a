package integration

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRefusalMustBeClear(t *testing.T) {
	for _, c := range []struct {
		r  Result
		ok bool
	}{
		{Result{2, "", "cairn: x.toml:1: unknown key \"stroe\"\n"}, true},
		{Result{1, "", "cairn: x.toml:1: unknown key \"stroe\"\n"}, false},
		{Result{2, "", ""}, false},
		{Result{2, "", "unknown key\nusage: ...\n"}, false},
		{Result{2, "", "panic: unknown key"}, false},
		{Result{2, "", "cairn: something else"}, false},
	} {
		if err := c.r.Clear(2, "unknown key"); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.r, err)
		}
	}
}

// machine is a gateway's files in a test: state directory and configuration.
type machine struct {
	t      *testing.T
	ctx    context.Context
	bin    string
	dir    string // state
	config string // cairn.toml
}

// newMachine initialises a store below a fresh folder; more is put into its
// cairn.toml.
func newMachine(t *testing.T, ctx context.Context, more string) *machine {
	t.Helper()
	root := t.TempDir()
	m := &machine{t, ctx, program(t), filepath.Join(root, "state"), filepath.Join(root, "cairn.toml")}
	m.write(more)
	if r := m.run("init"); r.Status != 0 {
		t.Fatalf("init: %+v", r)
	}
	return m
}

// write replaces cairn.toml; the listeners take free ports, unless more says
// otherwise.
func (m *machine) write(more string) {
	m.t.Helper()
	text := fmt.Sprintf("dir = %q\n", m.dir)
	if !strings.Contains(more, "[s3]") {
		text += "s3.listen = \"127.0.0.1:0\"\n"
	}
	text += "admin.listen = \"\"\n" + more
	if err := os.WriteFile(m.config, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// run is `cairn VERB... --config FILE ARGS...`; words before the first flag or
// "--" are the verb.
func (m *machine) run(words ...string) Result {
	m.t.Helper()
	n := 1
	switch words[0] {
	case "node", "bucket", "access", "config", "key":
		n = 2
	}
	args := append(append(append([]string{}, words[:n]...), "--config", m.config), words[n:]...)
	r, err := RunVerb(m.ctx, m.bin, args...)
	if err != nil {
		m.t.Fatal(err)
	}
	return r
}

// addLocal adds a node in a folder beside the state directory and returns the
// folder.
func (m *machine) addLocal(name string) string {
	m.t.Helper()
	dir := filepath.Join(filepath.Dir(m.dir), name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		m.t.Fatal(err)
	}
	if r := m.run("node", "add", "--name", name, "--yes", "local:"+dir); r.Status != 0 {
		m.t.Fatalf("node add: %+v", r)
	}
	return dir
}

// listen gives a port of this machine to serve, which ends with the test.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var open []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			open = append(open, c)
			if serve != nil {
				go serve(c)
			}
		}
		for _, c := range open {
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// TestBadInput: what people get wrong, with the class it exits by and the words
// that the one line must have.
func TestBadInput(t *testing.T) {
	ctx := limit(t, 5*time.Minute)
	program(t)
	const pin = "SHA256:XqzK4rZ5nS2bQkqgkq8W6k0zGm0n4mF0N0J0aY3yR1k"
	secret := func(m *machine, name string, mode os.FileMode) string {
		path := filepath.Join(filepath.Dir(m.dir), name)
		if err := os.WriteFile(path, []byte("hunter2\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name   string
		run    func(*testing.T, *machine) Result
		status int
		says   []string
	}{
		{"unknown configuration key", func(t *testing.T, m *machine) Result {
			m.write("[stroe]\ncoding = \"4+3\"\n")
			return m.run("config", "check")
		}, ExitInvalid, []string{"cairn.toml:4", `unknown key "stroe"`, `"store"`}},
		{"a size without unit", func(t *testing.T, m *machine) Result {
			m.write("[stage]\nlimit = 20\n")
			return m.run("config", "check")
		}, ExitInvalid, []string{"cairn.toml:5", `"stage.limit"`, `"20GiB"`}},
		{"no configuration file", func(t *testing.T, m *machine) Result {
			m.config += ".not"
			return m.run("config", "check")
		}, ExitNotExist, []string{"cairn.toml.not"}},
		{"a verb that does not exist", func(t *testing.T, m *machine) Result {
			r, err := RunVerb(ctx, m.bin, "sevre")
			if err != nil {
				t.Fatal(err)
			}
			return r
		}, ExitInvalid, []string{`"sevre"`}},

		{"world-readable secret", func(t *testing.T, m *machine) Result {
			m.write(fmt.Sprintf("[[node]]\nname = \"a\"\nremote = \"sftp://u@127.0.0.1:1/x\"\nhost_key = %q\nkey_file = %q\n", pin, secret(m, "open", 0o644)))
			return m.run("config", "check")
		}, ExitDenied, []string{"chmod", "open"}},
		{"world-readable identity", func(t *testing.T, m *machine) Result {
			if err := os.Chmod(filepath.Join(m.dir, "identity"), 0o644); err != nil {
				t.Fatal(err)
			}
			return m.run("serve")
		}, ExitDenied, []string{"chmod"}},
		{"secret under /nix/store", func(t *testing.T, m *machine) Result {
			m.write("identity = \"/nix/store/x-identity\"\n")
			return m.run("serve")
		}, ExitInvalid, []string{"/nix/store"}},
		{"wrong identity", func(t *testing.T, m *machine) Result {
			other := newMachine(t, ctx, "")
			m.write(fmt.Sprintf("identity = %q\n", filepath.Join(other.dir, "identity")))
			return m.run("serve")
		}, ExitDenied, []string{"identity"}},
		{"identity missing", func(t *testing.T, m *machine) Result {
			if err := os.Remove(filepath.Join(m.dir, "identity")); err != nil {
				t.Fatal(err)
			}
			return m.run("serve")
		}, ExitNotExist, []string{"identity"}},
		{"init twice", func(t *testing.T, m *machine) Result { return m.run("init") }, ExitPrecondition, []string{"state"}},
		{"unwritable directory", func(t *testing.T, m *machine) Result {
			m.dir = filepath.Join(secret(m, "file", 0o600), "state") // below a file: not even root makes that
			m.write("")
			return m.run("init")
		}, ExitInvalid, []string{"file/state"}},
		{"port in use", func(t *testing.T, m *machine) Result {
			m.write(fmt.Sprintf("[s3]\nlisten = %q\n", listen(t, nil)))
			return m.run("serve")
		}, ExitUnavailable, []string{"address already in use"}},

		{"foreign marker", func(t *testing.T, m *machine) Result {
			dir := newMachine(t, ctx, "").addLocal("theirs")
			return m.run("node", "add", "--name", "mine", "--yes", "local:"+dir)
		}, ExitDenied, []string{"another store"}},
		{"no marker", func(t *testing.T, m *machine) Result {
			if err := os.Remove(filepath.Join(m.addLocal("unmounted"), "cairn.json")); err != nil {
				t.Fatal(err)
			}
			return m.run("node", "check", "unmounted")
		}, ExitUnavailable, []string{"unmounted", "marker"}},
		{"the same node twice", func(t *testing.T, m *machine) Result {
			return m.run("node", "add", "--name", "again", "--yes", "local:"+m.addLocal("first"))
		}, ExitPrecondition, []string{"first"}},
		{"a node that is not there", func(t *testing.T, m *machine) Result {
			return m.run("node", "check", "nobody")
		}, ExitNotExist, []string{"nobody"}},
		{"a node that refuses", func(t *testing.T, m *machine) Result {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			address := l.Addr().String()
			l.Close() // nobody listens there now
			return m.run("node", "add", "--name", "a", "--yes", "--host-key", pin, "--password-file", secret(m, "p", 0o600), "sftp://u@"+address+"/x")
		}, ExitUnavailable, []string{"refused"}},
		{"a node that hangs", func(t *testing.T, m *machine) Result {
			address := listen(t, nil) // accepts and says nothing
			return m.run("node", "add", "--name", "a", "--yes", "--host-key", pin, "--password-file", secret(m, "p", 0o600), "sftp://u@"+address+"/x")
		}, ExitUnavailable, []string{"sftp://u@127.0.0.1"}},
		{"a node that speaks something else", func(t *testing.T, m *machine) Result {
			address := listen(t, func(c net.Conn) { fmt.Fprint(c, "220 ftp.example.org\r\n"); c.Close() })
			return m.run("node", "add", "--name", "a", "--yes", "--host-key", pin, "--password-file", secret(m, "p", 0o600), "sftp://u@"+address+"/x")
		}, ExitUnavailable, nil},
		{"changed host key", func(t *testing.T, m *machine) Result {
			node := demo(t, ctx).Nodes[0]
			return m.run("node", "add", "--name", "a", "--yes", "--host-key", pin, "--password-file", secret(m, "p", 0o600), "sftp://u@"+strings.TrimPrefix(node.Address, "sftp://")+"/")
		}, ExitDenied, []string{"host key", pin}},
		{"a password in an address", func(t *testing.T, m *machine) Result {
			return m.run("node", "add", "--name", "a", "--yes", "sftp://u:hunter2@127.0.0.1/x")
		}, ExitInvalid, []string{"password"}},

		{"too few nodes", func(t *testing.T, m *machine) Result {
			m.write("[store]\ncoding = \"4+3\"\n")
			m.addLocal("only")
			return m.run("config", "check", "--nodes")
		}, ExitUnavailable, []string{"4+3", "7 nodes"}},
		{"a coding that is none", func(t *testing.T, m *machine) Result {
			m.write("[store]\ncoding = \"seven\"\n")
			return m.run("serve")
		}, ExitInvalid, []string{"seven", "4+3"}},
		{"a bucket name that S3 refuses", func(t *testing.T, m *machine) Result {
			return m.run("bucket", "create", "My_Bucket")
		}, ExitInvalid, []string{"My_Bucket"}},
		{"a bucket that is not there", func(t *testing.T, m *machine) Result {
			return m.run("bucket", "rm", "nothing-here")
		}, ExitNotExist, []string{"nothing-here"}},
		{"an access key that is not there", func(t *testing.T, m *machine) Result {
			return m.run("access", "revoke", "CKNOBODY")
		}, ExitNotExist, []string{"CKNOBODY"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, ctx, "")
			r := c.run(t, m)
			if err := r.Clear(c.status, c.says...); err != nil {
				t.Error(err)
			}
			if strings.Contains(r.Stdout+r.Stderr, "hunter2") {
				t.Errorf("a password is repeated: %s%s", r.Stdout, r.Stderr)
			}
		})
	}
}
