package store

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/layout"
)

// benchRig is 4+3 over seven nodes in memory and a disk in memory: what is left
// is cairn's own work.
func benchRig(b *testing.B) *rig {
	return newRig(b, 7, func(c *Config) {
		c.Coding, c.FlushAge, c.Settle, c.StageLimit = "4+3", 2*time.Second, time.Second, 1<<30
	})
}

func BenchmarkPut26KiB(b *testing.B) {
	for _, width := range []int{1, 8, 50} {
		b.Run(fmt.Sprintf("c%d", width), func(b *testing.B) {
			r := benchRig(b)
			data := content(1, 26<<10)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			b.ResetTimer()
			var next atomic.Int64
			var wg sync.WaitGroup
			for range width {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						if err := r.put(fmt.Sprint("k", i), data); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			st, err := r.Status(b.Context())
			must(b, err)
			b.ReportMetric(float64(st.Groups)/float64(b.N), "syncs/op")
			r.close()
		})
	}
}

func BenchmarkPut64MiB(b *testing.B) {
	r := benchRig(b)
	data := content(1, 64<<20)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		must(b, r.put("big", data))
		b.StopTimer() // nodes in memory must not grow without bound
		must(b, r.Flush(b.Context()))
		for _, n := range r.nodes {
			for _, name := range n.mem.Names() {
				if name != layout.MarkerName {
					n.mem.Drop(name)
				}
			}
		}
		b.StartTimer()
	}
	r.close()
}

func BenchmarkGet26KiB(b *testing.B) {
	const objects = 2000
	r := benchRig(b)
	data := content(1, 26<<10)
	for i := range objects {
		must(b, r.put(fmt.Sprint("k", i), data))
	}
	get := func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			if _, err := r.get(fmt.Sprint("k", i%objects)); err != nil {
				b.Fatal(err)
			}
			i++
		}
	}
	b.Run("staged", get)
	must(b, r.Flush(b.Context()))
	r.releaseAll()
	b.Run("spread", get)
	r.nodes[0].faulty.SetDown(true)
	r.nodes[1].faulty.SetDown(true)
	b.Run("two-nodes-down", get)
	r.close()
}

func BenchmarkGetLarge(b *testing.B) {
	r := benchRig(b)
	must(b, r.put("big", content(1, 64<<20)))
	must(b, r.Flush(b.Context()))
	r.releaseAll()
	b.SetBytes(64 << 20)
	b.ReportAllocs()
	for b.Loop() {
		_, src, err := r.Open(b.Context(), cairn.Key{Bucket: "bbb", Object: "big"})
		must(b, err)
		if _, err := readRange(b.Context(), src, 0, 64<<20); err != nil {
			b.Fatal(err)
		}
	}
	r.close()
}
