// Package cache keeps blocks of shards that were verified once, in memory and
// in one file on the gateway's disk, so that they need not be fetched again.
// Both have a fixed budget and a replacement that a scan does not flush.
//
// Reading order: cache.go (Get and Put), twoq.go (what stays), disk.go (the
// goroutine that writes the file), format.go (the file).
//
// It refuses to know what a block holds and whether it is the right one:
// callers put in what they verified against a signed root, and get back
// exactly that or nothing. It is a cache: nothing in it is ever synced, any
// block may be gone at any time, and deleting the file loses no data.
package cache

import (
	"bytes"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
)

// BlockSize is the most bytes of one block.
const BlockSize = 64 << 10

// blockOverhead is what a block in memory costs besides its bytes: its places
// in maps and lists.
const blockOverhead = 512

// Key names a block: the number Block of shard Index of a pack.
type Key struct {
	Pack  cairn.PackID
	Index uint8
	Block uint32
}

// Config is what New needs. Both budgets may be 0: without memory every hit
// reads the disk, without disk nothing survives a restart, and without either
// nothing is cached.
type Config struct {
	// MemoryBytes bounds the blocks held in memory, with what it costs to keep
	// them there. Blocks that wait to be written come on top: 4 MiB at most.
	MemoryBytes int64
	// DiskBytes bounds the file. Its index takes about 0.5 percent of that in
	// memory on top of MemoryBytes: 340 bytes for each block held, with its
	// share of what is remembered of those that left.
	DiskBytes int64

	FS    durable.FS    // for the disk; not needed when DiskBytes is 0
	Dir   string        // where the file is, made if missing
	Store cairn.StoreID // whose blocks these are
	MAC   [32]byte      // secret key under which blocks on disk are checked
	Log   *slog.Logger  // nil for silence
}

// Cache is safe for concurrent use.
type Cache struct {
	disk *disk // nil without one

	mu     sync.Mutex
	memory *twoQ[[]byte]
	stats  Stats
}

// Stats counts since New.
type Stats struct {
	MemoryHits uint64 // Gets answered from memory
	DiskHits   uint64 // Gets answered from disk
	Misses     uint64 // Gets not answered
	Dropped    uint64 // blocks not written because the disk was behind
	Corrupt    uint64 // blocks on disk that were not what was written
	Failed     uint64 // reads and writes that the disk refused

	MemoryBytes int64 // held now, at most Config.MemoryBytes
	DiskBlocks  int64 // held now
	Loaded      bool  // what an earlier process left on disk has been taken up
}

// New opens the cache. It returns before what an earlier process left on disk
// is taken up; until then that is not found. A file of another store is left
// alone and ErrInvalid; one of another version or key, a damaged one, and one
// larger than DiskBytes is begun anew. Other errors are those of the disk.
func New(c Config) (*Cache, error) {
	if c.MemoryBytes < 0 || c.DiskBytes < 0 {
		return nil, fmt.Errorf("cache: budgets of %d bytes of memory and %d of disk: %w", c.MemoryBytes, c.DiskBytes, cairn.ErrInvalid)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	cache := &Cache{memory: newTwoQ[[]byte](c.MemoryBytes, int(c.MemoryBytes/BlockSize/2), nil)}
	if c.DiskBytes > 0 {
		d, err := openDisk(c)
		if err != nil {
			return nil, fmt.Errorf("cache: %w", err)
		}
		cache.disk = d
	}
	return cache, nil
}

// Close ends the writing and waits for it; what waits to be written still is.
// The cache answers from memory only afterwards.
func (c *Cache) Close() error {
	if c.disk == nil {
		return nil
	}
	return c.disk.close()
}

// Get returns the block k exactly as it was put, or false. The caller must not
// change it.
func (c *Cache) Get(k Key) ([]byte, bool) {
	c.mu.Lock()
	block, ok, _ := c.memory.get(k)
	if ok {
		c.stats.MemoryHits++
	}
	c.mu.Unlock()
	if ok {
		return block, true
	}
	if c.disk != nil {
		block, ok = c.disk.get(k)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !ok {
		c.stats.Misses++
		return nil, false
	}
	c.stats.DiskHits++
	c.keep(k, block)
	return block, true
}

// Has reports whether Get would find the block k, unless its bytes on the disk
// turn out to be wrong. It counts as no use of it.
func (c *Cache) Has(k Key) bool {
	c.mu.Lock()
	_, ok, _ := c.memory.peek(k)
	c.mu.Unlock()
	return ok || c.disk != nil && c.disk.has(k)
}

// Put keeps a copy of block, which has 1 to BlockSize bytes; any other is not
// kept. It never waits for the disk. What is put under one key must always be
// the same bytes.
func (c *Cache) Put(k Key, block []byte) {
	if len(block) == 0 || len(block) > BlockSize {
		return
	}
	c.mu.Lock()
	held, ok, _ := c.memory.get(k)
	c.mu.Unlock()
	if !ok {
		// A copy: the caller's block is often a part of a much larger window,
		// all of which would stay in memory with it.
		held = bytes.Clone(block)
		c.mu.Lock()
		c.keep(k, held)
		c.mu.Unlock()
	}
	if c.disk != nil {
		c.disk.offer(k, held)
	}
}

// keep puts block into memory. c.mu is held.
func (c *Cache) keep(k Key, block []byte) {
	c.memory.add(k, block, int64(len(block))+blockOverhead)
}

// Stats returns the counts of this moment.
func (c *Cache) Stats() Stats {
	c.mu.Lock()
	s := c.stats
	s.MemoryBytes = c.memory.used
	c.mu.Unlock()
	s.Loaded = true
	if c.disk != nil {
		c.disk.addTo(&s)
	}
	return s
}
