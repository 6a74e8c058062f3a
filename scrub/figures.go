package scrub

import (
	"maps"

	"github.com/cairn-storage/cairn"
)

// Sum is a number of packs and their bytes.
type Sum struct {
	Packs int64 `json:"packs"`
	Bytes int64 `json:"bytes"` // of packs, not of their shards
}

func (s *Sum) add(o Sum) {
	s.Packs += o.Packs
	s.Bytes += o.Bytes
}

// figures is what packs come to at one moment.
type figures struct {
	shards                       Shards
	missing, spare               [cairn.MaxShards + 1]Sum // packs, by how many
	dead                         Sum                      // packs that cannot be read now
	lost                         Sum
	worst, whole, full           int   // domains that may fail: now, after repair, with all shards on their own
	back                         int   // the same when every node comes back that may
	packs, mend                  int64 // that worst, back and full, and whole, are of
	backPacks, backShards, bytes int64
	codings                      map[cairn.Coding]Sum
}

// least is the lower of a and b, where a is of so many packs.
func least(a, b int, packs int64) int {
	if packs == 0 {
		return b
	}
	return min(a, b)
}

// add counts the packs of a pattern.
func (f *figures) add(v *view, t *pattern) {
	k, n, packs := t.coding.K, t.coding.N(), t.sum.Packs
	domains := make(map[string]int)
	counts := t.shards(v, func(n nodeView) { domains[v.domain(n)]++ })
	a := assessed{counts: counts, good: counts[sound] + counts[leavingNode] + counts[doubled], spare: spareOf(k, domains)}
	a.row.Params.Coding = t.coding
	f.missing[n-a.good].add(t.sum)
	f.worst = least(f.worst, a.spare, f.packs)
	f.back = least(f.back, t.spareBack(v), f.packs)
	f.full = least(f.full, t.coding.M, f.packs)
	f.packs += packs
	if a.readable() >= k {
		// What is made again comes to domains that hold none, as far as there are.
		for i := range min(n-a.good, max(0, v.sound-len(domains))) {
			domains["made again "+string(rune('a'+i))]++
		}
		f.whole = least(f.whole, spareOf(k, domains), f.mend)
		f.mend += packs
	}
	switch {
	case a.mayCome() < k:
		f.lost.add(t.sum)
	case a.readable() < k:
		f.dead.add(t.sum)
	default:
		f.spare[max(a.spare, 0)].add(t.sum)
	}
	made := 0
	for st, c := range counts {
		if shardState(st).toMake(a.few(), byGrace) {
			made += c
		}
	}
	if made > 0 {
		f.backPacks += packs
		f.backShards += int64(made) * packs
		f.bytes += int64(made) * t.bytes
	}
	s := &f.shards
	s.Good += int64(counts[sound]+counts[doubled]) * packs
	s.Leaving += int64(counts[leavingNode]) * packs
	s.Away += int64(counts[onAway]+counts[onSettled]) * packs
	s.Suspect += int64(counts[onSuspect]+counts[onExpired]) * packs
	s.Quarantined += int64(counts[onQuarantined]+counts[onCondemned]) * packs
	s.Wrong += int64(counts[wrongBytes]) * packs
	s.Missing += int64(counts[lost]+counts[onGone]+counts[onAbsent]) * packs
	s.Unknown += int64(counts[unknown]+counts[onUnseen]) * packs
	if f.codings == nil {
		f.codings = make(map[cairn.Coding]Sum)
	}
	sum := f.codings[t.coding]
	sum.add(t.sum)
	f.codings[t.coding] = sum
}

// spareBack is how many domains may fail once every node is back that was not
// given up by a person.
func (t *pattern) spareBack(v *view) int {
	var seen uint64 // a bit for each shard
	domains := make(map[string]int)
	for _, l := range t.at {
		n := v.of(l.node)
		if n.is == gone && !n.returns || l.bad || seen&(1<<l.index) != 0 {
			continue
		}
		seen |= 1 << l.index
		domains[v.domain(n)]++
	}
	return spareOf(t.coding.K, domains)
}

// figures applies the nodes' states of now to a census.
func (c *census) figures(v *view) figures {
	f := c.rest // a copy but for the map
	f.codings = maps.Clone(f.codings)
	for _, t := range c.patterns {
		f.add(v, t)
	}
	return f
}
