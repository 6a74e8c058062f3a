package scrub

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
)

// pattern is the packs of one coding whose shards stand on one set of nodes.
type pattern struct {
	coding cairn.Coding
	at     []standsAt // sorted
	sum    Sum
	bytes  int64 // of one shard each, summed

	verdict *verdict // at the time of the census; nil before the first
}

// standsAt is one file of a shard. Which shard a node has means nothing where no
// shard has two files, and is forgotten then.
type standsAt struct {
	node  cairn.NodeID
	index uint8
	bad   bool // its bytes are wrong
}

// patternsMost bounds the patterns of a census.
const patternsMost = 20_000

// tally returns what adds a row to its pattern, which it returns: nil for a row
// that is unlike others, with wrong shards or two places for one.
func (s *Scrub) tally(c *census, v *view) func(index.PackRow) *pattern {
	s.mu.Lock()
	bad := maps.Clone(s.marks.of[wrong])
	s.mu.Unlock()
	var key []byte
	var at []standsAt
	return func(row index.PackRow) *pattern {
		p := row.Params
		c.packs++
		c.bytes += int64(row.Bytes)
		c.last = p.ID
		size := p.FileSize()
		single, plain := true, true
		var seen uint32
		at = at[:0]
		for _, l := range row.At {
			if int(l.Index) >= p.Coding.N() {
				continue
			}
			n := c.nodes[l.Node]
			if n == nil {
				n = &load{}
				c.nodes[l.Node] = n
			}
			n.shards++
			n.bytes += size
			single = single && seen&(1<<l.Index) == 0
			seen |= 1 << l.Index
			stands := standsAt{node: l.Node, index: l.Index}
			if len(bad) > 0 {
				_, stands.bad = bad[place{p.ID, l}]
				plain = plain && !stands.bad
			}
			at = append(at, stands)
		}
		slices.SortFunc(at, func(a, b standsAt) int {
			return cmp.Or(bytes.Compare(a.node[:], b.node[:]), cmp.Compare(a.index, b.index))
		})
		key = append(key[:0], byte(p.Coding.K), byte(p.Coding.M))
		for i := range at {
			if single {
				at[i].index = uint8(i)
			}
			key = append(append(key, at[i].index, boolByte(at[i].bad)), at[i].node[:]...)
		}
		t := c.patterns[string(key)]
		if t == nil {
			t = &pattern{coding: p.Coding, at: slices.Clone(at)}
			if len(c.patterns) >= patternsMost {
				t.sum, t.bytes = Sum{1, int64(row.Bytes)}, size
				c.rest.add(v, t)
				return nil
			}
			c.patterns[string(key)] = t
		}
		t.sum.add(Sum{1, int64(row.Bytes)})
		t.bytes += size
		if !plain || !single {
			return nil
		}
		return t
	}
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// shards is how the shards of the pattern stand: of two files of one the better
// counts. good is told the node of each that is good.
func (t *pattern) shards(v *view, good func(nodeView)) (counts [shardStates]int) {
	var state [cairn.MaxShards]shardState
	var best [cairn.MaxShards]nodeView
	for i := range t.coding.N() {
		state[i] = unknown
		if v.all {
			state[i] = lost
		}
	}
	for _, l := range t.at {
		n := v.of(l.node)
		if st := stateOf(n, l.bad); state[l.index] >= lost || st < state[l.index] {
			state[l.index], best[l.index] = st, n
		}
	}
	if v.free(func(id cairn.NodeID) bool {
		return slices.ContainsFunc(t.at, func(l standsAt) bool { return l.node == id })
	}) {
		part(t.coding.N(), func(i int) (*shardState, cairn.NodeID) { return &state[i], best[i].ID })
	}
	for i := range t.coding.N() {
		counts[state[i]]++
		if state[i].good() {
			good(best[i])
		}
	}
	return counts
}

// depends tells what the packs of the pattern are without a node: 0 for no
// worse, 1 where a shard less may come back of packs that can still be read, -1
// where they could be read with it and cannot without.
func (t *pattern) depends(v *view, id cairn.NodeID) int {
	may := func(w *view) int {
		a := assessed{counts: t.shards(w, func(nodeView) {})}
		return a.mayCome()
	}
	with, left := may(v), may(v.withoutFor(id))
	switch {
	case left == with:
		return 0
	case left < t.coding.K && with >= t.coding.K:
		return -1
	}
	return 1
}
