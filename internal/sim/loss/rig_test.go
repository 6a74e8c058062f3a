// Package loss takes nodes away from the real store over the real fleet, in
// every combination there is, and holds what then reads against what must.
//
// Reading order: rig_test.go (the store), fate_test.go (how nodes are lost),
// loss_test.go (the combinations).
package loss

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store"
)

// rig is a store whose objects are all on nodes in memory and nowhere else.
type rig struct {
	t       *testing.T
	id      cairn.StoreID
	trust   pack.Trust
	nodes   []*node
	st      *store.Store
	over    *nodes
	objects []object
	looks   int
}

// node is a node in memory that may be lost.
type node struct {
	pack.Node
	mem  *backendtest.Mem
	fate atomic.Int32
}

// object is what was stored, and which bytes of packs it was read from.
type object struct {
	key   string
	bytes []byte
	needs []need
}

// need is one shard that an object's bytes lie in.
type need struct {
	pack  cairn.PackID
	index uint8
	at    map[uint8]cairn.NodeID // where the shards of the pack stand
	k     int
}

// nodes is the fleet that the store writes with; reads are given to one that is
// new for each look, so that nothing is known of any node, and noted.
type nodes struct {
	*fleet.Fleet
	reads atomic.Pointer[fleet.Fleet]

	mu    sync.Mutex
	notes bool   // guarded by mu
	needs []need // guarded by mu
}

// Read notes which shards are asked for.
func (n *nodes) Read(ctx context.Context, p pack.Params, at []cairn.Location, off uint64, b []byte, _ int) error {
	n.mu.Lock()
	if n.notes && len(b) > 0 {
		where := make(map[uint8]cairn.NodeID)
		for _, l := range at {
			where[l.Index] = l.Node
		}
		for i := off / p.Length; i <= (off+uint64(len(b))-1)/p.Length; i++ {
			n.needs = append(n.needs, need{p.ID, uint8(i), where, p.Coding.K})
		}
	}
	n.mu.Unlock()
	return n.reads.Load().Read(ctx, p, at, off, b, 0)
}

// sizes of the objects: small ones that share a log pack, and one that has a
// pack, or several, of its own. Shards of several blocks are for the long run.
func sizes() []int {
	if long() {
		return []int{1, 300, 9000, 40_000, 60_000, 33_000, 64 << 10, 20_000, 700 << 10}
	}
	return []int{1, 16_000, 20_000, 9000, 70_000}
}

// packSize is the least there is, bytes.
const packSize = 256 << 10

// newRig stores the objects, coded c on as many nodes, and waits until the
// stage is empty.
func newRig(t *testing.T, c cairn.Coding) *rig {
	t.Helper()
	r := &rig{t: t, id: cairn.StoreID{1, 2, 3}}
	gate, err := crypt.NewIdentity(crypt.Gateway, r.id, rand.NewChaCha8([32]byte{7}))
	must(t, err)
	r.trust = pack.Trust(crypt.TrustKeys(r.id, gate.Sign().Public()))
	for i := range c.N() {
		n := &node{mem: &backendtest.Mem{}}
		n.Node = pack.Node{ID: cairn.NodeID{byte(i + 1)}, Name: fmt.Sprintf("n%d", i+1), Operator: fmt.Sprintf("op%d", i+1), Remote: fmt.Sprintf("mem:%d", i+1), State: "ok"}
		marker, err := layout.Marker{Version: layout.MarkerVersion, Store: r.id, Node: n.ID}.Encode()
		must(t, err)
		must(t, n.mem.Put(t.Context(), layout.MarkerName, marker))
		r.nodes = append(r.nodes, n)
	}
	r.over = &nodes{Fleet: r.fleet()}
	r.over.reads.Store(r.over.Fleet)
	r.st, err = store.Open(t.Context(), store.Config{FS: durable.NewMem(), Dir: "/s", Nodes: r.over, Store: r.id, Epochs: map[uint32]crypt.EpochKey{1: {9}}, Epoch: 1,
		Sign: gate.Sign(), Box: gate.Secrets(), Coding: c.String(), PackSize: packSize, Settle: time.Second, IndexCache: 1 << 20})
	must(t, err)
	for _, n := range r.nodes {
		must(t, r.st.SetNode(t.Context(), n.Node))
	}
	must(t, r.st.CreateBucket(t.Context(), "bbb"))
	for i, size := range sizes() {
		o := object{key: fmt.Sprintf("k%d", i), bytes: make([]byte, size)}
		_, _ = rand.NewChaCha8([32]byte{byte(i)}).Read(o.bytes)
		r.put(o)
		r.objects = append(r.objects, o)
	}
	must(t, r.st.Flush(t.Context()))
	<-time.After(time.Hour)
	synctest.Wait()
	s, err := r.st.Status(t.Context())
	must(t, err)
	if s.Staged != 0 || s.OnlyHere != 0 {
		t.Fatalf("not everything left the stage: %+v", s)
	}
	r.survey()
	return r
}

func (r *rig) put(o object) {
	sum := md5.Sum(o.bytes)
	_, err := r.st.Put(r.t.Context(), store.Put{Key: cairn.Key{Bucket: "bbb", Object: o.key}, Body: bytes.NewReader(o.bytes), Size: int64(len(o.bytes)),
		Digest: func() (store.Digest, error) { return store.Digest{ETag: hex.EncodeToString(sum[:])}, nil }})
	must(r.t, err)
}

// survey reads every object while all is well and notes what was asked for.
func (r *rig) survey() {
	r.over.mu.Lock()
	r.over.notes = true
	r.over.mu.Unlock()
	for i := range r.objects {
		o := &r.objects[i]
		if got, err := r.get(o.key); err != nil || !bytes.Equal(got, o.bytes) {
			r.t.Fatalf("%s before anything is lost: %d bytes, %v", o.key, len(got), err)
		}
		r.over.mu.Lock()
		o.needs, r.over.needs = r.over.needs, nil
		r.over.mu.Unlock()
		if len(o.needs) == 0 {
			r.t.Fatalf("%s was read from no node", o.key)
		}
	}
	r.over.mu.Lock()
	r.over.notes = false
	r.over.mu.Unlock()
}

// fleet is a fleet that knows nothing yet, without a cache.
func (r *rig) fleet() *fleet.Fleet {
	r.t.Helper()
	none, err := cache.New(cache.Config{})
	must(r.t, err)
	f, err := fleet.New(r.t.Context(), fleet.Config{Store: r.id, Cache: none, Trust: r.trust, Open: r.connect})
	must(r.t, err)
	return f
}

func (r *rig) connect(_ context.Context, n pack.Node) (backends.Remote, error) {
	for _, o := range r.nodes {
		if o.ID == n.ID {
			return front{o.mem, o}, nil
		}
	}
	return nil, cairn.ErrUnavailable
}

// look runs do with a fleet that meets its nodes for the first time, without
// those in gone.
func (r *rig) look(gone func(i int) bool, do func()) {
	r.t.Helper()
	r.looks++
	f := r.fleet()
	var members []pack.Node
	for i, n := range r.nodes {
		if !gone(i) {
			members = append(members, n.Node)
		}
	}
	must(r.t, f.SetNodes(r.t.Context(), members))
	r.over.reads.Store(f)
	do()
	r.over.reads.Store(r.over.Fleet)
	must(r.t, f.Close())
}

func (r *rig) get(key string) ([]byte, error) {
	o, src, err := r.st.Open(r.t.Context(), cairn.Key{Bucket: "bbb", Object: key})
	if err != nil {
		return nil, err
	}
	rd, err := src.Range(r.t.Context(), 0, o.Size)
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	got, err := io.ReadAll(rd)
	return got, errors.Join(err, rd.Close(), src.Close())
}

func (r *rig) close() {
	must(r.t, r.st.Close(r.t.Context()))
	must(r.t, r.over.Close())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
