package main

import (
	"context"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/cairn-storage/cairn/contribute"
)

// friend is an SFTP server of somebody else: cairn's own, over a directory of
// its own.
type friend struct{ remote, hostKey string }

// befriend serves a directory to whom lines of authorized_keys name, until the
// test ends.
func befriend(t *testing.T, lines []string) friend {
	t.Helper()
	keys, err := contribute.ParseAuthorizedKeys([]byte(strings.Join(lines, "\n")))
	must(t, err)
	host, err := contribute.NewKey()
	must(t, err)
	s, err := contribute.New(contribute.Config{Dir: t.TempDir(), HostKey: host.Signer, Authorized: keys})
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
	return friend{"sftp://cairn@" + ln.Addr().String() + "/", host.Fingerprint()}
}

// Promise 4 with nothing but an owner's identity and the address of one cairn
// node: nodes admit the owners beside the gateway, by the lines that init (or
// cairn status) prints, and the keys of those are all that is left.
func TestHazardA10RecoverLogsInWithTheOwnersKey(t *testing.T) {
	tom, tomFile := newSSHKey(t)
	for _, c := range []struct {
		name     string
		init     []string
		identity string            // of those who recover, below the machine's root
		files    map[string]string // written before
		more     func(st sshStatus) []string
	}{
		{"the recovery key in the identity that init made", nil, "owner", nil, nil},
		{"an owner who is an SSH key", []string{"--recipient", tom}, "tom", map[string]string{"tom": tomFile},
			func(st sshStatus) []string { return []string{"--store", st.StoreID, "--gateway", st.GatewayKey} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, "")
			for name, text := range c.files {
				m.secret(name, text)
			}
			made := jsonOf[struct {
				AuthorizedKeys []string `json:"authorized_keys"`
			}](m, append([]string{"init", "--owner", m.path("owner")}, c.init...)...)
			if len(made.AuthorizedKeys) != 2 {
				t.Fatalf("a node is to admit %q, want the gateway and the owner", made.AuthorizedKeys)
			}
			b := &burning{machine: m, objects: make(map[string]string)}
			var friends []friend
			for _, name := range []string{"alice", "bob", "carol"} {
				f := befriend(t, made.AuthorizedKeys)
				m.ok("node", "add", f.remote, "--name", name, "--host-key", f.hostKey, "--no-checks")
				friends = append(friends, f)
			}
			s := m.serve()
			m.ok("bucket", "create", "cache")
			b.key = jsonOf[access](m, "access", "create", "--write", "cache")
			b.put(s, "early", 10)
			m.ok("key", "rotate") // ends with a checkpoint
			b.put(s, "late", 10)
			m.ok("flush")
			st := jsonOf[sshStatus](m, "status")
			s.end(t)
			b.burn()

			args := []string{"recover", "--from", friends[1].remote, "--host-key", friends[1].hostKey, "--identity", m.path(c.identity), "--takeover"}
			if c.more != nil {
				args = append(args, c.more(st)...)
			}
			out := m.ok(args...)
			for _, want := range []string{"3 of 3 answer", "loss    everything spread is here", "Ready in "} {
				if !strings.Contains(out, want) {
					t.Errorf("recover does not say %q:\n%s", want, out)
				}
			}
			s = m.serve()
			b.exact(s)
			b.put(s, "new", 3) // nodes admit the gateway that came after, too
			m.ok("flush")
			b.exact(s)
			s.end(t)
		})
	}
}

type sshStatus struct {
	StoreID    string `json:"store_id"`
	GatewayKey string `json:"gateway_key"`
}

// A node that admits the gateway alone lets no owner in, and recover says what
// is to be done there.
func TestRecoverFromANodeThatAdmitsOnlyTheGateway(t *testing.T) {
	m := newMachine(t, "")
	made := jsonOf[struct {
		AuthorizedKey string `json:"authorized_key"`
	}](m, "init", "--owner", m.path("owner"))
	f := befriend(t, []string{made.AuthorizedKey})
	m.ok("node", "add", f.remote, "--name", "alice", "--host-key", f.hostKey, "--no-checks")
	m.ok("key", "kit", "--out", m.path("kit.age"))
	must(t, os.RemoveAll(m.path("state")))
	if r := m.run("recover", "--from", f.remote, "--host-key", f.hostKey, "--identity", m.path("owner"), "--takeover"); r.status != 8 || !strings.Contains(r.err, "authorized_keys") {
		t.Errorf("a node that does not know the owner: %+v", r)
	}
	// The kit holds the gateway's own key, which it does admit.
	m.ok("recover", "--kit", m.path("kit.age"), "--identity", m.path("owner"), "--takeover")
}

// Two gateways of one store: the second needs a person's word while the first
// lives, and the first stops writing when it sees the second, and says so.
func TestHazardB14ALivingGatewayIsTakenOver(t *testing.T) {
	b := newBurning(t, "")
	old := b.serve()
	b.put(old, "living", 5)
	b.ok("flush")

	// Another machine, with the kit and the identity.
	next := &burning{machine: newMachine(t, ""), key: b.key, objects: b.objects}
	args := []string{"recover", "--kit", b.path("kit.age"), "--identity", b.path("owner")}
	r := next.run(args...)
	if r.status != 3 || !strings.Contains(r.err, "the old gateway may be alive") || !strings.Contains(r.err, "--takeover") {
		t.Fatalf("beside a living gateway: %+v", r)
	}
	if _, err := os.Stat(next.path("state/secrets")); err == nil {
		t.Fatal("what was refused left a store")
	}
	b.put(old, "still", 3)
	b.ok("flush") // nothing happened to it
	next.ok(append(args, "--takeover")...)
	s := next.serve()
	next.exact(s)

	// The old one is told by the first node that it looks at.
	if r := b.run("key", "kit", "--out", b.path("another.age")); r.status != 10 {
		t.Errorf("the old gateway: %+v, want exit status 10", r)
	}
	for _, args := range [][]string{{"flush"}, {"bucket", "create", "other"}, {"node", "set", "alice", "--site", "attic"}} {
		r := b.run(args...)
		if r.status != 10 || !strings.Contains(r.err, "another gateway") {
			t.Errorf("the old gateway, cairn %s: %+v, want exit status 10 and the other named", strings.Join(args, " "), r)
		}
	}
	client := s3{t, old.Endpoint, b.key.ID, b.key.Secret}
	if status, answer := client.do("PUT", "/cache/late/1", "x"); status < 500 {
		t.Errorf("a write to the old gateway: %d %s", status, answer)
	}
	out := b.run("status")
	if !strings.Contains(out.out, "another gateway") {
		t.Errorf("status of the old gateway:\n%s%s", out.out, out.err)
	}
	if r := old.stop(); r.status != 10 || !strings.Contains(r.err, "another gateway") {
		t.Errorf("the old gateway ended: %+v, want exit status 10", r)
	}
	// And the new one goes on.
	next.put(s, "new", 5)
	next.ok("flush")
	next.exact(s)
	s.end(t)
}
