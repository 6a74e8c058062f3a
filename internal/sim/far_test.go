package sim_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/sftp"
	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/contribute"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/netfault"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store"
	"golang.org/x/crypto/ssh"
)

// far is a store whose nodes are real SFTP servers at the end of long lines.
type far struct {
	t     *testing.T
	id    cairn.StoreID
	gate  crypt.Identity
	own   contribute.Key
	disk  *durable.Mem
	nodes []*farNode

	fleet *fleet.Fleet
	store *store.Store
}

type farNode struct {
	pack.Node
	host contribute.Key
	line *netfault.Line
	*requests
}

// requests counts what a node was asked.
type requests struct {
	mu     sync.Mutex
	counts map[string]int // by operation; guarded by mu
}

func (r *requests) Before(_ context.Context, op, _ string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[op]++
	return nil
}

func (r *requests) Data(string, int64, []byte) {}

const near = time.Millisecond // a turn while nothing is measured

// newFar makes a store of n nodes within a synctest bubble.
func newFar(t *testing.T, n int) *far {
	f := &far{t: t, id: cairn.StoreID{1, 2, 3}, disk: durable.NewMem()}
	var err error
	f.gate, err = crypt.NewIdentity(crypt.Gateway, f.id, rand.NewChaCha8([32]byte{7}))
	must(t, err)
	f.own, err = contribute.NewKey()
	must(t, err)
	for i := range n {
		f.addNode(i)
	}
	f.open()
	for _, n := range f.nodes {
		must(t, f.store.SetNode(t.Context(), n.Node))
	}
	must(t, f.store.CreateBucket(t.Context(), "bbb"))
	return f
}

func (f *far) addNode(i int) {
	host, err := contribute.NewKey()
	must(f.t, err)
	n := &farNode{host: host, line: netfault.NewLine(near), requests: &requests{counts: make(map[string]int)}}
	n.Node = pack.Node{ID: cairn.NodeID{byte(i + 1)}, Name: fmt.Sprint("n", i+1), Operator: fmt.Sprint("op", i+1), Remote: fmt.Sprint("line:", i), State: "ok"}
	dir := f.t.TempDir()
	marker, err := layout.Marker{Version: layout.MarkerVersion, Store: f.id, Node: n.ID}.Encode()
	must(f.t, err)
	must(f.t, os.WriteFile(filepath.Join(dir, layout.MarkerName), marker, 0o600))
	server, err := contribute.New(contribute.Config{Dir: dir, HostKey: host.Signer, Authorized: []ssh.PublicKey{f.own.Public()}, Tap: n.requests})
	must(f.t, err)
	ctx, cancel := context.WithCancel(f.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, n.line) }()
	f.t.Cleanup(func() {
		cancel()
		must(f.t, n.line.Close())
		must(f.t, <-ended)
	})
	f.nodes = append(f.nodes, n)
}

// open starts the gateway and waits until it is connected to all nodes.
func (f *far) open() {
	ca, err := cache.New(cache.Config{MemoryBytes: 64 << 20})
	must(f.t, err)
	f.fleet, err = fleet.New(f.t.Context(), fleet.Config{Store: f.id, Cache: ca, Open: f.connect,
		Trust: pack.Trust(crypt.TrustKeys(f.id, f.gate.Sign().Public()))})
	must(f.t, err)
	f.store, err = store.Open(f.t.Context(), store.Config{FS: f.disk, Dir: "/s", Nodes: f.fleet, Store: f.id,
		Epochs: map[uint32]crypt.EpochKey{1: {9}}, Epoch: 1, Sign: f.gate.Sign(), Box: f.gate.Secrets(), FlushAge: time.Hour, Settle: time.Millisecond, IndexCache: 1 << 20})
	must(f.t, err)
	f.rest(5 * time.Second)
}

// connect is the remote of a node as the product stacks it.
func (f *far) connect(ctx context.Context, p pack.Node) (backends.Remote, error) {
	for _, n := range f.nodes {
		if n.ID != p.ID {
			continue
		}
		var r backends.Remote
		r, err := sftp.Open(ctx, sftp.Config{Node: n.Name, Address: "line:22", User: "cairn", Key: f.own.Signer, HostKey: n.host.Fingerprint(), Dial: n.line.Dial})
		if err != nil {
			return nil, err
		}
		r = backends.Guard(r, backends.Bounds{})
		r = backends.Deadline(r, backends.DeadlineConfig{})
		r = backends.Limit(r, 16)
		return backends.Meter(backends.Retry(r, backends.RetryConfig{}), n.Name, nil), nil
	}
	return nil, cairn.ErrUnavailable
}

func (f *far) close() {
	must(f.t, f.store.Close(f.t.Context()))
	must(f.t, f.fleet.Close())
}

// rest lets simulated time pass and then waits until everything rests.
func (f *far) rest(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (f *far) setTurn(d time.Duration) {
	for _, n := range f.nodes {
		n.line.SetTurn(d)
	}
}

// asked returns what all nodes were asked since the last time.
func (f *far) asked() map[string]int {
	sum := make(map[string]int)
	for _, n := range f.nodes {
		n.mu.Lock()
		for op, c := range n.counts {
			sum[op] += c
		}
		clear(n.counts)
		n.mu.Unlock()
	}
	return sum
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
