package layout

import (
	"math"
	"slices"
	"testing"

	"github.com/cairn-storage/cairn"
)

func TestUsableIsWhatFits(t *testing.T) {
	for _, c := range []struct {
		promise, coding, operators string
		weights                    []float64
		want                       float64
	}{
		{"all alike", "4+3", "abcdefg", []float64{1, 1, 1, 1, 1, 1, 1}, 4},
		{"a spare adds its share", "4+3", "abcdefgh", []float64{1, 1, 1, 1, 1, 1, 1, 1}, 8 * 4. / 7},
		{"the smallest of exactly n bounds all", "4+3", uneven, unevenWeights, .4e12},
		{"a smaller coding uses the large ones", "2+2", uneven, unevenWeights, 2.6e12},
		{"pairs with a giant: the others bound it", "1+1", "abc", []float64{100, 2, 1}, 3},
		{"one alone", "1+0", "a", []float64{5}, 5},
		{"all of many without parity", "1+0", "abc", []float64{5, 2, 1}, 8},
		{"too few nodes", "2+1", "ab", []float64{5, 5}, 0},
		{"full nodes are no nodes", "2+1", "abc", []float64{5, 5, 0}, 0},
		{"the nodes of an operator hold one shard together", "1+1", "aab", []float64{3, 3, 2}, 2},
		{"one operator: each node is a domain", "2+1", "aaa", []float64{3, 3, 2}, 4},
		{"three operators share four shards", "2+2", "aabbcc", []float64{1, 1, 1, 1, 1, 1}, 3},
	} {
		got := Usable(coding(t, c.coding), nodesOf(c.operators, c.weights...))
		if math.Abs(got-c.want) > 1e-9*c.want {
			t.Errorf("%s: %g usable, want %g", c.promise, got, c.want)
		}
	}
	if got := Usable(cairn.Coding{}, nodesOf("abc")); got != 0 {
		t.Errorf("no coding at all: %g usable", got)
	}
}

// Placing packs until none can be placed any more fills what Usable said, one
// shard per operator all the way.
func TestPlaceFillsWhatUsablePromised(t *testing.T) {
	rnd := seeded(31)
	for _, c := range []struct {
		coding, operators string
		weights           []float64
	}{
		{"2+2", uneven, []float64{4000, 2000, 1000, 1000, 400, 100, 100}},
		{"4+3", "abcdefgh", []float64{500, 500, 500, 500, 500, 500, 500, 250}},
		{"1+1", "abcde", []float64{3000, 1000, 800, 700, 100}},
		{"2+1", "aabbcdd", []float64{300, 200, 1000, 10, 800, 50, 900}},
		{"2+2", "aaaaaa", []float64{900, 700, 500, 300, 200, 100}},
	} {
		code, nodes := coding(t, c.coding), nodesOf(c.operators, c.weights...)
		want := Usable(code, nodes) / float64(code.K) // packs whose shards have size 1
		packs := 0.0
		for {
			at, err := Place(code, nodes, rnd)
			if err != nil {
				break
			}
			if operators := len(fleetOf(nodes).names); operators >= 3 && counts(at, nodes)[0] > 1 {
				break // doubling up is not counted
			}
			for _, n := range at {
				for i := range nodes {
					if nodes[i].Node == n {
						nodes[i].Weight--
					}
				}
			}
			packs++
		}
		if packs < want*.97 || packs > want*1.03 {
			t.Errorf("%s on %v: %.0f packs found a place, Usable said %.0f", c.coding, c.weights, packs, want)
		}
	}
}

func TestFatalNamesWhoMustNotBeLost(t *testing.T) {
	for _, c := range []struct {
		promise, coding, operators string
		want                       []string
	}{
		{"nobody in a good fleet", "4+3", "abcdefg", nil},
		{"everybody without parity", "1+0", "abc", []string{"a", "b", "c"}},
		{"the one who has all nodes", "2+2", "aaaa", []string{"a"}},
		{"two with two each: nobody", "2+2", "aabb", nil},
		{"the one with most nodes of two", "2+2", "abbbb", []string{"b"}},
		{"who gets the odd shard", "3+1", "aabbcc", []string{"a", "b", "c"}},
		{"who has no second node is safe", "3+1", "aabbc", []string{"a", "b"}},
		{"nothing can be placed", "2+2", "abc", nil},
	} {
		nodes, code := nodesOf(c.operators), coding(t, c.coding)
		got := Fatal(code, nodes)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.promise, got, c.want)
		}
	}
}

// Fatal is exact: it names just those whom some placement gives more than m.
func TestFatalAgreesWithPlace(t *testing.T) {
	rnd := seeded(41)
	for range 60 {
		c := cairn.Coding{K: 1 + rnd.IntN(4), M: rnd.IntN(4)}
		var operators string
		for range 1 + rnd.IntN(9) {
			operators += string(rune('a' + rnd.IntN(4)))
		}
		nodes := nodesOf(operators)
		worst := make(map[string]bool)
		for range 200 {
			at, err := Place(c, nodes, rnd)
			if err != nil {
				break
			}
			for name, n := range PerOperator(at, nodes) {
				if n > c.M {
					worst[name] = true
				}
			}
		}
		fatal := Fatal(c, nodes)
		if len(fatal) != len(worst) {
			t.Fatalf("%v on %s: Fatal says %q, placements %v", c, operators, fatal, worst)
		}
		for _, name := range fatal {
			if !worst[name] {
				t.Fatalf("%v on %s: %s never gets more than m", c, operators, name)
			}
		}
	}
}
