package layout

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
)

const uneven = "abcdefg" // the fleet of DESIGN section 9: 8.6 TB, very unequal

var unevenWeights = []float64{4e12, 2e12, 1e12, 1e12, .4e12, .1e12, .1e12}

func TestAutoFollowsOperatorsAndSpace(t *testing.T) {
	for _, c := range []struct {
		promise, operators string
		weights            []float64
		want               string
	}{
		{"nobody", "", nil, "1+0"},
		{"one", "a", nil, "1+0"},
		{"two", "ab", nil, "1+1"},
		{"three", "abc", nil, "2+1"},
		{"four", "abcd", nil, "2+2"},
		{"five, one spare", "abcde", nil, "2+2"},
		{"six, one spare", "abcdef", nil, "3+2"},
		{"seven, one spare", "abcdefg", nil, "3+3"},
		{"eight, one spare", "abcdefgh", nil, "4+3"},
		{"nine", "abcdefghi", nil, "4+4"},
		{"thirteen", "abcdefghijklm", nil, "4+4"},
		{"three operators count, however many nodes they have", "aaaabbbbcccc", nil, "2+1"},
		{"nodes that take nothing do not count", "abcd", []float64{1, 1, 0, math.NaN()}, "1+1"},
		{"one stick among disks is not counted", "abcdefg", []float64{8, 8, 8, 8, 8, 8, .01}, "3+2"},
		{"one giant does not shrink the others", "abcde", []float64{1000, 1, 1, 1, 1}, "2+2"},
		{"many sizes: the coding that uses most of them", uneven, unevenWeights, "2+2"},
		{"four large and three small", "abcdefg", []float64{8, 8, 8, 8, 2, 2, 2}, "3+2"},
		{"two large and two small: pairs", "abcd", []float64{100, 100, 1, 1}, "1+1"},
		{"space is never worth all redundancy", "ab", []float64{1000, 1}, "1+1"},
	} {
		if got := Auto(nodesOf(c.operators, c.weights...)); got.String() != c.want {
			t.Errorf("%s: %v, want %s", c.promise, got, c.want)
		}
	}
}

// TestHazardB21: below three operators the nodes are the domains, so that a
// person with several disks has parity, and is told whose loss is fatal.
func TestHazardB21(t *testing.T) {
	for _, c := range []struct {
		operators, want string
		fatal           []string
	}{
		{"aa", "1+1", []string{"a"}},
		{"aaa", "2+1", []string{"a"}},
		{"aaaa", "2+2", []string{"a"}},
		{"aab", "2+1", []string{"a"}},
		{"aabb", "2+2", nil},
		{"abc", "2+1", nil},
	} {
		nodes := nodesOf(c.operators)
		got := Auto(nodes)
		if got.String() != c.want {
			t.Errorf("%s: %v, want %s", c.operators, got, c.want)
		}
		at, err := Place(got, nodes, seeded(1))
		if err != nil {
			t.Fatalf("%s: %v", c.operators, err)
		}
		seen := make(map[cairn.NodeID]bool)
		for _, n := range at {
			if seen[n] {
				t.Errorf("%s: two shards of a pack on node %v", c.operators, n)
			}
			seen[n] = true
		}
		if fatal := Fatal(got, nodes); !slices.Equal(fatal, c.fatal) {
			t.Errorf("%s: the loss of %v is fatal, want %v", c.operators, fatal, c.fatal)
		}
	}
}

// One operator more, of any size, must never leave less than half the space.
func TestAnotherOperatorNeverShrinksTheStoreMuch(t *testing.T) {
	rnd := seeded(21)
	for range 400 {
		names := "abcdefghijkl"[:3+rnd.IntN(9)]
		weights := make([]float64, len(names))
		for i := range weights {
			weights[i] = math.Exp(8 * rnd.Float64())
		}
		nodes := nodesOf(names, weights...)
		before, after := Auto(nodes[:len(nodes)-1]), Auto(nodes)
		raw := func(c cairn.Coding, nodes []Candidate) float64 {
			return Usable(c, nodes) / float64(c.K) * float64(c.N())
		}
		if was, is := raw(before, nodes[:len(nodes)-1]), raw(after, nodes); is < was/worthShare*.999 {
			t.Fatalf("%v: %v uses %.1f, before the last came %v used %.1f", weights, after, is, before, was)
		}
		if _, err := Place(after, nodes, rnd); err != nil {
			t.Fatalf("%v: %v", weights, err)
		}
	}
}

func TestNinesCompareCodings(t *testing.T) {
	const year = 365 * 24 * time.Hour
	nines := func(s string) float64 { return Nines(coding(t, s), 3*year, 2*24*time.Hour) }
	if got := nines("1+0"); math.Abs(got-(-math.Log10(1-math.Exp(-1./3*(1-2./365/3))))) > 0.01 {
		t.Errorf("1+0 has %.3f nines", got)
	}
	for _, c := range []struct{ less, more string }{{"1+0", "1+1"}, {"2+1", "1+1"}, {"2+1", "2+2"}, {"4+3", "3+3"}, {"4+3", "4+4"}} {
		if nines(c.less) >= nines(c.more) {
			t.Errorf("%s has %.2f nines, %s %.2f", c.less, nines(c.less), c.more, nines(c.more))
		}
	}
	if got := Nines(cairn.Coding{K: 2, M: 2}, 0, time.Hour); !math.IsNaN(got) {
		t.Errorf("nodes that live no time: %g", got)
	}
	if got := Nines(cairn.Coding{K: 2, M: 2}, year, 0); !math.IsInf(got, 1) {
		t.Errorf("repair in no time: %g", got)
	}
}
