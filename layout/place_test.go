package layout

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
)

// nodesOf makes one node per weight; text gives each node's operator as one
// letter: nodesOf("aab", 1, 2, 3) has two nodes of a and one of b.
func nodesOf(operators string, weights ...float64) []Candidate {
	var nodes []Candidate
	for i, o := range operators {
		w := 1.0
		if len(weights) > 0 {
			w = weights[i]
		}
		nodes = append(nodes, Candidate{Node: cairn.NodeID{0: byte(i + 1)}, Operator: string(o), Weight: w})
	}
	return nodes
}

func coding(t testing.TB, s string) cairn.Coding {
	t.Helper()
	c, err := cairn.ParseCoding(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }

// counts are the shards per operator, most first.
func counts(at []cairn.NodeID, nodes []Candidate) []int {
	var n []int
	for _, c := range PerOperator(at, nodes) {
		n = append(n, c)
	}
	slices.Sort(n)
	slices.Reverse(n)
	return n
}

func TestShardsAreSpreadOverOperators(t *testing.T) {
	for _, c := range []struct {
		promise, coding, operators string
		want                       []int // shards per operator, most first; nil for any
	}{
		{"one alone", "1+0", "a", []int{1}},
		{"one each while there are enough", "4+3", "abcdefgh", []int{1, 1, 1, 1, 1, 1, 1}},
		{"one each, however many nodes an operator has", "2+1", "aaaaaabc", []int{1, 1, 1}},
		{"as evenly as possible with too few operators", "4+3", "aabbccdd", []int{2, 2, 2, 1}},
		{"evenly up to the nodes there are", "4+4", "abcddddd", []int{5, 1, 1, 1}},
		{"three operators share six shards", "3+3", "aaabbbccc", []int{2, 2, 2}},
		{"two operators, m each", "2+2", "aaabbb", []int{2, 2}},
		{"two operators of very different weight, m each", "1+1", "aaab", []int{1, 1}},
		{"two operators that cannot keep to m: nodes are the domains", "2+2", "abbbb", nil},
		{"one operator: nodes are the domains", "2+2", "aaaa", []int{4}},
		{"no parity: still one each", "3+0", "abc", []int{1, 1, 1}},
	} {
		t.Run(c.promise, func(t *testing.T) {
			nodes, code := nodesOf(c.operators), coding(t, c.coding)
			for seed := range uint64(50) {
				at, err := Place(code, nodes, seeded(seed))
				if err != nil {
					t.Fatal(err)
				}
				checkPlacement(t, code, at, nodes)
				if got := counts(at, nodes); c.want != nil && !slices.Equal(got, c.want) {
					t.Fatalf("shards per operator %v, want %v", got, c.want)
				}
			}
		})
	}
}

// checkPlacement fails unless at is n different nodes that take shards.
func checkPlacement(t *testing.T, c cairn.Coding, at []cairn.NodeID, nodes []Candidate) {
	t.Helper()
	if len(at) != c.N() {
		t.Fatalf("%d nodes for %v", len(at), c)
	}
	takes := make(map[cairn.NodeID]bool)
	for _, n := range nodes {
		takes[n.Node] = n.takes()
	}
	seen := make(map[cairn.NodeID]bool)
	for _, n := range at {
		if !takes[n] {
			t.Fatalf("node %v takes no shards", n)
		}
		if seen[n] {
			t.Fatalf("two shards on node %v", n)
		}
		seen[n] = true
	}
}

// Any fleet and coding: distinct nodes, the most even spread there is, and so
// at most max(m, 1) on an operator whenever that can be met.
func TestAnyPlacementKeepsTheRules(t *testing.T) {
	rnd := seeded(7)
	for range 3000 {
		c := cairn.Coding{K: 1 + rnd.IntN(6), M: rnd.IntN(5)}
		nodes := make([]Candidate, 1+rnd.IntN(14))
		perOperator := make(map[string]int)
		operators, free := 1+rnd.IntN(9), 0
		for i := range nodes {
			nodes[i] = Candidate{Node: cairn.NodeID{0: byte(i + 1)}, Operator: fmt.Sprint(rnd.IntN(operators)), Weight: math.Exp(20*rnd.Float64() - 10)}
			if rnd.IntN(8) == 0 {
				nodes[i].Weight = [...]float64{0, -1, math.NaN()}[rnd.IntN(3)]
				continue
			}
			free++
			perOperator[nodes[i].Operator]++
		}
		at, err := Place(c, nodes, rnd)
		if free < c.N() {
			if !errors.Is(err, cairn.ErrUnavailable) {
				t.Fatalf("%v on %d nodes: %v", c, free, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		checkPlacement(t, c, at, nodes)
		// The most even spread has the lowest maximum that gives room for n.
		cap := 0
		for room := 0; room < c.N(); {
			cap, room = cap+1, 0
			for _, n := range perOperator {
				room += min(n, cap)
			}
		}
		limit := max(c.M, 1)
		if len(perOperator) < 3 && cap > limit {
			continue // nodes are the domains
		}
		if got := counts(at, nodes)[0]; got != cap {
			t.Fatalf("%v, nodes per operator %v: %d shards on one, %d would do", c, perOperator, got, cap)
		}
	}
}

func TestReplaceKeepsWhatStandsAndTheRules(t *testing.T) {
	id := func(i int) cairn.NodeID { return cairn.NodeID{0: byte(i)} }
	zero := cairn.NodeID{}
	for _, c := range []struct {
		promise, coding, operators string
		weights                    []float64
		at                         []cairn.NodeID
		avoid                      map[cairn.NodeID]bool
		want                       []int // shards per operator, most first
		never                      []cairn.NodeID
	}{
		{"goes to the operator that has none", "2+1", "aabbcc", nil,
			[]cairn.NodeID{id(1), zero, id(3)}, nil, []int{1, 1, 1}, []cairn.NodeID{id(2), id(4)}},
		{"a kept node that takes nothing more still counts", "1+1", "abc", []float64{0, 1, 1},
			[]cairn.NodeID{id(1), zero}, nil, []int{1, 1}, []cairn.NodeID{id(1)}},
		{"an avoided node is not chosen", "1+1", "abcd", nil,
			[]cairn.NodeID{id(1), zero}, map[cairn.NodeID]bool{id(2): true, id(3): true}, []int{1, 1}, []cairn.NodeID{id(2), id(3)}},
		{"an avoided node that stands is kept", "1+1", "abc", nil,
			[]cairn.NodeID{id(1), zero}, map[cairn.NodeID]bool{id(1): true}, []int{1, 1}, nil},
		{"a kept node that nobody lists is a domain of its own", "2+1", "ab", nil,
			[]cairn.NodeID{id(77), zero, zero}, nil, []int{1, 1, 1}, nil},
		{"doubles up evenly when it must", "2+2", "aabbcc", nil,
			[]cairn.NodeID{id(1), id(2), zero, zero}, nil, []int{2, 1, 1}, nil},
		{"nothing open, nothing changed", "1+1", "ab", nil, []cairn.NodeID{id(2), id(1)}, nil, []int{1, 1}, nil},
		{"two operators keep to m", "2+2", "aaabbb", nil,
			[]cairn.NodeID{id(1), zero, id(2), zero}, nil, []int{2, 2}, []cairn.NodeID{id(3)}},
	} {
		t.Run(c.promise, func(t *testing.T) {
			nodes, before := nodesOf(c.operators, c.weights...), slices.Clone(c.at)
			for seed := range uint64(30) {
				got, err := Replace(coding(t, c.coding), c.at, nodes, c.avoid, seeded(seed))
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(c.at, before) {
					t.Fatal("the argument was changed")
				}
				seen := make(map[cairn.NodeID]bool)
				for i, n := range got {
					if c.at[i] != zero && n != c.at[i] {
						t.Fatalf("shard %d moved from %v to %v", i, c.at[i], n)
					}
					if c.at[i] == zero && slices.Contains(c.never, n) || seen[n] || n == zero {
						t.Fatalf("shard %d came to %v", i, n)
					}
					seen[n] = true
				}
				if n := counts(got, nodes); !slices.Equal(n, c.want) {
					t.Fatalf("shards per operator %v, want %v", n, c.want)
				}
			}
		})
	}
}

func TestPlaceSaysWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		promise string
		coding  cairn.Coding
		at      []cairn.NodeID
		nodes   []Candidate
		class   error
		says    []string
	}{
		{"nodes and operators", cairn.Coding{K: 4, M: 3}, make([]cairn.NodeID, 7), nodesOf("aabbc"), cairn.ErrUnavailable,
			[]string{"4+3", "5 nodes can take one", "2 nodes are missing", "4 operators"}},
		{"no nodes at all", cairn.Coding{K: 1}, make([]cairn.NodeID, 1), nil, cairn.ErrUnavailable, []string{"1 nodes are missing"}},
		{"a node listed twice is one", cairn.Coding{K: 1, M: 1}, make([]cairn.NodeID, 2), append(nodesOf("a"), nodesOf("a")...), cairn.ErrUnavailable, []string{"1 nodes are missing"}},
		{"no such coding", cairn.Coding{K: 0, M: 1}, make([]cairn.NodeID, 1), nodesOf("a"), cairn.ErrInvalid, []string{"0+1"}},
		{"another number of shards", cairn.Coding{K: 1, M: 1}, make([]cairn.NodeID, 3), nodesOf("abc"), cairn.ErrInvalid, []string{"1+1", "3"}},
	} {
		_, err := Replace(c.coding, c.at, c.nodes, nil, seeded(1))
		if !errors.Is(err, c.class) {
			t.Errorf("%s: %v, want %v", c.promise, err, c.class)
			continue
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %q does not say %q", c.promise, err, s)
			}
		}
	}
}
