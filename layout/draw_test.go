package layout

import (
	"math"
	"slices"
	"testing"

	"github.com/cairn-storage/cairn"
)

func TestNodesFillInProportionToTheirWeights(t *testing.T) {
	for _, c := range []struct {
		promise, coding, operators string
		weights, want              []float64 // want: share of the packs that a node is in
	}{
		{"all alike", "2+1", "abcdef", []float64{1, 1, 1, 1, 1, 1}, []float64{.5, .5, .5, .5, .5, .5}},
		{"in proportion", "1+1", "abcd", []float64{4, 3, 2, 1}, []float64{.8, .6, .4, .2}},
		{"a giant is always in, the others share the rest", "1+1", "abc", []float64{100, 2, 1}, []float64{1, 2. / 3, 1. / 3}},
		{"the nodes of an operator share its shard", "1+1", "aabc", []float64{3, 1, 2, 2}, []float64{.75, .25, .5, .5}},
		{"an infinite weight is a large one", "1+1", "abc", []float64{math.Inf(1), 1, 1}, []float64{1, .5, .5}},
		{"the smallest number counts", "1+1", "abc", []float64{math.SmallestNonzeroFloat64, 1, 1}, []float64{0, 1, 1}},
	} {
		t.Run(c.promise, func(t *testing.T) {
			const packs = 4_000
			nodes, rnd := nodesOf(c.operators, c.weights...), seeded(5)
			in := make(map[cairn.NodeID]float64)
			for range packs {
				at, err := Place(coding(t, c.coding), nodes, rnd)
				if err != nil {
					t.Fatal(err)
				}
				for _, n := range at {
					in[n]++
				}
			}
			for i, n := range nodes {
				// 5 standard deviations of a fair draw
				if got := in[n.Node] / packs; math.Abs(got-c.want[i]) > 5*0.5/math.Sqrt(packs) {
					t.Errorf("node %d is in %.3f of the packs, want %.3f", i, got, c.want[i])
				}
			}
		})
	}
}

func TestEveryNodeGetsDataAndParity(t *testing.T) {
	nodes, rnd := nodesOf("abcd"), seeded(9)
	first := make(map[cairn.NodeID]int)
	for range 4000 {
		at, err := Place(cairn.Coding{K: 2, M: 2}, nodes, rnd)
		if err != nil {
			t.Fatal(err)
		}
		first[at[0]]++
	}
	for _, n := range nodes {
		if got := first[n.Node]; got < 800 || got > 1200 {
			t.Errorf("node %v has shard 0 of %d in 4,000 packs", n.Node, got)
		}
	}
}

func TestAllPairsOfNodesMeet(t *testing.T) {
	nodes, rnd := nodesOf("abcdefgh"), seeded(11)
	met := make(map[[2]byte]int)
	for range 2000 {
		at, err := Place(cairn.Coding{K: 1, M: 1}, nodes, rnd)
		if err != nil {
			t.Fatal(err)
		}
		met[[2]byte{min(at[0][0], at[1][0]), max(at[0][0], at[1][0])}]++
	}
	if len(met) != 8*7/2 {
		t.Errorf("only %d of 28 pairs share packs: losing nodes would hit all packs of some", len(met))
	}
}

func TestOneGeneratorStateGivesOnePlacement(t *testing.T) {
	nodes := nodesOf("aabbccddeeff")
	for seed := range uint64(50) {
		a, errA := Place(cairn.Coding{K: 2, M: 2}, nodes, seeded(seed))
		b, errB := Place(cairn.Coding{K: 2, M: 2}, nodes, seeded(seed))
		if errA != nil || errB != nil || !slices.Equal(a, b) {
			t.Fatalf("%v, %v and %v, %v", a, errA, b, errB)
		}
	}
}

func FuzzDraw(f *testing.F) {
	f.Add(uint64(1), uint8(3), []byte{1, 2, 3, 4, 5})
	f.Add(uint64(2), uint8(4), []byte{0, 255, 0, 255, 0, 128})
	f.Fuzz(func(t *testing.T, seed uint64, need uint8, exponents []byte) {
		if len(exponents) == 0 || len(exponents) > 64 {
			return
		}
		weights := make([]float64, len(exponents))
		for i, e := range exponents {
			weights[i] = max(math.Pow(2, float64(e)*8-1020), math.SmallestNonzeroFloat64)
		}
		n := int(need) % (len(weights) + 1)
		got := draw(weights, n, seeded(seed))
		slices.Sort(got)
		if len(got) != max(n, 0) || len(slices.Compact(slices.Clone(got))) != n {
			t.Fatalf("%d of %v: %v", n, weights, got)
		}
	})
}
