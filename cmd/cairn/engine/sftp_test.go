package engine

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/contribute"
	"golang.org/x/crypto/ssh"
)

// friend is an SFTP server of somebody else, on a port of this machine.
type friend struct {
	dir, address string
	host         contribute.Key
}

// newFriend serves a fresh directory to the holders of keys until the test
// ends.
func newFriend(t testing.TB, keys ...ssh.PublicKey) *friend {
	t.Helper()
	host, err := contribute.NewKey()
	must(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	f := &friend{dir: t.TempDir(), address: ln.Addr().String(), host: host}
	s, err := contribute.New(contribute.Config{Dir: f.dir, HostKey: host.Signer, Authorized: keys})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(ctx, ln); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return f
}

func (f *friend) remote() string { return "sftp://cairn@" + f.address + "/" }

func ownPublic(t testing.TB, e *Engine) ssh.PublicKey {
	t.Helper()
	s, err := sshKey(e.c.Identity)
	must(t, err)
	return s.PublicKey()
}

func TestSFTPNodeWithTheGatewaysOwnKey(t *testing.T) {
	h := newHome(t)
	e := h.open()
	defer shut(t, e)
	f := newFriend(t, ownPublic(t, e))
	_, err := e.AddNode(t.Context(), NodeSpec{Name: "bob", Remote: f.remote(), AcceptNew: true, SkipChecks: true}, nil)
	must(t, err)
	var lines []string
	report, err := e.CheckNode(t.Context(), "bob", false, func(s string) { lines = append(lines, s) })
	must(t, err)
	must(t, report.Failed())
	if report.Kind != "sftp" || report.HostKey != f.host.Fingerprint() || report.Passed() != report.Of || len(lines) < report.Of {
		t.Errorf("%d lines of progress, report: %+v", len(lines), report)
	}
	if b, err := os.ReadFile(filepath.Join(f.dir, "STATUS.txt")); err != nil || !strings.Contains(string(b), "node bob was checked: it keeps") {
		t.Errorf("STATUS.txt says %q, %v", b, err)
	}
	n, err := e.Store.Node("bob")
	must(t, err)
	if n.HostKey != f.host.Fingerprint() || len(n.Credential) != 0 {
		t.Errorf("record: %+v", n)
	}
	must(t, e.Store.CreateBucket(t.Context(), "box"))
	must(t, e.Store.Flush(t.Context()))
	if shards, _ := filepath.Glob(filepath.Join(f.dir, "packs/*/*/*/*/*")); len(shards) == 0 {
		t.Error("no shard came to the node")
	}
}

func TestSFTPNodeWithItsOwnKey(t *testing.T) {
	key, err := contribute.NewKey()
	must(t, err)
	pem, err := key.PEM("carol")
	must(t, err)
	h := newHome(t)
	e := h.open()
	f := newFriend(t, key.Public())
	_, err = e.AddNode(t.Context(), NodeSpec{Name: "carol", Remote: f.remote() + "made/by/it", HostKey: f.host.Fingerprint(), Key: string(pem), SkipChecks: true}, nil)
	must(t, err)
	shut(t, e)

	// A new process opens the credential from the record.
	e = h.open()
	defer shut(t, e)
	must(t, e.Store.CreateBucket(t.Context(), "box"))
	must(t, e.Store.Flush(t.Context()))
	must(t, filepath.WalkDir(h.root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), "OPENSSH PRIVATE KEY") {
			t.Errorf("%s holds the node's key in the clear", path)
		}
		return err
	}))
}

func TestSFTPNodeRefuses(t *testing.T) {
	stranger, err := contribute.NewKey()
	must(t, err)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer silent.Close()
	h := newHome(t)
	e := h.open()
	defer shut(t, e)
	e.c.Connect = 300 * time.Millisecond
	welcome, closed := newFriend(t, ownPublic(t, e)), newFriend(t, stranger.Public())
	for _, c := range []struct {
		name  string
		spec  NodeSpec
		class error
		says  []string
	}{
		{"a host key nobody pinned", NodeSpec{Remote: welcome.remote()}, cairn.ErrDenied, []string{welcome.host.Fingerprint(), "--host-key"}},
		{"another host key than pinned", NodeSpec{Remote: welcome.remote(), HostKey: stranger.Fingerprint()}, cairn.ErrDenied, []string{"host key", stranger.Fingerprint()}},
		{"a server that does not know the gateway", NodeSpec{Remote: closed.remote(), AcceptNew: true}, cairn.ErrDenied, []string{"authorized_keys", e.AuthorizedKey()}},
		{"a server that says nothing", NodeSpec{Remote: "sftp://u@" + silent.Addr().String() + "/x", HostKey: stranger.Fingerprint()}, cairn.ErrUnavailable, []string{"sftp://u@127.0.0.1"}},
		{"a port nobody listens at", NodeSpec{Remote: "sftp://u@127.0.0.1:1/x", HostKey: stranger.Fingerprint()}, cairn.ErrUnavailable, []string{"refused"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.spec.Name = "bob"
			_, err := e.AddNode(t.Context(), c.spec, nil)
			wantErr(t, err, c.class, c.says...)
		})
	}
	if nodes, err := e.Store.Nodes(); err != nil || len(nodes) > 0 {
		t.Errorf("recorded: %v %v", nodes, err)
	}
}

func TestSFTPNodeChangesItsHostKey(t *testing.T) {
	h := newHome(t)
	e := h.open()
	defer shut(t, e)
	f := newFriend(t, ownPublic(t, e))
	_, err := e.AddNode(t.Context(), NodeSpec{Name: "bob", Remote: f.remote(), AcceptNew: true, SkipChecks: true}, nil)
	must(t, err)
	moved := newFriend(t, ownPublic(t, e))
	must(t, os.CopyFS(moved.dir, os.DirFS(f.dir)))
	remote, key := moved.remote(), moved.host.Fingerprint()
	_, err = e.SetNode(t.Context(), "bob", NodeChange{Remote: &remote})
	wantErr(t, err, cairn.ErrDenied, "host key", "stays as it was")
	_, err = e.SetNode(t.Context(), "bob", NodeChange{Remote: &remote, HostKey: &key})
	must(t, err)
}
