package index

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

// BenchmarkApply applies groups of 16 puts of new keys: what a busy committer
// does after each sync of its stage.
func BenchmarkApply(b *testing.B) {
	x := open(b, durable.OS(), b.TempDir())
	b.ReportAllocs()
	lsn := uint64(0)
	for b.Loop() {
		var group [16]Change
		for i := range group {
			lsn++
			group[i] = putRec(st(1, lsn), fmt.Sprintf("nar/%032x", lsn*0x9e3779b97f4a7c15), "A")
		}
		must(b, x.Apply(group[:]))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(lsn), "ns/put")
}

// BenchmarkOverwrite is the same over 1,000 keys that are there.
func BenchmarkOverwrite(b *testing.B) {
	x := open(b, durable.OS(), b.TempDir())
	b.ReportAllocs()
	lsn := uint64(0)
	for b.Loop() {
		var group [16]Change
		for i := range group {
			lsn++
			group[i] = putRec(st(1, lsn), fmt.Sprintf("nar/%032x", lsn%1000), "A")
		}
		must(b, x.Apply(group[:]))
	}
}

// filled is an index of n objects, flushed.
func filled(b *testing.B, n int) *Index {
	x := open(b, durable.OS(), b.TempDir())
	var group []Change
	for i := range n {
		group = append(group, putRec(st(1, uint64(i+1)), fmt.Sprintf("nar/%08d", i), "AB"))
		if len(group) == 100 || i == n-1 {
			must(b, x.Apply(group))
			group = group[:0]
		}
	}
	must(b, x.Flush())
	return x
}

func BenchmarkObject(b *testing.B) {
	const n = 100_000
	x := filled(b, n)
	rng := rand.New(rand.NewPCG(1, 1))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.Object(1, fmt.Sprintf("nar/%08d", rng.IntN(n))); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkList1000(b *testing.B) {
	x := filled(b, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		entries, _, _, _, err := x.List(1, "nar/", "/", "nar/00050000", 1000)
		if err != nil || len(entries) != 1000 {
			b.Fatal(len(entries), err)
		}
	}
}

func BenchmarkPack(b *testing.B) {
	x := open(b, durable.OS(), b.TempDir())
	row := PackRow{Params: pack.Params{ID: packID('A')}}
	must(b, x.SetPack(row))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.Pack(packID('A')); err != nil {
			b.Fatal(err)
		}
	}
}

// madeRows are the rows of n objects of two packs each, and of n/50 packs, as a
// merge of runs hands them over.
func madeRows(n int) iter.Seq2[pack.Row, error] {
	return func(yield func(pack.Row, error) bool) {
		if !yield(pack.Row{Key: []byte{kindGeneration}, Value: []byte{0, 0, 0, 9}}, nil) ||
			!yield(pack.Row{Key: []byte{kindApplied, 0, 0, 0, 1}, Value: binary.BigEndian.AppendUint64(nil, uint64(n))}, nil) {
			return
		}
		at := make([]cairn.Location, 7)
		for i := range n / 50 {
			id := cairn.NewPackID(uint64(i+1), [10]byte{})
			row := PackRow{Params: pack.Params{Store: testStore, ID: id, Coding: cairn.Coding{K: 4, M: 3}}, Kind: pack.Log, State: Spread, At: at}
			if !yield(pack.Row{Key: append([]byte{kindPack}, id[:]...), Value: row.encode()}, nil) {
				return
			}
		}
		for i := range n {
			p := putRec(st(1, uint64(i+1)), fmt.Sprintf("nar/%032x.nar.zst", i), "AB").Record.Body.(pack.Put)
			for j := range p.Parts[0].Extents {
				p.Parts[0].Extents[j].Pack = cairn.NewPackID(uint64(i/50+j+1), [10]byte{})
			}
			f := &fact{version: st(1, uint64(i+1)), record: st(1, uint64(i+1)), kind: put, head: encodeHead(p)}
			f.where, _ = encodeWhere(p.Parts, nil)
			if !yield(pack.Row{Key: append([]byte{kindObject}, plainKey(0, objectKey{1, p.Key})[1:]...), Value: f.liveRow()}, nil) {
				return
			}
		}
	}
}

// BenchmarkLoad fills an index with 1,000,000 objects. peak-MB is the most
// memory in use on the way.
func BenchmarkLoad(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		x := open(b, durable.OS(), b.TempDir())
		peak, seen := uint64(0), 0
		must(b, x.Load(func(yield func(pack.Row, error) bool) {
			for r, err := range madeRows(n) {
				if seen++; seen%50_000 == 0 {
					var m runtime.MemStats
					runtime.ReadMemStats(&m)
					peak = max(peak, m.Sys-m.HeapReleased)
				}
				if !yield(r, err) {
					return
				}
			}
		}))
		if x.Totals().Objects != n {
			b.Fatal(x.Totals())
		}
		b.ReportMetric(float64(peak)/1e6, "peak-MB")
	}
}

// BenchmarkRows reads a run out of an index of 1,000,000 objects: all of it,
// or the 1 % that changed.
func BenchmarkRows(b *testing.B) {
	const n = 1_000_000
	x := open(b, durable.OS(), b.TempDir())
	must(b, x.Load(madeRows(n)))
	var group []Change
	for i := range n / 100 {
		if group = append(group, putRec(st(2, uint64(i+1)), fmt.Sprintf("nar/%032x.nar.zst", i*97), "C")); len(group) == 100 {
			must(b, x.Apply(group))
			group = group[:0]
		}
	}
	s, err := x.Snapshot()
	must(b, err)
	defer s.Close()
	for _, from := range []uint32{0, s.Generation()} {
		b.Run(fmt.Sprintf("from=%d", from), func(b *testing.B) {
			for b.Loop() {
				rows, bytes := 0, 0
				for r, err := range s.Rows(from) {
					must(b, err)
					rows++
					bytes += len(r.Key) + len(r.Value)
				}
				b.ReportMetric(float64(rows), "rows")
				b.ReportMetric(float64(bytes)/1e6, "MB")
			}
		})
	}
}
