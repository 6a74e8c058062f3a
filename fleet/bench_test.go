package fleet

import (
	"testing"

	"github.com/cairn-storage/cairn/pack"
)

// BenchmarkRead reads one aligned block of a 4+3 pack.
func BenchmarkRead(b *testing.B) {
	for _, x := range []struct {
		name     string
		memory   int64
		degraded bool
	}{{"cached", 64 << 20, false}, {"uncached", 0, false}, {"degraded", 0, true}} {
		b.Run(x.name, func(b *testing.B) {
			r := newRig(b, 7, cacheOf(x.memory))
			sp := r.spread(coding("4+3"), 16<<20)
			if x.degraded {
				n, _ := r.holder(sp, 0)
				down(r, n)
			}
			buf := make([]byte, pack.BlockSize)
			blocks := int(sp.Length) / pack.BlockSize
			if x.memory > 0 {
				r.read(sp, 0, int(sp.Length), 0)
			}
			b.SetBytes(pack.BlockSize)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := r.Read(b.Context(), sp.Params, sp.where, uint64(i%blocks)*pack.BlockSize, buf, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkScatter puts one pack of 16 MiB, coded 4+3, on seven nodes in memory.
func BenchmarkScatter(b *testing.B) {
	r := newRig(b, 7)
	sp := r.seal(coding("4+3"), 16<<20)
	b.SetBytes(16 << 20)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Scatter(b.Context(), sp.Sealed, nil, noIntent); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		for _, n := range r.nodes {
			for _, name := range n.mem.Names() {
				if name != "cairn.json" {
					n.mem.Drop(name)
				}
			}
			n.take("")
		}
		b.StartTimer()
	}
}
