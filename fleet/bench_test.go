package fleet

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/cairn-storage/cairn/layout"
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

// cpuTime is the time of all cores that this process took.
func cpuTime(tb testing.TB) time.Duration {
	var r syscall.Rusage
	must(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkRepair makes lost shards of 16 MiB packs again, over nodes in memory.
// read/B is how many bytes are read for each byte that is made again; theory is
// k shards for all that are missing. MB/cpu-s is what is made in a second of one
// core, whatever else the machine does.
func BenchmarkRepair(b *testing.B) {
	for _, x := range []struct {
		coding  string
		missing []uint8
	}{{"2+1", []uint8{0}}, {"4+3", []uint8{0}}, {"4+3", []uint8{5}}, {"4+3", []uint8{0, 2, 5}}} {
		b.Run(fmt.Sprintf("%s/lost%d", x.coding, x.missing), func(b *testing.B) {
			c := coding(x.coding)
			r := newRig(b, c.N()+len(x.missing))
			sp := r.spread(c, 16<<20)
			at := sp.without(x.missing...)
			var cost Moved
			b.SetBytes(int64(sp.Length) * int64(len(x.missing)))
			b.ReportAllocs()
			began := cpuTime(b)
			for b.Loop() {
				made, moved, err := r.Repair(b.Context(), sp.Params, at, x.missing, noIntent)
				must(b, err)
				cost.Add(moved)
				for _, l := range made {
					r.at(l.Node).mem.Drop(layout.Path(l.Name(sp.ID)))
				}
				for _, n := range r.nodes {
					n.take("")
				}
			}
			b.ReportMetric(float64(b.N)*float64(sp.Length)*float64(len(x.missing))/1e6/(cpuTime(b)-began).Seconds(), "MB/cpu-s")
			made := float64(b.N) * float64(len(x.missing)) * float64(sp.Length)
			b.ReportMetric(float64(cost.Read)/made, "read/B")
			b.ReportMetric(float64(cost.Read)/float64(b.N)/float64(c.K)/float64(sp.Length), "xtheory")
		})
	}
}
