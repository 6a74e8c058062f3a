package corrupt

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
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
	"github.com/cairn-storage/cairn/store"
)

const (
	dir      = "/s"
	bucket   = "bbb"
	packSize = 256 << 10
	nodeN    = 5 // coded 3+2
	lossy    = 2
)

var code = cairn.Coding{K: 3, M: lossy}

// house is what all stores of a run have in common.
type house struct {
	id   cairn.StoreID
	gate crypt.Identity
	key  crypt.EpochKey
	keys []byte // wrapped, as they stand on nodes
}

func newHouse(t *testing.T) house {
	t.Helper()
	h := house{id: cairn.StoreID{1, 2, 3}, key: crypt.EpochKey{9}}
	var err error
	h.gate, err = crypt.NewIdentity(crypt.Gateway, h.id, rand.NewChaCha8([32]byte{7}))
	must(t, err)
	h.keys, err = crypt.WrapEpoch(h.key, 1, h.id, []string{h.gate.Public().Recipient}, h.gate.Sign())
	must(t, err)
	return h
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h house) keysName() string { return layout.KeyPath(1, crypt.KeysHash(h.keys)) }

func node(i int) pack.Node {
	return pack.Node{ID: cairn.NodeID{byte(i + 1)}, Name: fmt.Sprintf("n%d", i), Operator: fmt.Sprintf("op%d", i), Remote: fmt.Sprintf("mem:%d", i), State: "ok"}
}

func nodes() (all []pack.Node) {
	for i := range nodeN {
		all = append(all, node(i))
	}
	return all
}

// boxes are the nodes' disks.
type boxes [nodeN]*backendtest.Mem

// newBoxes makes disks that hold files.
func newBoxes(files [nodeN]map[string][]byte) (b boxes) {
	for i := range b {
		b[i] = &backendtest.Mem{}
		for name, data := range files[i] {
			b[i].SetBytes(name, data)
		}
	}
	return b
}

func (b boxes) files() (all [nodeN]map[string][]byte) {
	for i, m := range b {
		all[i] = make(map[string][]byte)
		for _, name := range m.Names() {
			all[i][name], _ = m.Bytes(name)
		}
	}
	return all
}

// reach says what of the nodes works.
type reach struct {
	boxes   boxes
	away    bool // no node answers
	refuses int  // how many nodes, the last ones, take no put
}

func (re *reach) open(_ context.Context, n pack.Node) (backends.Remote, error) {
	i := int(n.ID[0]) - 1
	if re.away || i < 0 || i >= nodeN {
		return nil, fmt.Errorf("away: %w", cairn.ErrUnavailable)
	}
	if i >= nodeN-re.refuses {
		return refusing{re.boxes[i]}, nil
	}
	return re.boxes[i], nil
}

// refusing takes no shard.
type refusing struct{ *backendtest.Mem }

func (refusing) Put(context.Context, string, []byte) error {
	return fmt.Errorf("refused: %w", cairn.ErrUnavailable)
}

// gateway is one open store.
type gateway struct {
	*store.Store
	fl *fleet.Fleet
	ca *cache.Cache
}

func logger() *slog.Logger {
	if os.Getenv("CAIRN_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}

// fleet is the nodes of re behind ca.
func (h house) fleet(ctx context.Context, re *reach, ca *cache.Cache) (*fleet.Fleet, error) {
	return fleet.New(ctx, fleet.Config{Store: h.id, Cache: ca, Trust: pack.Trust(crypt.TrustKeys(h.id, h.gate.Sign().Public())), Open: re.open,
		Watch: time.Hour, Log: logger()})
}

func (h house) config(fs durable.FS, n store.Nodes) store.Config {
	return store.Config{FS: fs, Dir: dir, Nodes: n, Store: h.id, Epochs: map[uint32]crypt.EpochKey{1: h.key}, Epoch: 1,
		Sign: h.gate.Sign(), Box: h.gate.Secrets(), Coding: code.String(), PackSize: packSize, FlushAge: time.Hour, Settle: time.Hour,
		SlowWait: 2 * time.Second, IndexCache: 1 << 20, Log: logger()}
}

// open starts a gateway on fs.
func (h house) open(ctx context.Context, fs durable.FS, re *reach, cc cache.Config) (*gateway, error) {
	cc.Store, cc.MAC = h.id, [32]byte{3}
	ca, err := cache.New(cc)
	if err != nil {
		return nil, err
	}
	fl, err := h.fleet(ctx, re, ca)
	if err != nil {
		return nil, err
	}
	sc := h.config(fs, fl)
	if cc.Log != nil {
		sc.Log = cc.Log
	}
	st, err := store.Open(ctx, sc)
	if err != nil {
		_ = fl.Close()
		_ = ca.Close()
		return nil, err
	}
	return &gateway{st, fl, ca}, nil
}

func (g *gateway) close(ctx context.Context) error {
	err := g.Store.Close(ctx)
	if e := g.fl.Close(); err == nil {
		err = e
	}
	if e := g.ca.Close(); err == nil {
		err = e
	}
	return err
}

// swapped is the nodes of a store that stays open from case to case, while the
// fleet is another each time.
type swapped struct {
	store.Nodes
	now atomic.Pointer[fleet.Fleet]
}

func (s *swapped) Read(ctx context.Context, p pack.Params, at []cairn.Location, off uint64, b []byte, ahead int) error {
	return s.now.Load().Read(ctx, p, at, off, b, ahead)
}

// replace gives name on fs other bytes.
func replace(fs durable.FS, name string, data []byte) error { return durable.WriteFile(fs, name, data) }

func contentOf(fs durable.FS, name string) ([]byte, error) { return durable.ReadFile(fs, name, 64<<20) }

func stageDir() string { return filepath.Join(dir, "stage") }

// memory is a disk that holds one file.
func memory(name string, data []byte) (*durable.Mem, error) {
	m := durable.NewMem()
	return m, replace(m, name, data)
}
