package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/contribute"
	"golang.org/x/crypto/ssh"
)

// pin is a host key that no server has.
const pin = "SHA256:XqzK4rZ5nS2bQkqgkq8W6k0zGm0n4mF0N0J0aY3yR1k"

// port is a port of this machine that accepts and never says a word.
func port(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { ln.Close() })
	return ln.Addr().String()
}

func TestBadInput(t *testing.T) {
	for _, c := range []struct {
		name   string
		do     func(*testing.T, *machine) result
		status int
		line   string // ROOT is the machine's directory, ... any words
	}{
		{"a verb that does not exist", func(t *testing.T, m *machine) result { return m.run("sevre") },
			2, "\"sevre\" is no verb of cairn; `cairn help` lists them: invalid"},
		{"half a verb", func(t *testing.T, m *machine) result { return m.run("node", "ad") },
			2, `"ad" is no verb of cairn node: there are add, list, check, set, drain, remove, reset, evidence: invalid`},
		{"an unknown flag", func(t *testing.T, m *machine) result { return m.run("flush", "--now") },
			2, "flag provided but not defined: -now; see `cairn help flush`: invalid"},
		{"a word too many", func(t *testing.T, m *machine) result { return m.run("bucket", "rm", "a", "b") },
			2, "cairn bucket rm does not take \"b\"; see `cairn help bucket rm`: invalid"},
		{"a word too few", func(t *testing.T, m *machine) result { return m.run("bucket", "rm") },
			2, "cairn bucket rm needs NAME; see `cairn help bucket rm`: invalid"},
		{"a size without unit", func(t *testing.T, m *machine) result {
			return m.run("node", "add", "local:/x", "--capacity", "900")
		}, 2, "invalid value \"900\" for flag -capacity: ...; see `cairn help node add`: invalid"},
		{"a log level that is none", func(t *testing.T, m *machine) result { return m.run("bucket", "list", "--log", "loud") },
			2, `--log "loud": use off, debug, info, warn or error: invalid`},

		{"an unknown configuration key", func(t *testing.T, m *machine) result {
			m.configure("[stroe]\ncoding = \"4+3\"")
			return m.run("config", "check")
		}, 2, `ROOT/cairn.toml:5: unknown key "stroe"... "store"...`},
		{"no configuration file", func(t *testing.T, m *machine) result {
			must(t, os.Remove(m.path("cairn.toml")))
			return m.run("config", "check")
		}, 4, "...ROOT/cairn.toml...does not exist"},
		{"a secret open to the world", func(t *testing.T, m *machine) result {
			m.configure(fmt.Sprintf("[[node]]\nname = \"a\"\nremote = \"sftp://u@h/x\"\nhost_key = %q\nkey_file = %q", pin, m.write("key", 0o644)))
			return m.run("config", "check")
		}, 8, "node a: key_file: secret ROOT/key is open to everyone on this machine: run `chmod o= ROOT/key`: access denied"},
		{"too few nodes for the coding", func(t *testing.T, m *machine) result {
			m.configure("store.coding = \"4+3\"")
			m.ok("node", "add", "local:"+m.path("a"), "--no-checks")
			return m.run("config", "check", "--nodes")
		}, 6, "store.coding 4+3 needs 7 nodes and 1 take shards; packs are coded 1+0 until there are more: add nodes, or set coding = \"auto\": not available now"},

		{"init twice", func(t *testing.T, m *machine) result { return m.run("init") },
			3, "init: ROOT/state holds a store already; start it with `cairn serve`, or give another directory with --dir: precondition failed"},
		{"init below a file", func(t *testing.T, m *machine) result {
			return m.run("init", "--dir", m.write("file", 0o600)+"/state")
		}, 2, "init: cannot make ROOT/file/state: ...not a directory...: invalid"},
		{"init for a passphrase", func(t *testing.T, m *machine) result {
			return m.run("init", "--dir", m.path("new"), "--recipient", "correct horse")
		}, 2, `init: recipient "correct horse": give age1... or ssh-ed25519 ...; passphrases and other SSH keys cannot be recipients: invalid`},
		{"another store's identity", func(t *testing.T, m *machine) result {
			other := newStore(t, "")
			m.configure(fmt.Sprintf("identity = %q", other.path("state/identity")))
			return m.run("serve")
		}, 8, "the identity is of another gateway (store ...), ROOT/state holds store ...: set identity in cairn.toml to the file made with this store: access denied"},
		{"no identity", func(t *testing.T, m *machine) result {
			must(t, os.Remove(m.path("state/identity")))
			return m.run("serve")
		}, 4, "identity ROOT/state/identity is missing; `cairn init` makes a store with one: does not exist"},
		{"an identity open to the world", func(t *testing.T, m *machine) result {
			must(t, os.Chmod(m.path("state/identity"), 0o644))
			return m.run("serve")
		}, 8, "identity: secret ROOT/state/identity is open to everyone on this machine: run `chmod o= ROOT/state/identity`: access denied"},
		{"a directory without store", func(t *testing.T, m *machine) result {
			id := m.path("state/identity")
			m.configure(fmt.Sprintf("identity = %q", id))
			return m.run("bucket", "list", "--dir", m.path("empty"))
		}, 4, "ROOT/empty holds no store; make one with `cairn init --dir ROOT/empty`: does not exist"},
		{"a port in use", func(t *testing.T, m *machine) result {
			address := port(t)
			m.configure("")
			must(t, os.WriteFile(m.path("cairn.toml"), fmt.Appendf(nil, "dir = %q\n[s3]\nlisten = %q\n", m.path("state"), address), 0o600))
			return m.run("serve")
		}, 6, "listen 127.0.0.1:...: address already in use: is another cairn running? not available now; s3.listen in cairn.toml sets another"},
		{"a socket where a file is", func(t *testing.T, m *machine) result {
			m.configure(fmt.Sprintf("admin.socket = %q", m.write("file", 0o600)))
			return m.run("serve", "--log", "warn")
		}, 3, "listen ROOT/file: that is a file and no socket; it is left alone: precondition failed; admin.socket in cairn.toml sets another"},

		{"a directory of another store", func(t *testing.T, m *machine) result {
			other := newStore(t, "")
			other.ok("node", "add", "local:"+m.path("theirs"), "--no-checks")
			return m.run("node", "add", "local:"+m.path("theirs"), "--name", "mine")
		}, 8, "local:ROOT/theirs: the directory belongs to another store, ...; this is store ...: give an empty directory: access denied"},
		{"a directory that is a node already", func(t *testing.T, m *machine) result {
			m.ok("node", "add", "local:"+m.path("first"), "--no-checks")
			return m.run("node", "add", "local:"+m.path("first"), "--name", "again")
		}, 3, "local:ROOT/first: the directory is node first of this store already; change it with `cairn node set first`: precondition failed"},
		{"a node whose marker is gone", func(t *testing.T, m *machine) result {
			m.ok("node", "add", "local:"+m.path("unmounted"), "--no-checks")
			must(t, os.Remove(m.path("unmounted/cairn.json")))
			return m.run("node", "check", "unmounted")
		}, 6, "node unmounted: its marker cairn.json is missing, so it counts as offline and nothing is written there: is its disk mounted? If it is, `cairn node check unmounted --mark` looks whether this is it and writes the file again: not available now"},
		{"a node that is not there", func(t *testing.T, m *machine) result { return m.run("node", "check", "nobody") },
			4, "...\"nobody\"...does not exist; `cairn node list` shows them"},
		{"a node that refuses", func(t *testing.T, m *machine) result {
			return m.run("node", "add", "sftp://u@127.0.0.1:1/x", "--host-key", pin, "--password-file", m.write("p", 0o600))
		}, 6, "sftp://u@127.0.0.1:1/x: node 127-0-0-1: connect: not available now: dial tcp 127.0.0.1:1: connect: connection refused"},
		{"a node that lets nobody in", func(t *testing.T, m *machine) result {
			address, _ := stranger(t)
			return m.run("node", "add", "sftp://u@"+address+"/", "--name", "s", "--yes")
		}, 8, "sftp://u@127.0.0.1:.../: ...; to let the gateway's own key in, put this line into authorized_keys there: ssh-ed25519 ... cairn-..."},
		{"a host key that changed", func(t *testing.T, m *machine) result {
			address, _ := stranger(t)
			return m.run("node", "add", "sftp://u@"+address+"/", "--name", "s", "--host-key", pin, "--password-file", m.write("p", 0o600))
		}, 8, "sftp://u@127.0.0.1:.../: node s: connect: host key is SHA256:..., pinned is " + pin + ": ask the operator; ..."},
		{"a host key nobody pinned", func(t *testing.T, m *machine) result {
			address, key := stranger(t)
			r := m.run("node", "add", "sftp://u@"+address+"/", "--name", "s")
			r.err = strings.Replace(r.err, key, "THEIRS", 1)
			return r
		}, 8, "sftp://u@127.0.0.1:.../: host key THEIRS is new; compare it with what the operator says and give it as --host-key, or --yes to trust it: access denied"},
		{"a password in the address", func(t *testing.T, m *machine) result {
			return m.run("node", "add", "sftp://u:hunter2@127.0.0.1/x", "--yes")
		}, 2, "remote: a password does not belong in the address, use --password-file; write sftp://user@host:port/path: invalid"},
		{"a password open to the world", func(t *testing.T, m *machine) result {
			return m.run("node", "add", "sftp://u@127.0.0.1/x", "--host-key", pin, "--password-file", m.write("p", 0o644))
		}, 8, "secret ROOT/p is open to everyone on this machine: run `chmod o= ROOT/p`: access denied"},

		{"a bucket name that S3 refuses", func(t *testing.T, m *machine) result { return m.run("bucket", "create", "My_Bucket") },
			2, `...bucket name "My_Bucket": use a-z, 0-9, hyphens and single dots: invalid`},
		{"a bucket twice", func(t *testing.T, m *machine) result {
			m.ok("bucket", "create", "box")
			return m.run("bucket", "create", "box")
		}, 3, "bucket box: ...bucket exists already: precondition failed"},
		{"a bucket that is not there", func(t *testing.T, m *machine) result { return m.run("bucket", "rm", "nothing-here") },
			4, "bucket nothing-here: ...does not exist"},
		{"a key for a bucket that is not there", func(t *testing.T, m *machine) result {
			return m.run("access", "create", "--write", "cahce")
		}, 4, "bucket cahce: ...does not exist; `cairn bucket create cahce` makes it"},
		{"a key for nothing", func(t *testing.T, m *machine) result { return m.run("access", "create") },
			2, "an access key needs at least one of --read, --write and --admin; see `cairn help access create`: invalid"},
		{"an access key that is not there", func(t *testing.T, m *machine) result { return m.run("access", "revoke", "CKNOBODY") },
			4, "access key CKNOBODY: ...does not exist; `cairn access list` shows them"},
		{"an object that is not there", func(t *testing.T, m *machine) result {
			m.ok("bucket", "create", "box")
			return m.run("locate", "box/none")
		}, 4, "box/none: ...does not exist"},
		{"an object without a bucket", func(t *testing.T, m *machine) result { return m.run("locate", "none") },
			2, "\"none\" is no BUCKET/KEY; see `cairn help locate`: invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newStore(t, "")
			r := c.do(t, m)
			got := strings.ReplaceAll(r.err, m.root, "ROOT")
			if r.status != c.status || r.out != "" || !fits("cairn: "+c.line+"\n", got) {
				t.Errorf("status %d, stdout %q, stderr\n%swant status %d and\ncairn: %s", r.status, r.out, got, c.status, c.line)
			}
			if strings.Contains(r.err, "hunter2") {
				t.Error("a password is repeated")
			}
		})
	}
}

// fits reports whether text is the pattern, in which "..." stands for any words
// of the same line.
func fits(pattern, text string) bool {
	parts := strings.Split(pattern, "...")
	if !strings.HasPrefix(text, parts[0]) || strings.Count(text, "\n") != 1 {
		return false
	}
	text = text[len(parts[0]):]
	for i, part := range parts[1:] {
		at := strings.Index(text, part)
		if i == len(parts)-2 {
			at = strings.LastIndex(text, part)
			return at >= 0 && text[at:] == part
		}
		if at < 0 {
			return false
		}
		text = text[at+len(part):]
	}
	return text == ""
}

func TestFits(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"a\n", "a\n", true}, {"a\n", "ab\n", false}, {"a...c\n", "abc\n", true}, {"a...c\n", "abd\n", false},
		{"...c\n", "abc\n", true}, {"a...b...\n", "a b c\n", true}, {"a...b...c\n", "a c\n", false}, {"a...\n", "a\nb\n", false},
	} {
		if fits(c.pattern, c.text) != c.want {
			t.Errorf("%q %q: want %v", c.pattern, c.text, c.want)
		}
	}
}

// stranger is an SFTP server that does not know this gateway, and its host key.
func stranger(t *testing.T) (address, hostKey string) {
	t.Helper()
	host, err := contribute.NewKey()
	must(t, err)
	friend, err := contribute.NewKey()
	must(t, err)
	s, err := contribute.New(contribute.Config{Dir: t.TempDir(), HostKey: host.Signer, Authorized: []ssh.PublicKey{friend.Public()}})
	must(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(ctx, ln); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return ln.Addr().String(), host.Fingerprint()
}

// TestNothingHalfMade: a refused verb leaves the machine as it was.
func TestNothingHalfMade(t *testing.T) {
	m := newStore(t, "")
	for _, args := range [][]string{
		{"init", "--dir", m.path("new"), "--recipient", "nobody"},
		{"init", "--dir", m.path("new"), "--owner", m.path("state/identity")},
		{"node", "add", "local:" + m.path("new"), "--name", "Bad Name"},
		{"node", "add", "sftp://u@127.0.0.1:1/x", "--host-key", pin},
	} {
		if r := m.run(args...); r.status == 0 {
			t.Errorf("cairn %s worked", strings.Join(args, " "))
		}
	}
	left, err := filepath.Glob(m.path("new/*"))
	must(t, err)
	for _, name := range left {
		if filepath.Base(name) != "lock" {
			t.Errorf("left behind: %s", name)
		}
	}
	if l := jsonOf[nodeList](m, "node", "list"); len(l.Nodes) != 0 {
		t.Errorf("recorded: %+v", l.Nodes)
	}
	st := jsonOf[engine.Status](m, "status")
	if st.State != engine.Local {
		t.Errorf("status: %+v", st)
	}
}
