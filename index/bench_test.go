package index

import (
	"fmt"
	"math/rand/v2"
	"testing"

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
