package scrub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/erasure"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

var testStore = cairn.StoreID{1, 2, 3}

// rig is a real fleet over nodes in memory that misbehave as told, rows in
// memory, a crashable disk and a clock that counts the bubble's time.
type rig struct {
	tb    testing.TB
	key   crypt.EpochKey
	sign  crypt.SigningKey
	nodes []*rigNode
	rows  *rowStore
	disk  *durable.Mem
	fs    durable.FS
	clock *bubbleClock
	fleet *nodesUnderTest
	packs []*pack.Sealed
	c     Config // of the next Scrub
	*Scrub

	lines   sync.Mutex
	remotes map[cairn.NodeID]*backendtest.Faulty // guarded by lines
}

type rigNode struct {
	pack.Node
	mem    *backendtest.Mem
	faulty *backendtest.Faulty
}

// bubbleClock is observed time: what passed since it was made, and before.
type bubbleClock struct {
	start  time.Time
	before time.Duration
}

func (c *bubbleClock) Now() time.Duration { return c.before + time.Since(c.start) }

// nodesUnderTest is the fleet, with hooks and counts.
type nodesUnderTest struct {
	*fleet.Fleet

	mu       sync.Mutex
	examined []cairn.Location
	removed  []cairn.ShardName
	verified int // calls of Verify
	judged   map[fleet.Outcome]int
	spend    func(cairn.NodeID, int64) error
	alarm    string
	before   func() // an Examine; may be nil
}

func (n *nodesUnderTest) Status() ([]fleet.NodeStatus, string) {
	s, alarm := n.Fleet.Status()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.alarm != "" {
		alarm = n.alarm
	}
	return s, alarm
}

func (n *nodesUnderTest) Examine(ctx context.Context, p pack.Params, l cairn.Location, off, length uint64) (fleet.Moved, error) {
	n.mu.Lock()
	n.examined = append(n.examined, l)
	before := n.before
	n.mu.Unlock()
	if before != nil {
		before()
	}
	return n.Fleet.Examine(ctx, p, l, off, length)
}

func (n *nodesUnderTest) Verify(ctx context.Context, p pack.Params, at []cairn.Location) []cairn.Location {
	n.mu.Lock()
	n.verified++
	n.mu.Unlock()
	return n.Fleet.Verify(ctx, p, at)
}

func (n *nodesUnderTest) Remove(ctx context.Context, id cairn.PackID, l cairn.Location) error {
	n.mu.Lock()
	n.removed = append(n.removed, l.Name(id))
	n.mu.Unlock()
	return n.Fleet.Remove(ctx, id, l)
}

func (n *nodesUnderTest) Spend(ctx context.Context, node cairn.NodeID, bytes int64) error {
	n.mu.Lock()
	spend := n.spend
	n.mu.Unlock()
	if spend != nil {
		return spend(node, bytes)
	}
	return n.Fleet.Spend(ctx, node, bytes)
}

func (n *nodesUnderTest) Judge(id cairn.NodeID, o fleet.Outcome) {
	n.Fleet.Judge(id, o)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.judged == nil {
		n.judged = make(map[fleet.Outcome]int)
	}
	n.judged[o]++
}

func (n *nodesUnderTest) looked() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.examined)
}

// rowStore is the rows of packs, as the store keeps them.
type rowStore struct {
	mu    sync.Mutex
	rows  map[cairn.PackID]index.PackRow
	nodes []pack.Node
	fail  func(op string) error // nil, or asked before each change
}

func (s *rowStore) Packs(above cairn.PackID) iter.Seq2[index.PackRow, error] {
	return func(yield func(index.PackRow, error) bool) {
		s.mu.Lock()
		ids := sortedIDs(s.rows)
		s.mu.Unlock()
		for _, id := range ids {
			if order(id, above) <= 0 {
				continue
			}
			row, err := s.Pack(id)
			if err == nil && !yield(row, nil) {
				return
			}
		}
	}
}

func (s *rowStore) Pack(id cairn.PackID) (index.PackRow, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, ok := s.rows[id]
	if !ok {
		return row, fmt.Errorf("pack %v: %w", id, cairn.ErrNotExist)
	}
	row.At = slices.Clone(row.At)
	return row, nil
}

func (s *rowStore) Placed(id cairn.PackID, change func(*index.PackRow) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, ok := s.rows[id]
	switch {
	case !ok:
		return fmt.Errorf("pack %v: %w", id, cairn.ErrNotExist)
	case row.State != index.Spread:
		return fmt.Errorf("pack %v is %v: %w", id, row.State, cairn.ErrPrecondition)
	}
	if s.fail != nil {
		if err := s.fail("placed"); err != nil {
			return err
		}
	}
	row.At = slices.Clone(row.At)
	if err := change(&row); err != nil {
		return err
	}
	s.rows[id] = row
	return nil
}

func (s *rowStore) Nodes() ([]pack.Node, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.nodes), nil
}

func (s *rowStore) set(id cairn.PackID, change func(*index.PackRow)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.rows[id]
	row.At = slices.Clone(row.At)
	change(&row)
	s.rows[id] = row
}

// newRig makes n nodes of as many operators, and a Scrub over them that has
// listed each once.
func newRig(tb testing.TB, n int) *rig {
	tb.Helper()
	r := &rig{tb: tb, key: crypt.EpochKey{9}, sign: crypt.NewSigningKey([32]byte{7}), disk: durable.NewMem(),
		rows: &rowStore{rows: make(map[cairn.PackID]index.PackRow)}, clock: &bubbleClock{start: time.Now()}}
	r.fs = r.disk
	ca, err := cache.New(cache.Config{})
	must(tb, err)
	f, err := fleet.New(tb.Context(), fleet.Config{Store: testStore, Trust: pack.Trust(crypt.TrustKeys(testStore, r.sign.Public())), Open: r.connect,
		Cache: ca, Watch: 5 * time.Minute, Dice: func(id cairn.PackID) *rand.Rand { return rand.New(rand.NewPCG(id.Seq(), 1)) }})
	must(tb, err)
	r.fleet = &nodesUnderTest{Fleet: f}
	tb.Cleanup(func() { must(tb, f.Close()) })
	for range n {
		r.addNode()
	}
	r.c = Config{Audits: -1}
	r.start()
	return r
}

// start begins another life of the scrub, over what the disk holds.
func (r *rig) start() {
	r.tb.Helper()
	c := r.c
	c.Nodes, c.Store, c.Clock, c.FS, c.Dir = r.fleet, r.rows, r.clock, r.fs, "/scrub"
	s, err := New(r.tb.Context(), c)
	must(r.tb, err)
	r.Scrub = s
}

// listed says that every node was listed, as after the first day.
func (r *rig) listed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.nodes {
		r.memory(n.ID).Listed = moment(r.clock.Now()) + 1
	}
}

func (r *rig) connect(_ context.Context, n pack.Node) (backends.Remote, error) {
	r.lines.Lock()
	defer r.lines.Unlock()
	if f := r.remotes[n.ID]; f != nil {
		return f, nil
	}
	return nil, cairn.ErrUnavailable
}

func (r *rig) addNode() *rigNode {
	i := len(r.nodes)
	mem := &backendtest.Mem{}
	n := &rigNode{mem: mem, faulty: backendtest.NewFaulty(mem, nil)}
	n.Node = pack.Node{ID: cairn.NodeID{byte(i + 1)}, Name: fmt.Sprintf("n%d", i+1), Operator: fmt.Sprintf("op%d", i+1), Remote: fmt.Sprintf("mem:%d", i), State: "ok"}
	n.mount()
	r.nodes = append(r.nodes, n)
	r.lines.Lock()
	if r.remotes == nil {
		r.remotes = make(map[cairn.NodeID]*backendtest.Faulty)
	}
	r.remotes[n.ID] = n.faulty
	r.lines.Unlock()
	r.set()
	return n
}

func (n *rigNode) mount() {
	m, err := layout.Marker{Version: layout.MarkerVersion, Store: testStore, Node: n.ID}.Encode()
	if err != nil {
		panic(err)
	}
	n.mem.SetBytes(layout.MarkerName, m)
}

// set tells the fleet its nodes as they are now.
func (r *rig) set() {
	r.tb.Helper()
	var all []pack.Node
	for _, n := range r.nodes {
		all = append(all, n.Node)
	}
	r.rows.mu.Lock()
	r.rows.nodes = all
	r.rows.mu.Unlock()
	must(r.tb, r.fleet.SetNodes(r.tb.Context(), all))
	r.fleet.Ready(r.tb.Context())
}

func (r *rig) state(n *rigNode, state string) {
	n.Node.State = state
	r.set()
}

func (r *rig) node(id cairn.NodeID) *rigNode {
	return r.nodes[slices.IndexFunc(r.nodes, func(n *rigNode) bool { return n.ID == id })]
}

// spread makes a pack of size bytes stand on the first n nodes, shard i on node
// i+1.
func (r *rig) spread(c string, size int) *pack.Sealed {
	r.tb.Helper()
	code, err := erasure.New(coding(r.tb, c))
	must(r.tb, err)
	seq := uint64(len(r.packs) + 1)
	id := cairn.NewPackID(seq, [10]byte{byte(seq), 5})
	contents := random(seq+1000, pack.MinPadded)
	p := pack.Params{Store: testStore, ID: id, Epoch: 1, Coding: code.Coding(), Length: pack.ShardLength(uint64(size), code.Coding()), Contents: uint32(len(contents))}
	s, err := pack.Seal(code, r.key.Pack(id, p.Prefix), p, random(seq, size), contents, r.sign, seq)
	must(r.tb, err)
	r.packs = append(r.packs, s)
	row := index.PackRow{Params: p, Kind: pack.Data, Bytes: uint32(size), State: index.Spread, SealHash: s.SealHash()}
	for i, f := range s.Files {
		l := cairn.Location{Index: uint8(i), Node: r.nodes[i].ID, Write: uint32(seq)<<8 + uint32(i)}
		r.nodes[i].mem.SetBytes(layout.Path(l.Name(id)), f)
		row.At = append(row.At, l)
	}
	r.rows.set(id, func(o *index.PackRow) { *o = row })
	return s
}

// file is the shard i of a pack where its row says.
func (r *rig) file(s *pack.Sealed, i int) (*rigNode, string) {
	r.tb.Helper()
	row, err := r.rows.Pack(s.ID)
	must(r.tb, err)
	for _, l := range row.At {
		if int(l.Index) == i {
			return r.node(l.Node), layout.Path(l.Name(s.ID))
		}
	}
	r.tb.Fatalf("shard %d of %v is in no row", i, s.ID)
	return nil, ""
}

// corrupt flips a bit of the first block of a shard.
func (r *rig) corrupt(s *pack.Sealed, i int) {
	r.tb.Helper()
	n, name := r.file(s, i)
	b, _ := n.mem.Bytes(name)
	b[7] ^= 1
	n.mem.SetBytes(name, b)
}

// wantWhole fails unless every shard of every pack stands, as it was sealed,
// where the row says, each on a node of its own.
func (r *rig) wantWhole(what string) {
	r.tb.Helper()
	for _, s := range r.packs {
		row, err := r.rows.Pack(s.ID)
		must(r.tb, err)
		seen, nodes := make(map[uint8]bool), make(map[cairn.NodeID]bool)
		for _, l := range row.At {
			n := r.node(l.Node)
			b, ok := n.mem.Bytes(layout.Path(l.Name(s.ID)))
			switch {
			case seen[l.Index] || nodes[l.Node]:
				r.tb.Errorf("%s: pack %v: shard %d or node %s twice in the row", what, s.ID, l.Index, n.Name)
			case n.Node.State == "gone":
				r.tb.Errorf("%s: pack %v: shard %d is on a node given up", what, s.ID, l.Index)
			case !ok || !bytes.Equal(b, s.Files[l.Index]):
				r.tb.Errorf("%s: pack %v: shard %d does not stand as it was sealed", what, s.ID, l.Index)
			}
			seen[l.Index], nodes[l.Node] = true, true
		}
		if len(seen) != s.Coding.N() {
			r.tb.Errorf("%s: pack %v has %d of %d shards", what, s.ID, len(seen), s.Coding.N())
		}
	}
}

// files counts the shards that stand on all nodes, recorded or not.
func (r *rig) files() (n int) {
	for _, o := range r.nodes {
		for _, name := range o.mem.Names() {
			if _, err := layout.ParsePath(name); err == nil {
				n++
			}
		}
	}
	return n
}

// pass lets observed time go by.
func (r *rig) pass(d time.Duration) {
	t := time.NewTimer(d)
	<-t.C
}

func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	var s [32]byte
	s[0], s[1] = byte(seed), byte(seed>>8)
	_, _ = rand.NewChaCha8(s).Read(b)
	return b
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func wantClass(tb testing.TB, what string, err, class error) {
	tb.Helper()
	if !errors.Is(err, class) {
		tb.Errorf("%s: got %v, want %v", what, err, class)
	}
}
