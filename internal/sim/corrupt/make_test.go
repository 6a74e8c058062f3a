package corrupt

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/store"
)

// worlds are the stores whose copies are harmed.
type worlds struct {
	house
	at     map[string]*world
	rooted *rooted
}

// world is a store at rest: all its files, and what it must give back.
type world struct {
	disk  *durable.Mem
	boxes [nodeN]map[string][]byte
	keys  map[string][]version // by object key, the oldest first
	setup int                  // steps that made buckets and nodes
	steps []map[string]int64   // size of each stage file after each step
}

// version is what one step made of a key; no bytes is deleted.
type version struct {
	data []byte
	gone bool
	step int // 1 is the first
}

func (w *worlds) spread() *world   { return w.at["spread"] }
func (w *worlds) unsealed() *world { return w.at["unsealed"] }
func (w *worlds) sealed() *world   { return w.at["sealed"] }
func (w *worlds) placed() *world   { return w.at["placed"] }

// makeWorlds makes them within simulated time, always of the same bytes but
// for their times.
func makeWorlds(t *testing.T) *worlds {
	w := &worlds{house: newHouse(t), at: make(map[string]*world)}
	cryptotest.SetGlobalRandom(t, 1)
	synctest.Test(t, func(t *testing.T) {
		m := newMaker(t, w.house, 0)
		m.fill()
		must(t, m.gate.Flush(t.Context()))
		<-time.After(2 * time.Hour) // what is spread leaves the stage
		synctest.Wait()
		if st, err := m.gate.Status(t.Context()); err != nil || st.Staged > 0 {
			t.Fatalf("%d packs are still staged: %v", st.Staged, err)
		}
		m.close()
		m.open(cache.Config{MemoryBytes: 1 << 20, DiskBytes: 64 << 20, FS: m.disk, Dir: dir + "/cache"})
		for key := range m.world.keys {
			_, _, _ = read(t.Context(), m.gate.Store, key)
		}
		m.close()
		w.at["spread"] = m.rest()
	})
	synctest.Test(t, func(t *testing.T) {
		m := newMaker(t, w.house, nodeN)
		m.fill()
		after := m.disk.Crash(100, 1) // the power goes, and nothing is lost
		w.at["unsealed"] = m.rest()
		w.at["unsealed"].disk = after
		m.close()
		w.at["sealed"] = m.rest()
	})
	synctest.Test(t, func(t *testing.T) {
		m := newMaker(t, w.house, 1)
		m.fill()
		if err := m.gate.Flush(t.Context()); err == nil {
			t.Fatal("a node that takes no shard holds some")
		}
		m.close()
		w.at["placed"] = m.rest()
	})
	w.rooted = makeRooted(t, w.house)
	return w
}

// maker fills one store.
type maker struct {
	t     *testing.T
	h     house
	disk  *durable.Mem
	re    *reach
	gate  *gateway
	world *world
}

func newMaker(t *testing.T, h house, refuses int) *maker {
	t.Helper()
	m := &maker{t: t, h: h, disk: durable.NewMem(), world: &world{keys: make(map[string][]version)}}
	m.re = &reach{boxes: newBoxes([nodeN]map[string][]byte{}), refuses: refuses}
	for i, n := range nodes() {
		marker, err := layout.Marker{Version: layout.MarkerVersion, Store: h.id, Node: n.ID}.Encode()
		must(t, err)
		m.re.boxes[i].SetBytes(layout.MarkerName, marker)
		m.re.boxes[i].SetBytes(h.keysName(), h.keys)
	}
	m.open(cache.Config{MemoryBytes: 1 << 20})
	for _, n := range nodes() {
		must(t, m.gate.SetNode(t.Context(), n))
		m.step()
	}
	must(t, m.gate.CreateBucket(t.Context(), bucket))
	m.step()
	m.world.setup = len(m.world.steps)
	return m
}

func (m *maker) open(cc cache.Config) {
	m.t.Helper()
	var err error
	m.gate, err = m.h.open(m.t.Context(), m.disk, m.re, cc)
	must(m.t, err)
}

func (m *maker) close() {
	m.t.Helper()
	must(m.t, m.gate.close(m.t.Context()))
}

// rest is the world as it is now.
func (m *maker) rest() *world {
	w := *m.world
	w.disk, w.boxes = m.disk.Crash(100, 1), m.re.boxes.files()
	return &w
}

// step notes how long the stage files are.
func (m *maker) step() int {
	m.t.Helper()
	names, err := m.disk.List(stageDir())
	must(m.t, err)
	sizes := make(map[string]int64)
	for _, name := range names {
		if strings.HasSuffix(name, ".stage") {
			sizes[name], err = m.disk.Size(filepath.Join(stageDir(), name))
			must(m.t, err)
		}
	}
	m.world.steps = append(m.world.steps, sizes)
	return len(m.world.steps)
}

// fill puts objects of every kind.
func (m *maker) fill() {
	m.t.Helper()
	m.put("over", 10_000)
	m.put("gone", 3000)
	for i, n := range []int{0, 1, 100, 5000, 64 << 10, 64<<10 + 1} {
		m.put(fmt.Sprintf("tiny-%d", i), n)
	}
	m.put("large", 300_000)
	m.multi("multi", 100_000, 65_536, 20_000)
	must(m.t, m.gate.Delete(m.t.Context(), keyOf("gone"), store.Condition{}))
	m.world.keys["gone"] = append(m.world.keys["gone"], version{gone: true, step: m.step()})
	m.put("over", 20_000)
	m.put("small", 40_000)
	m.put("last", 700)
}

func keyOf(key string) cairn.Key { return cairn.Key{Bucket: bucket, Object: key} }

func (m *maker) put(key string, n int) {
	m.t.Helper()
	data := content(uint64(len(m.world.steps)), n)
	_, err := m.gate.Put(m.t.Context(), store.Put{Key: keyOf(key), Body: bytes.NewReader(data), Size: int64(n),
		Digest: func() (store.Digest, error) { return store.Digest{ETag: etag(data)}, nil }})
	must(m.t, err)
	m.world.keys[key] = append(m.world.keys[key], version{data: data, step: m.step()})
}

func (m *maker) multi(key string, sizes ...int) {
	m.t.Helper()
	ctx := m.t.Context()
	u, err := m.gate.CreateUpload(ctx, store.Upload{Key: keyOf(key)})
	must(m.t, err)
	m.step()
	var all, tags []byte
	var numbers []int
	for i, n := range sizes {
		data := content(uint64(len(m.world.steps)), n)
		_, err := m.gate.PutPart(ctx, store.PutPart{Key: keyOf(key), Upload: u.ID, Number: i + 1, Body: bytes.NewReader(data), Size: int64(n),
			Digest: func() (store.Digest, error) { return store.Digest{ETag: etag(data)}, nil }})
		must(m.t, err)
		m.step()
		all, tags, numbers = append(all, data...), append(tags, etag(data)...), append(numbers, i+1)
	}
	tag := fmt.Sprintf("%s-%d", etag(tags), len(sizes))
	_, err = m.gate.CompleteUpload(ctx, store.CompleteUpload{Key: keyOf(key), Upload: u.ID, Numbers: numbers, ETag: tag,
		Decide: func([]store.Part) (store.Digest, error) { return store.Digest{ETag: tag}, nil }})
	must(m.t, err)
	m.world.keys[key] = append(m.world.keys[key], version{data: all, step: m.step()})
}

func etag(data []byte) string {
	sum := md5.Sum(data)
	return hex.EncodeToString(sum[:])
}

// content is n bytes made from seed.
func content(seed uint64, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), 1}).Read(b)
	return b
}

// copyOf is a disk of one's own.
func (w *world) copyOf() *durable.Mem { return w.disk.Crash(100, 1) }
