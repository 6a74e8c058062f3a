package main

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/contribute"
	"github.com/cairn-storage/cairn/internal/race"
)

// burning is a store with nodes and objects, whose gateway is about to burn.
type burning struct {
	*machine
	key     access
	objects map[string]string // path: body
	nodes   []string
}

// newBurning has five nodes; everything is flushed, and some of it is in a
// checkpoint.
func newBurning(t *testing.T, more string, initArgs ...string) *burning {
	t.Helper()
	return newBurningOn(t, newMachine(t, ""), more, initArgs...)
}

func newBurningOn(t *testing.T, m *machine, more string, initArgs ...string) *burning {
	t.Helper()
	m.configure(fmt.Sprintf("kit = %q\n", m.path("kit.age")) + more)
	m.ok(append([]string{"init", "--owner", m.path("owner")}, initArgs...)...)
	b := &burning{machine: m, objects: make(map[string]string), nodes: []string{"alice", "bob", "carol", "dora", "erik"}}
	for _, name := range b.nodes {
		m.ok("node", "add", "local:"+m.path(name), "--no-checks")
	}
	s := m.serve()
	for kept := func() bool { return jsonOf[engine.Status](m, "status").Recoverable.Kept[0].Bytes > 0 }; more != "" && !kept(); {
		// what [[keep]] names is stored in a moment
	}
	m.ok("bucket", "create", "cache")
	b.key = jsonOf[access](m, "access", "create", "--write", "cache")
	b.put(s, "early", 30)
	m.ok("flush")
	m.ok("key", "rotate") // ends with a checkpoint
	b.put(s, "late", 20)
	m.ok("flush")
	s.end(t)
	return b
}

func (s *serving) end(t *testing.T) {
	t.Helper()
	http.DefaultClient.CloseIdleConnections()
	if r := s.stop(); r.status != 0 && r.status != 130 {
		t.Fatalf("serve ended: %+v", r)
	}
}

func (b *burning) put(s *serving, prefix string, n int) {
	b.t.Helper()
	client := s3{b.t, s.Endpoint, b.key.ID, b.key.Secret}
	for i := range n {
		name := fmt.Sprintf("/cache/%s/%d", prefix, i)
		body := strings.Repeat(fmt.Sprintf("%s %d. ", prefix, i), 1+i*200)
		if status, answer := client.do("PUT", name, body); status != 200 {
			b.t.Fatalf("put %s: %d %s", name, status, answer)
		}
		b.objects[name] = body
	}
}

// burn leaves the nodes, the kit and the owner's identity.
func (b *burning) burn() {
	b.t.Helper()
	must(b.t, os.RemoveAll(b.path("state")))
}

// exact fails unless every object is served as it was put, to the same key.
func (b *burning) exact(s *serving) {
	b.t.Helper()
	client := s3{b.t, s.Endpoint, b.key.ID, b.key.Secret}
	for name, want := range b.objects {
		if status, got := client.do("GET", name, ""); status != 200 || got != want {
			b.t.Errorf("%s: %d, %d bytes, want %d", name, status, len(got), len(want))
		}
	}
}

// listing is every file of every node with its size and time.
func (b *burning) listing() string {
	b.t.Helper()
	var out strings.Builder
	for _, n := range b.nodes {
		must(b.t, filepath.WalkDir(b.path(n), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			fmt.Fprintln(&out, path, info.Size(), info.ModTime())
			return err
		}))
	}
	return out.String()
}

func TestGatewayBurnsAndComesBackByKitAndIdentity(t *testing.T) {
	b := newBurning(t, "[[keep]]\nname = \"attic\"\ncommand = [\"echo\", \"a dump\"]\n")
	b.burn()

	// A rehearsal first: it finds everything and writes nothing to any node.
	before := b.listing()
	out := b.ok("recover", "--rehearse", "--kit", b.path("kit.age"), "--identity", b.path("owner"))
	for _, want := range []string{"kit     ", "5 nodes", "nodes   5 of 5 answer", "Newest root ", "index   51 objects", "2 buckets, 1 access key, 5 nodes", "51 of 51 read at random are exact"} {
		if !strings.Contains(out, want) {
			t.Errorf("a rehearsal does not say %q:\n%s", want, out)
		}
	}
	if after := b.listing(); after != before {
		t.Errorf("the rehearsal changed the nodes:\n%s\nbefore:\n%s", after, before)
	}

	// The last root is young: the gateway may be alive.
	r := b.run("recover", "--kit", b.path("kit.age"), "--identity", b.path("owner"))
	if r.status != 3 || !strings.Contains(r.err, "--takeover") || !strings.Contains(r.err, "old gateway may be alive") {
		t.Fatalf("without --takeover: %+v", r)
	}
	out = b.ok("recover", "--kit", b.path("kit.age"), "--identity", b.path("owner"), "--takeover")
	for _, want := range []string{"index   51 objects", "kept: attic of ", "loss    everything spread is here", "Ready in ", "cairn serve"} {
		if !strings.Contains(out, want) {
			t.Errorf("a recovery does not say %q:\n%s", want, out)
		}
	}
	if kept, err := os.ReadFile(b.path("state/kept/attic")); err != nil || string(kept) != "a dump\n" {
		t.Errorf("what was kept: %q, %v", kept, err)
	}
	if r := b.run("recover", "--kit", b.path("kit.age"), "--identity", b.path("owner"), "--takeover"); r.status != 3 || !strings.Contains(r.err, "holds a store already") {
		t.Errorf("once more into the same directory: %+v", r)
	}
	s := b.serve()
	b.exact(s)
	b.put(s, "new", 5)
	b.ok("flush")
	b.exact(s)
	type report struct{ engine.Status }
	if st := jsonOf[report](b.machine, "status"); len(st.Nodes) != 5 || len(st.Recoverable.Forks) > 0 || st.State != engine.Whole || st.Recoverable.Kit.Stale {
		t.Errorf("status: %+v", st.Status)
	}
	s.end(t)
	b.ok("recover", "--rehearse", "--kit", b.path("kit.age"), "--identity", b.path("owner"))
	if r := jsonOf[report](b.machine, "status").Recoverable.Rehearsed; r == nil || r.Failed != 0 || r.Objects != 56 {
		t.Errorf("status remembers the rehearsal as %+v", r)
	}

	// And once more, from the kit that the new gateway wrote.
	b.burn()
	b.ok("recover", "--kit", b.path("kit.age"), "--identity", b.path("owner"), "--takeover", "--json")
	s = b.serve()
	b.exact(s)
	s.end(t)
}

// Owners are a list: anyone of them recovers, with a key of their own too, and
// nobody else.
func TestEveryOwnerRecoversAndNobodyElse(t *testing.T) {
	mia, err := age.GenerateX25519Identity()
	must(t, err)
	tom, tomFile := newSSHKey(t)
	b := newBurning(t, "", "--recipient", mia.Recipient().String())
	type full struct {
		StoreID string `json:"store_id"`
		Key     string `json:"gateway_key"`
	}
	st := jsonOf[full](b.machine, "status")
	b.ok("key", "recipients", "add", tom)
	if r := b.run("key", "recipients", "add", tom); r.status != 3 || !strings.Contains(r.err, "is an owner already") {
		t.Errorf("the same owner twice: %+v", r)
	}
	if out := b.ok("key", "recipients", "list"); out != mia.Recipient().String()+"\n"+tom+"\n" {
		t.Errorf("owners:\n%s", out)
	}
	kit, err := os.ReadFile(b.path("kit.age"))
	must(t, err)
	b.secret("mia", mia.String()+"\n")
	b.secret("tom", tomFile)
	eve, err := age.GenerateX25519Identity()
	must(t, err)
	b.secret("eve", eve.String()+"\n")
	b.burn()
	if r := b.run("recover", "--kit", b.path("kit.age"), "--identity", b.path("eve"), "--takeover"); r.status != 8 || !strings.Contains(r.err, "made for other owners") {
		t.Errorf("by a stranger: %+v", r)
	}
	// Without the kit an owner with a key of their own says whose word counts.
	r := b.run("recover", "--from", "local:"+b.path("bob"), "--identity", b.path("mia"), "--takeover")
	if r.status != 2 {
		t.Errorf("without kit, store and gateway: %+v", r)
	}
	b.ok("recover", "--from", "local:"+b.path("bob"), "--identity", b.path("mia"), "--takeover", "--store", st.StoreID, "--gateway", st.Key)
	b.burn()
	must(t, os.WriteFile(b.path("kit.age"), kit, 0o600)) // the first one: whoever took over is not in it
	for _, who := range []string{"tom", "mia"} {
		b.ok("recover", "--kit", b.path("kit.age"), "--identity", b.path(who), "--takeover")
		s := b.serve()
		b.exact(s)
		s.end(t)
		b.burn()
	}
}

// From the address of one node the owner's identity finds all others.
func TestRecoverFromOneNode(t *testing.T) {
	b := newBurning(t, "")
	b.burn()
	must(t, os.Remove(b.path("kit.age")))
	must(t, os.RemoveAll(b.path("dora"))) // any one may be away for good
	other := b.path("owner-of-another-store")
	m := newMachine(t, "")
	m.ok("init", "--owner", other)
	if r := b.run("recover", "--from", "local:"+b.path("bob"), "--identity", other, "--takeover"); r.status == 0 || !strings.Contains(r.err, "it is a node of store") {
		t.Errorf("with the identity of another store: %+v", r)
	}
	out := b.ok("recover", "--from", "local:"+b.path("bob"), "--identity", b.path("owner"), "--takeover")
	if !strings.Contains(out, "4 of 5 answer (dora: ") {
		t.Errorf("recover:\n%s", out)
	}
	s := b.serve()
	b.exact(s)
	s.end(t)
	if _, err := os.Stat(b.path("kit.age")); err != nil {
		t.Errorf("the new gateway wrote no kit: %v", err)
	}
}

func TestIdentityWithPassphrase(t *testing.T) {
	m := newMachine(t, "")
	m.secret("words", "six random words are enough\n")
	m.secret("wrong", "five random words are not\n")
	if r := m.run("init", "--owner", m.path("owner"), "--passphrase-file", m.path("wrong"), "--recipient", "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"); r.status != 2 {
		t.Errorf("a passphrase for a recipient: %+v", r)
	}
	if !race.On {
		m.ok("init", "--owner", m.path("owner"), "--passphrase-file", m.path("words"))
	} else { // each try of a passphrase then takes many seconds
		m.ok("init", "--owner", m.path("owner"))
		plain, err := os.ReadFile(m.path("owner"))
		must(t, err)
		locked, err := engine.LockFile(plain, "six random words are enough", 10)
		must(t, err)
		must(t, os.WriteFile(m.path("owner"), locked, 0o600))
	}
	if b, err := os.ReadFile(m.path("owner")); err != nil || strings.Contains(string(b), "AGE-SECRET-KEY") || !strings.HasPrefix(string(b), "-----BEGIN AGE ENCRYPTED FILE-----") {
		t.Fatalf("the owner's file is not locked: %v %.40q", err, b)
	}
	m.ok("node", "add", "local:"+m.path("alice"), "--no-checks")
	m.ok("key", "kit", "--out", m.path("kit.age"))
	must(t, os.RemoveAll(m.path("state")))
	recoverAs := func(file string) result {
		return m.run("recover", "--kit", m.path("kit.age"), "--identity", m.path("owner"), "--takeover", "--passphrase-file", m.path(file))
	}
	if r := recoverAs("wrong"); r.status != 8 || !strings.Contains(r.err, "passphrase is wrong") {
		t.Errorf("another passphrase: %+v", r)
	}
	if r := m.run("recover", "--kit", m.path("kit.age"), "--identity", m.path("owner"), "--takeover"); r.status != 2 || !strings.Contains(r.err, "--passphrase-file") {
		t.Errorf("nobody to ask: %+v", r)
	}
	if r := recoverAs("words"); r.status != 0 {
		t.Errorf("with the passphrase: %+v", r)
	}
}

func (m *machine) secret(name, text string) {
	m.t.Helper()
	must(m.t, os.WriteFile(m.path(name), []byte(text), 0o600))
}

// newSSHKey is an ssh-ed25519 line and its private key file.
func newSSHKey(t *testing.T) (public, file string) {
	t.Helper()
	key, err := contribute.NewKey()
	must(t, err)
	pem, err := key.PEM("tom")
	must(t, err)
	return strings.TrimSpace(contribute.AuthorizedKey(key.Public(), "")), string(pem)
}
