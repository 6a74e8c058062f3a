package cache

import (
	"runtime"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
)

func BenchmarkGetMemory(b *testing.B) {
	c := open(b, Config{MemoryBytes: 64 << 20})
	for i := range 500 {
		c.Put(keyOf(i), make([]byte, BlockSize))
	}
	b.SetBytes(BlockSize)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, ok := c.Get(keyOf(i % 500)); !ok {
			b.Fatal("not there")
		}
	}
}

func BenchmarkGetDisk(b *testing.B) {
	c := open(b, Config{FS: durable.OS(), Dir: b.TempDir(), DiskBytes: 64 << 20, Store: cairn.StoreID{1}, MAC: [32]byte{1}})
	for i := range 500 {
		if err := c.disk.write(job{keyOf(i), make([]byte, BlockSize)}); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(BlockSize)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, ok := c.Get(keyOf(i % 500)); !ok {
			b.Fatal("not there")
		}
	}
}

func BenchmarkPutMemory(b *testing.B) {
	c := open(b, Config{MemoryBytes: 64 << 20})
	block := make([]byte, BlockSize)
	b.SetBytes(BlockSize)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Put(keyOf(i), block)
	}
}

func BenchmarkWriteDisk(b *testing.B) {
	c := open(b, Config{FS: durable.OS(), Dir: b.TempDir(), DiskBytes: 256 << 20, Store: cairn.StoreID{1}, MAC: [32]byte{1}})
	block := make([]byte, BlockSize)
	b.SetBytes(BlockSize)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := c.disk.write(job{keyOf(i), block}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkIndex measures the memory that the index of a disk takes, as bytes
// for a block, once it has let go as many as it remembers.
func BenchmarkIndex(b *testing.B) {
	const blocks = 200_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		q := newTwoQ[location](blocks, blocks/2, nil)
		for i := range 2 * blocks {
			q.add(keyOf(i), location{}, 1)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/blocks, "B/block")
		runtime.KeepAlive(q)
	}
}
