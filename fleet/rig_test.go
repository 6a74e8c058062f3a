package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/erasure"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

var testStore = cairn.StoreID{1, 2, 3}

// rig is a fleet over nodes in memory that misbehave as told.
type rig struct {
	tb    testing.TB
	key   crypt.EpochKey
	sign  crypt.SigningKey
	nodes []*rigNode
	seq   uint64
	flip  bool // packs are sealed by a machine that errs while it codes
	*Fleet
}

type rigNode struct {
	pack.Node
	mem    *backendtest.Mem
	faulty *backendtest.Faulty
	*tap
	opened int // how often it was connected; guarded by tap.mu
}

// tap is the outermost layer of a node: it logs calls and delays them.
type tap struct {
	backends.Around

	mu      sync.Mutex
	delay   func(backends.Call) time.Duration
	calls   []backends.Call
	now     int                                        // under way
	most    int                                        // at once
	instead func(context.Context, backends.Call) error // of the call where it returns an error
}

func newTap(r backends.Remote) *tap {
	p := &tap{}
	p.Around = backends.Around{Inner: r, Do: func(ctx context.Context, c backends.Call, run func(context.Context) error) error {
		p.mu.Lock()
		p.calls = append(p.calls, c)
		p.now++
		p.most = max(p.most, p.now)
		delay := p.delay
		p.mu.Unlock()
		defer func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.now--
		}()
		if delay != nil {
			t := time.NewTimer(delay(c))
			defer t.Stop()
			select {
			case <-t.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		p.mu.Lock()
		instead := p.instead
		p.mu.Unlock()
		if instead != nil {
			if err := instead(ctx, c); err != nil {
				return err
			}
		}
		return run(ctx)
	}}
	return p
}

func (p *tap) setDelay(delay func(backends.Call) time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = delay
}

func (p *tap) setInstead(instead func(context.Context, backends.Call) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.instead = instead
}

// take returns the calls of op for shards since the last take, and the most
// that were under way at once.
func (p *tap) take(op string) (calls []backends.Call, most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.calls {
		if c.Op == op && strings.HasPrefix(c.Name, layout.PacksDir) {
			calls = append(calls, c)
		}
	}
	most = p.most
	p.calls, p.most = nil, 0
	return calls, most
}

type tune func(*Config)

func cacheOf(bytes int64) tune {
	return func(c *Config) {
		ca, err := cache.New(cache.Config{MemoryBytes: bytes})
		if err != nil {
			panic(err)
		}
		c.Cache = ca
	}
}

// unwatched leaves nodes alone after the first look.
func unwatched(c *Config) { c.Watch = 1000 * time.Hour }

// newRig makes a fleet of n nodes of as many operators, cached nowhere unless a
// tune says so. It is closed at the end of the test.
func newRig(tb testing.TB, n int, tunes ...tune) *rig {
	tb.Helper()
	r := &rig{tb: tb, key: crypt.EpochKey{9}, sign: crypt.NewSigningKey([32]byte{7})}
	c := Config{Store: testStore, Trust: pack.Trust(crypt.TrustKeys(testStore, r.sign.Public())), Open: r.open}
	for _, t := range append([]tune{cacheOf(0)}, tunes...) {
		t(&c)
	}
	f, err := New(tb.Context(), c)
	must(tb, err)
	r.Fleet = f
	for range n {
		r.addNode()
	}
	r.set(r.nodes...)
	tb.Cleanup(func() { must(tb, f.Close()) })
	return r
}

func (r *rig) addNode() *rigNode {
	i := len(r.nodes)
	mem := &backendtest.Mem{}
	n := &rigNode{mem: mem, faulty: backendtest.NewFaulty(mem, nil)}
	n.tap = newTap(n.faulty)
	n.Node = pack.Node{ID: cairn.NodeID{byte(i + 1)}, Name: fmt.Sprintf("n%d", i+1), Operator: fmt.Sprintf("op%d", i+1), Remote: fmt.Sprintf("mem:%d", i), State: "ok"}
	n.mount()
	r.nodes = append(r.nodes, n)
	return n
}

func (n *rigNode) mount() {
	m, err := layout.Marker{Version: layout.MarkerVersion, Store: testStore, Node: n.ID}.Encode()
	if err != nil {
		panic(err)
	}
	n.mem.SetBytes(layout.MarkerName, m)
}

func (r *rig) open(_ context.Context, n pack.Node) (backends.Remote, error) {
	for _, o := range r.nodes {
		if o.ID == n.ID {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.opened++
			return o.tap, nil
		}
	}
	return nil, cairn.ErrUnavailable
}

func (r *rig) set(nodes ...*rigNode) {
	r.tb.Helper()
	var ns []pack.Node
	for _, n := range nodes {
		ns = append(ns, n.Node)
	}
	must(r.tb, r.SetNodes(r.tb.Context(), ns))
}

func (r *rig) at(id cairn.NodeID) *rigNode {
	return r.nodes[slices.IndexFunc(r.nodes, func(n *rigNode) bool { return n.ID == id })]
}

func (r *rig) state(n *rigNode) NodeStatus {
	all, _ := r.Status()
	for _, s := range all {
		if s.ID == n.ID {
			return s
		}
	}
	r.tb.Fatalf("%s has no status", n.Name)
	return NodeStatus{}
}

// spread is one pack and where it stands.
type spread struct {
	*pack.Sealed
	bytes []byte // the whole pack, padding included
	where []cairn.Location
}

// seal makes a pack of size bytes.
func (r *rig) seal(c cairn.Coding, size int) *spread {
	r.tb.Helper()
	r.seq++
	id := cairn.NewPackID(r.seq, [10]byte{byte(r.seq), 5})
	code, err := erasure.New(c)
	must(r.tb, err)
	contents := random(r.seq+1000, pack.MinPadded)
	p := pack.Params{Store: testStore, ID: id, Epoch: 1, Coding: c, Length: pack.ShardLength(uint64(size), c), Contents: uint32(len(contents))}
	var coder pack.Coder = code
	if r.flip {
		coder = erring{code}
	}
	s, err := pack.Seal(coder, r.key.Pack(id, p.Prefix), p, random(r.seq, size), contents, r.sign, r.seq)
	must(r.tb, err)
	sp := &spread{Sealed: s}
	for _, f := range s.Files[:c.K] {
		sp.bytes = append(sp.bytes, f[:p.Length]...)
	}
	return sp
}

// erring codes with one flipped bit, beyond the bytes that Seal decodes again.
type erring struct{ *erasure.Code }

func (e erring) Encode(shards [][]byte) error {
	err := e.Code.Encode(shards)
	for _, s := range shards[e.Coding().K:] {
		s[len(s)-1] ^= 1
	}
	return err
}

func (r *rig) spread(c cairn.Coding, size int) *spread {
	r.tb.Helper()
	sp := r.seal(c, size)
	at, err := r.Scatter(r.tb.Context(), sp.Sealed, nil, noIntent)
	must(r.tb, err)
	sp.where = at
	return sp
}

func noIntent([]cairn.Location) error { return nil }

// holder is the node of shard i.
func (r *rig) holder(sp *spread, i uint8) (*rigNode, string) {
	for _, l := range sp.where {
		if l.Index == i {
			return r.at(l.Node), layout.Path(l.Name(sp.ID))
		}
	}
	r.tb.Fatalf("shard %d stands nowhere", i)
	return nil, ""
}

// read reads n bytes from off and fails the test unless they are right.
func (r *rig) read(sp *spread, off, n, ahead int) {
	r.tb.Helper()
	if err := r.tryRead(sp, off, n, ahead); err != nil {
		r.tb.Fatal(err)
	}
}

// tryRead fails the test when bytes are wrong, and returns any error.
func (r *rig) tryRead(sp *spread, off, n, ahead int) error {
	r.tb.Helper()
	b := make([]byte, n)
	if err := r.Read(r.tb.Context(), sp.Params, sp.where, uint64(off), b, ahead); err != nil {
		return err
	}
	if !bytes.Equal(b, sp.bytes[off:off+n]) {
		r.tb.Errorf("%d bytes at %d are wrong and no error said so", n, off)
	}
	return nil
}

// coolTails makes the next reads ask for tails again.
func (r *rig) coolTails() {
	r.tails.mu.Lock()
	defer r.tails.mu.Unlock()
	r.tails.lru.Purge()
	r.tails.used = 0
}

func wantClass(tb testing.TB, what string, err, class error) {
	tb.Helper()
	if !errors.Is(err, class) || cairn.Class(err) != class {
		tb.Errorf("%s: got %v (class %v), want %v", what, err, cairn.Class(err), class)
	}
}

func coding(s string) cairn.Coding {
	c, err := cairn.ParseCoding(s)
	if err != nil {
		panic(err)
	}
	return c
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
