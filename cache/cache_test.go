package cache

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
)

// blockOf is the one block that belongs to n, of 1 to BlockSize bytes.
func blockOf(n int) []byte {
	rnd := rand.New(rand.NewPCG(77, uint64(n)))
	b := make([]byte, 1+rnd.IntN(BlockSize))
	if n%3 == 0 {
		b = make([]byte, BlockSize)
	}
	seed := [32]byte{7}
	binary.LittleEndian.PutUint64(seed[8:], uint64(n))
	rand.NewChaCha8(seed).Read(b)
	return b
}

const fileAt = "cache/" + fileName

// diskFor is the size of a file of so many blocks held.
func diskFor(blocks uint32) int64 { return slotOffset(blocks) + BlockSize }

func configFor(fs durable.FS, blocks uint32) Config {
	return Config{FS: fs, Dir: "cache", DiskBytes: diskFor(blocks), Store: cairn.StoreID{1, 2}, MAC: [32]byte{3}}
}

func open(t testing.TB, c Config) *Cache {
	t.Helper()
	cache, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cache.Close() })
	return cache
}

// found counts which of 0 to n-1 the cache has, and fails on wrong bytes.
func found(t testing.TB, c *Cache, n int) (hits int) {
	t.Helper()
	for i := range n {
		got, ok := c.Get(keyOf(i))
		if !ok {
			continue
		}
		hits++
		if !bytes.Equal(got, blockOf(i)) {
			t.Fatalf("block %d has wrong bytes", i)
		}
	}
	return hits
}

// putAll puts blocks 0 to n-1 and lets each be written.
func putAll(c *Cache, n int) {
	for i := range n {
		c.Put(keyOf(i), blockOf(i))
		synctest.Wait()
	}
}

func TestMemoryGivesBackWhatWasPut(t *testing.T) {
	c := open(t, Config{MemoryBytes: 10 * (BlockSize + blockOverhead)})
	for i := range 10 {
		block := blockOf(i)
		c.Put(keyOf(i), block)
		clear(block) // the caller goes on using its buffer
	}
	if hits := found(t, c, 10); hits != 10 {
		t.Errorf("%d of 10 blocks are there", hits)
	}
	for _, k := range []Key{{Index: 1}, {Pack: cairn.PackID{1}, Index: 1, Block: 1}, {Block: 1}} {
		if _, ok := c.Get(k); ok {
			t.Errorf("%v was never put", k)
		}
	}
	s := c.Stats()
	if s.MemoryHits != 10 || s.Misses != 3 || s.DiskHits != 0 || !s.Loaded {
		t.Errorf("%+v", s)
	}
}

func TestNoBudgetAndOddBlocksCacheNothing(t *testing.T) {
	c := open(t, Config{})
	c.Put(keyOf(1), blockOf(1))
	if _, ok := c.Get(keyOf(1)); ok {
		t.Error("a cache without a budget has a block")
	}
	c = open(t, Config{MemoryBytes: 1 << 20})
	c.Put(keyOf(1), nil)
	c.Put(keyOf(2), make([]byte, BlockSize+1))
	if hits := found(t, c, 3); hits != 0 || c.Stats().MemoryBytes != 0 {
		t.Errorf("%d odd blocks are held", hits)
	}
}

func TestBoundsHoldUnderLoad(t *testing.T) {
	fs := durable.NewMem()
	config := configFor(fs, 40)
	config.MemoryBytes = 20 * BlockSize
	c := open(t, config)
	blocks := make([][]byte, 200)
	for i := range blocks {
		blocks[i] = blockOf(i)
	}
	var readers sync.WaitGroup
	for r := range 8 {
		readers.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(r), 0))
			for range 600 {
				n := rnd.IntN(len(blocks))
				if rnd.IntN(2) == 0 {
					n = rnd.IntN(20)
				}
				got, ok := c.Get(keyOf(n))
				if ok && !bytes.Equal(got, blocks[n]) {
					t.Errorf("block %d has wrong bytes", n)
				}
				if !ok {
					c.Put(keyOf(n), blocks[n])
				}
				if s := c.Stats(); s.MemoryBytes > config.MemoryBytes || s.DiskBlocks > 40 {
					t.Errorf("past the budgets: %+v", s)
				}
			}
		})
	}
	readers.Wait()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if size, err := fs.Size(fileAt); err != nil || size > config.DiskBytes {
		t.Errorf("the file has %d bytes, %d are allowed: %v", size, config.DiskBytes, err)
	}
	s := c.Stats()
	if s.MemoryHits == 0 || s.DiskHits == 0 || s.Misses == 0 || s.MemoryHits+s.DiskHits+s.Misses != 8*600 {
		t.Errorf("4,800 Gets: %+v", s)
	}
	if s.Corrupt != 0 || s.Failed != 0 {
		t.Errorf("a good disk: %+v", s)
	}
}
