package store

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
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
)

// rig is a store over nodes in memory and a crashable disk, all of which may
// misbehave. It can be opened again as often as one likes.
type rig struct {
	tb    testing.TB
	disk  *durable.Mem
	fs    durable.FS // disk, or something around it
	id    cairn.StoreID
	gate  crypt.Identity
	key   crypt.EpochKey
	nodes []*rigNode
	tune  func(*Config)

	fleet *fleet.Fleet
	one   sync.Mutex // held while a moment is taken
	*Store
}

type rigNode struct {
	pack.Node
	mem    *backendtest.Mem
	faulty *backendtest.Faulty
}

// newRig makes a store with n nodes of as many operators, and bucket "b".
func newRig(tb testing.TB, n int, tune func(*Config)) *rig {
	tb.Helper()
	r := &rig{tb: tb, disk: durable.NewMem(), id: cairn.StoreID{1, 2, 3}, tune: tune}
	r.fs = r.disk
	var seed [32]byte
	seed[0] = 7
	gate, err := crypt.NewIdentity(crypt.Gateway, r.id, rand.NewChaCha8(seed))
	must(tb, err)
	r.gate, r.key = gate, crypt.EpochKey{9}
	for i := range n {
		r.addNode(i)
	}
	tb.Cleanup(r.shut)
	r.open()
	for _, n := range r.nodes {
		must(tb, r.SetNode(tb.Context(), n.Node))
	}
	must(tb, r.CreateBucket(tb.Context(), "bbb"))
	return r
}

func (r *rig) addNode(i int) *rigNode {
	mem := &backendtest.Mem{}
	n := &rigNode{mem: mem, faulty: backendtest.NewFaulty(mem, nil)}
	n.Node = pack.Node{ID: cairn.NodeID{byte(i + 1)}, Name: fmt.Sprintf("n%d", i+1), Operator: fmt.Sprintf("op%d", i+1), Remote: fmt.Sprintf("mem:%d", i), State: "ok"}
	m, err := layout.Marker{Version: layout.MarkerVersion, Store: r.id, Node: n.ID}.Encode()
	must(r.tb, err)
	must(r.tb, mem.Put(r.tb.Context(), layout.MarkerName, m))
	r.nodes = append(r.nodes, n)
	return n
}

func (r *rig) config() Config {
	c := Config{FS: r.fs, Dir: "/s", Nodes: r.fleet, Store: r.id, Epochs: map[uint32]crypt.EpochKey{1: r.key}, Epoch: 1,
		Sign: r.gate.Sign(), Box: r.gate.Secrets(), FlushAge: time.Hour, Settle: time.Hour, SlowWait: 2 * time.Second, IndexCache: 1 << 20}
	if os.Getenv("CAIRN_LOG") != "" {
		c.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	if r.tune != nil {
		r.tune(&c)
	}
	return c
}

func (r *rig) open() {
	r.tb.Helper()
	must(r.tb, r.tryOpen())
}

func (r *rig) tryOpen() error {
	ca, err := cache.New(cache.Config{MemoryBytes: 32 << 20})
	if err != nil {
		return err
	}
	r.fleet, err = fleet.New(r.tb.Context(), fleet.Config{Store: r.id, Cache: ca, Trust: pack.Trust(crypt.TrustKeys(r.id, r.gate.Sign().Public())),
		Open: func(ctx context.Context, n pack.Node) (backends.Remote, error) {
			for _, o := range r.nodes {
				if o.ID == n.ID {
					return o.faulty, nil
				}
			}
			return nil, cairn.ErrUnavailable
		}})
	if err != nil {
		return err
	}
	r.Store, err = Open(r.tb.Context(), r.config())
	if err != nil {
		r.Store = nil
		must(r.tb, r.fleet.Close())
	}
	return err
}

func (r *rig) close() {
	r.tb.Helper()
	must(r.tb, r.Close(r.tb.Context()))
	must(r.tb, r.fleet.Close())
	r.Store = nil
}

func (r *rig) reopen() {
	r.tb.Helper()
	r.close()
	r.open()
}

// crash ends the store as a power loss does, keeping percent of what was not
// synced, and leaves it closed.
func (r *rig) crash(percent int, seed uint64) {
	r.tb.Helper()
	after := r.disk.Crash(percent, seed)
	r.shut() // the machine that is gone
	r.disk, r.fs = after, after
}

func (r *rig) put(key string, data []byte) error {
	_, err := r.Put(r.tb.Context(), putOf(key, data))
	return err
}

func putOf(key string, data []byte) Put {
	return Put{Key: cairn.Key{Bucket: "bbb", Object: key}, Body: bytes.NewReader(data), Size: int64(len(data)),
		Digest: func() (Digest, error) { return Digest{ETag: etag(data)}, nil }}
}

func etag(data []byte) string {
	sum := md5.Sum(data)
	return hex.EncodeToString(sum[:])
}

func (r *rig) get(key string) ([]byte, error) {
	o, src, err := r.Open(r.tb.Context(), cairn.Key{Bucket: "bbb", Object: key})
	if err != nil {
		return nil, err
	}
	defer src.Close()
	return readRange(r.tb.Context(), src, 0, o.Size)
}

func readRange(ctx context.Context, src Source, off, n int64) ([]byte, error) {
	rd, err := src.Range(ctx, off, n)
	if err != nil {
		return nil, err
	}
	defer rd.Close()
	return io.ReadAll(rd)
}

// want fails unless key reads back as data.
func (r *rig) want(key string, data []byte) {
	r.tb.Helper()
	got, err := r.get(key)
	if err != nil {
		r.tb.Fatalf("%s: %v", key, err)
	}
	if !bytes.Equal(got, data) {
		r.tb.Fatalf("%s: %d bytes differ from the %d put", key, len(got), len(data))
	}
}

func (r *rig) wantErr(key string, class error) {
	r.tb.Helper()
	if _, err := r.get(key); !errors.Is(err, class) {
		r.tb.Fatalf("%s: got %v, want %v", key, err, class)
	}
}

// content is n reproducible bytes.
func content(seed uint64, n int) []byte {
	b := make([]byte, n)
	var s [32]byte
	for i := range 8 {
		s[i] = byte(seed >> (8 * i))
	}
	_, _ = rand.NewChaCha8(s).Read(b)
	return b
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
