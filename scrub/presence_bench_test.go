package scrub

import (
	"context"
	"iter"
	"runtime"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/internal/durable"
)

// listingNodes lists what the rows say, in no order.
type listingNodes struct {
	*stillNodes
	rows *manyRows
}

func (l *listingNodes) Files(_ context.Context, node cairn.NodeID) iter.Seq2[fleet.File, error] {
	return func(yield func(fleet.File, error) bool) {
		for row := range l.rows.Packs(cairn.PackID{}) {
			for _, at := range row.At {
				if at.Node == node && !yield(fleet.File{Shard: at.Name(row.Params.ID), Size: row.Params.FileSize()}, nil) {
					return
				}
			}
		}
	}
}

// BenchmarkPresence joins a node's listing with the index, spilling to disk.
func BenchmarkPresence(b *testing.B) {
	const packs = 300_000
	r := &rig{tb: b, clock: &bubbleClock{start: time.Now()}}
	s := many10(b, r, packs)
	s.c.FS, s.c.Dir = durable.OS(), b.TempDir()
	s.c.Nodes = &listingNodes{s.c.Nodes.(*stillNodes), s.c.Store.(*manyRows)}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		f, err := s.compare(b.Context(), cairn.NodeID{5})
		if err != nil || len(f.absent)+len(f.extras)+len(f.strangers) != 0 || f.shards < packs/2 {
			b.Fatal(err, len(f.absent), len(f.extras), f.shards)
		}
	}
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(packs)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(after.HeapSys)/(1<<20), "heap-MiB")
}
