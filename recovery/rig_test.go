package recovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

var testStore = cairn.StoreID{0xc0, 0xff, 0xee}

// chance repeats itself for each seed.
func chance(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

// gate is one gateway's secrets.
type gate struct {
	id         crypt.Identity
	delegation []byte
	number     uint64
}

// world is a store: its owner, its first gateway and its nodes, seen as one of
// its gateways sees them.
type world struct {
	tb    testing.TB
	owner crypt.Identity
	gate  gate
	key   crypt.EpochKey
	keys  []KeysFile
	plain string // recipient of an owner without an identity of cairn's; may be empty
	nodes []*testNode
	log   *logged
	nodesDouble
}

// testNode is a node in memory that misbehaves as told.
type testNode struct {
	pack.Node
	mem    *backendtest.Mem
	faulty *backendtest.Faulty
}

// nodesDouble stands in for package fleet.
type nodesDouble struct {
	mu      sync.Mutex
	members []*testNode
	admits  map[cairn.NodeID]bool
	why     map[cairn.NodeID]string
	changed chan struct{}
}

func newWorld(tb testing.TB, nodes int) *world {
	tb.Helper()
	w := &world{tb: tb, key: crypt.EpochKey{1, 2, 3}, log: &logged{}}
	w.nodesDouble.changed = make(chan struct{})
	w.nodesDouble.admits, w.nodesDouble.why = make(map[cairn.NodeID]bool), make(map[cairn.NodeID]string)
	w.owner = must1(crypt.NewIdentity(crypt.Owner, testStore, chance(1)))(tb)
	w.gate = w.newGate(2, 1)
	w.keys = []KeysFile{w.wrap(1, w.key, w.gate)}
	for range nodes {
		w.addNode()
	}
	w.members = slices.Clone(w.nodes)
	return w
}

// copied is the same store on nodes that hold the same and go on by themselves.
func (w *world) copied() *world {
	out := &world{tb: w.tb, key: w.key, log: &logged{}, owner: w.owner, gate: w.gate, keys: w.keys}
	out.changed = make(chan struct{})
	out.admits, out.why = make(map[cairn.NodeID]bool), make(map[cairn.NodeID]string)
	for _, n := range w.nodes {
		to := out.addNode()
		for _, name := range n.mem.Names() {
			b, _ := n.mem.Bytes(name)
			to.mem.SetBytes(name, b)
		}
	}
	out.members = slices.Clone(out.nodes)
	return out
}

func (w *world) newGate(seed byte, number uint64) gate {
	id := must1(crypt.NewIdentity(crypt.Gateway, testStore, chance(seed)))(w.tb)
	return gate{id, w.delegate(w.owner.Sign(), number, id), number}
}

func (w *world) delegate(by crypt.SigningKey, number uint64, id crypt.Identity) []byte {
	p := id.Public()
	d := must1(crypt.Delegate(by, testStore, number, p.Sign, p.Recipient))(w.tb)
	return d.Encode()
}

func (w *world) wrap(epoch uint32, key crypt.EpochKey, by gate) KeysFile {
	b := must1(crypt.WrapEpoch(key, epoch, testStore, []string{by.id.Public().Recipient, w.owner.Public().Recipient}, by.id.Sign()))(w.tb)
	return KeysFile{layout.KeyPath(epoch, crypt.KeysHash(b)), b}
}

func (w *world) addNode() *testNode {
	i := len(w.nodes) + 1
	n := &testNode{mem: &backendtest.Mem{}}
	n.faulty = backendtest.NewFaulty(n.mem, nil)
	n.Node = pack.Node{ID: cairn.NodeID{byte(i)}, Name: fmt.Sprintf("n%d", i), Operator: fmt.Sprintf("op%d", i), Remote: fmt.Sprintf("mem:%d", i),
		Credential: fmt.Appendf(nil, "password of n%d", i), State: "ok"}
	m := must1(layout.Marker{Version: layout.MarkerVersion, Store: testStore, Node: n.ID}.Encode())(w.tb)
	n.mem.SetBytes(layout.MarkerName, m)
	w.nodes = append(w.nodes, n)
	return n
}

// set makes the fleet consist of nodes.
func (f *nodesDouble) set(nodes ...*testNode) {
	f.mu.Lock()
	f.members = nodes
	f.mu.Unlock()
	f.change()
}

func (f *nodesDouble) change() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *nodesDouble) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

// Each asks for the marker first, as package fleet does.
func (f *nodesDouble) Each(ctx context.Context, do func(context.Context, pack.Node, backends.Remote) error) map[cairn.NodeID]error {
	f.mu.Lock()
	members := f.members
	f.mu.Unlock()
	out := make(map[cairn.NodeID]error)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, n := range members {
		wg.Go(func() {
			_, err := n.faulty.Stat(ctx, layout.MarkerName)
			if err == nil {
				err = do(ctx, n.Node, n.faulty)
			}
			mu.Lock()
			defer mu.Unlock()
			out[n.ID] = err
		})
	}
	wg.Wait()
	return out
}

func (f *nodesDouble) Admit(nodes ...pack.Node) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range nodes {
		for _, m := range f.members {
			if m.ID == n.ID && sameAddress(m.Node, n) {
				f.admits[n.ID] = true
			}
		}
	}
}

func (f *nodesDouble) admitted(n *testNode) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.admits[n.ID]
}

func (f *nodesDouble) Suspect(id cairn.NodeID, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.why[id] = why
}

func (f *nodesDouble) suspected(n *testNode) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.why[n.ID]
}

// config is what gateway g runs with on fs.
func (w *world) config(fs durable.FS, g gate) Config {
	return Config{FS: fs, Dir: "/store", Store: testStore, Nodes: &w.nodesDouble, Sign: g.id.Sign(), Delegation: g.delegation, Recipient: g.id.Public().Recipient,
		Epochs: map[uint32]crypt.EpochKey{1: w.key}, Epoch: 1, Keys: w.keys, Owners: []string{cmpOr(w.plain, w.owner.Public().Recipient)}, Identity: g.id.Encode(),
		Log: slog.New(slog.NewTextHandler(w.log, nil))}
}

// keeper makes a keeper that is closed at the end of the test.
func (w *world) keeper(c Config) *Keeper {
	w.tb.Helper()
	k, err := New(w.tb.Context(), c)
	must(w.tb, err)
	w.tb.Cleanup(func() { _ = k.Close(context.WithoutCancel(w.tb.Context())) })
	return k
}

// name is a change that makes roots name nodes.
func name(nodes ...*testNode) func(*pack.RootBody) {
	return func(b *pack.RootBody) {
		b.Coding = "auto"
		b.Nodes = nil
		for _, n := range nodes {
			b.Nodes = append(b.Nodes, n.Node)
		}
	}
}

// mark is a change that makes a body differ from every other.
func mark(text string) func(*pack.RootBody) {
	return func(b *pack.RootBody) {
		if b.Setting == nil {
			b.Setting = make(map[string]string)
		}
		b.Setting["mark "+text] = text
	}
}

// roots lists the roots on n, by sequence.
func (n *testNode) roots() (all []uint64) {
	for _, name := range n.mem.Names() {
		if seq, _, ok := parseName(strings.TrimPrefix(name, layout.RootsDir+"/")); ok {
			all = append(all, seq)
		}
	}
	slices.Sort(all)
	return all
}

func (n *testNode) hasKeys(f KeysFile) bool {
	b, ok := n.mem.Bytes(f.Path)
	return ok && bytes.Equal(b, f.Data)
}

// plant puts a root there as some gateway would.
func (w *world) plant(n *testNode, g gate, seq uint64, prev crypt.Hash, body pack.RootBody) *rootFile {
	w.tb.Helper()
	f := w.root(g, seq, prev, body)
	n.mem.SetBytes(layout.RootsDir+"/"+f.name(), f.data)
	return f
}

func (w *world) root(g gate, seq uint64, prev crypt.Hash, body pack.RootBody) *rootFile {
	w.tb.Helper()
	r := pack.Root{Store: testStore, Sequence: seq, Prev: prev, Delegation: g.delegation, Signer: g.id.Sign().Public(), Epoch: 1}
	if len(body.Gateways) == 0 {
		body.Gateways = []pack.RootGateway{{Key: r.Signer, Number: g.number, Recipient: g.id.Public().Recipient}}
	}
	data := must1(pack.SealRoot(r, body, w.key, chance(byte(seq)+100), g.id.Sign()))(w.tb)
	return &rootFile{Root: must1(pack.ParseRoot(data))(w.tb), hash: pack.RootHash(data), data: data}
}

// logged keeps what was logged.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// bubble runs test in a synctest bubble over a world of n nodes.
func bubble(t *testing.T, n int, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t, n)) })
}

func wait(d time.Duration) {
	<-time.After(d) // fake: time of the bubble
	synctest.Wait()
}

func wantClass(tb testing.TB, what string, err, class error) {
	tb.Helper()
	if !errors.Is(err, class) {
		tb.Errorf("%s: got %v, want %v", what, err, class)
	}
}

func wantText(tb testing.TB, what string, err error, texts ...string) {
	tb.Helper()
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			tb.Errorf("%s: %v\nwants %q in it", what, err, text)
		}
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func must1[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		must(tb, err)
		return v
	}
}

func state(k *Keeper, n *testNode) NodeStatus {
	for _, s := range k.Status().Nodes {
		if s.ID == n.ID {
			return s
		}
	}
	return NodeStatus{}
}

// candidates is nodes as somebody gives them who knows their addresses only.
func (w *world) candidates(nodes ...*testNode) (all []Candidate) {
	for _, n := range nodes {
		all = append(all, Candidate{Node: pack.Node{Name: n.Name, Remote: n.Remote}, Remote: n.faulty})
	}
	return all
}

// open connects to a node that a kit or a root names, with its credential.
func (w *world) open(_ context.Context, n pack.Node) (backends.Remote, error) {
	for _, o := range w.nodes {
		if o.Remote != n.Remote {
			continue
		}
		if string(o.Credential) != string(n.Credential) {
			return nil, fmt.Errorf("log in: %w", cairn.ErrDenied)
		}
		return o.faulty, nil
	}
	return nil, fmt.Errorf("no such host: %w", cairn.ErrUnavailable)
}

// find is Find that must work, able to open nodes.
func (w *world) find(t *testing.T, c FindConfig) Found {
	t.Helper()
	if c.Open == nil {
		c.Open = w.open
	}
	f, err := Find(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
