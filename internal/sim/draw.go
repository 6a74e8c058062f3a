package sim

import (
	"math/rand/v2"
	"slices"
	"time"
)

// What steps are drawn from: how often each verb comes, in shares.
var weights = [...]struct {
	verb  Verb
	share int
}{
	{Put, 26}, {Copy, 5}, {Delete, 6}, {Get, 12}, {List, 3}, {MakeBucket, 2}, {DropBucket, 2}, {Publish, 1}, {Grant, 2}, {Revoke, 1},
	{CreateUpload, 3}, {PutPart, 6}, {Complete, 3}, {Abort, 1}, {Flush, 6}, {Pass, 8}, {Ail, 9}, {Heal, 5}, {Break, 3}, {Full, 1}, {Mend, 1},
	{Light, 6}, {Pull, 2}, {Restart, 2}, {Off, 1}, {LoseIndex, 1}, {Burn, 1}, {Second, 1}, {Check, 2},
	{Scrub, 3}, {Repair, 1}, {Drain, 1}, {Rebalance, 1}, {Compact, 3}, {Collect, 4},
}

// keys is how many keys there are; the last few are of the second bucket.
const keys = 10

// NewPlan draws the steps of a seed, as many as that.
func NewPlan(s Setup, steps int) []Step {
	d := rand.New(rand.NewPCG(s.Seed, 2))
	total := 0
	for _, w := range weights {
		total += w.share
	}
	var plan []Step
	for range steps {
		at := d.IntN(total)
		i := 0
		for ; at >= weights[i].share; i++ {
			at -= weights[i].share
		}
		plan = append(plan, draw(d, s, weights[i].verb)...)
	}
	return plan
}

// draw fills in the fields that a verb needs.
func draw(d *rand.Rand, s Setup, v Verb) []Step {
	t := Step{Do: v}
	switch v {
	case Put:
		t.Key, t.Size, t.Content, t.Unknown = d.IntN(keys), size(d, s), d.Uint64(), d.IntN(4) == 0
		t.Broken = d.IntN(15) == 0
		if d.IntN(4) == 0 {
			t.Cond = Cond(1 + d.IntN(3))
		}
	case Copy:
		t.Key, t.From = d.IntN(keys), d.IntN(keys)
	case Delete:
		t.Key = d.IntN(keys)
		if d.IntN(4) == 0 {
			t.Cond = []Cond{IfMatch, IfOther}[d.IntN(2)]
		}
	case Get:
		t.Key, t.Content = d.IntN(keys), d.Uint64()
	case List:
		t.N, t.Content = d.IntN(2), d.Uint64()
	case Publish:
		t.N = d.IntN(2)
	case Grant:
		t.N, t.Content = d.IntN(3), d.Uint64()
	case Revoke:
		t.N = d.IntN(3)
	case CreateUpload, Complete, Abort:
		t.Key = d.IntN(2)
	case PutPart:
		t.Key, t.N, t.Size, t.Content = d.IntN(2), 1+d.IntN(4), size(d, s), d.Uint64()
	case Pass:
		t.For = []time.Duration{time.Second, 31 * time.Second, 2 * time.Minute, 11 * time.Minute}[d.IntN(4)]
		if d.IntN(150) == 0 {
			t.For = 24 * time.Hour // nobody does anything for a day
		}
	case Ail:
		return ail(d, s)
	case Scrub, Compact:
		t.N, t.Content = d.IntN(2), d.Uint64()
	case Heal, Burn, Drain:
		t.Node = d.IntN(s.Nodes)
	case Break:
		t.Fault, t.N = Fault(1+d.IntN(int(WriteFailsDone))), 1+d.IntN(3)
	case Full:
		t.Size = d.Int64N(3 << 20)
	case Light:
		t.Fuse = Fuse{Index: d.IntN(4) == 0, At: 1 + d.IntN(30), How: How(d.IntN(3)), Percent: []int{0, 50, 100}[d.IntN(3)]}
	case Pull:
		t.Percent = []int{0, 50, 100}[d.IntN(3)]
	case LoseIndex:
		t.Percent = []int{0, 50, 100}[d.IntN(3)]
		// Of none to all nodes, half the time of none. No draw, so that the steps
		// after it stay what they were.
		if t.N = int(hash(s.Seed, "silent", t.Percent) % uint64(2*s.Nodes)); t.N > s.Nodes {
			t.N = 0
		}
	case Restart:
		t.N = 1 + d.IntN(2)*d.IntN(4)
	case Off:
		t.For = []time.Duration{time.Hour, 24 * time.Hour, 5 * 365 * 24 * time.Hour}[d.IntN(3)]
	}
	return []Step{t}
}

// ail makes one node misbehave, or all bad ones alike. Clean nodes get clean
// ills, and few, as play sees to it that too many are never ill at a time.
func ail(d *rand.Rand, s Setup) []Step {
	ill, share := Ill(1+d.IntN(int(illEnd)-1)), []float64{0.2, 0.5, 1}[d.IntN(3)]
	if len(s.Bad) == 0 || d.IntN(4) == 0 {
		ill = Ill(1 + d.IntN(int(LosesAcks)))
		return []Step{{Do: Ail, Node: d.IntN(s.Nodes), Ill: ill, Share: share}}
	}
	if d.IntN(3) > 0 {
		return []Step{{Do: Ail, Node: s.Bad[d.IntN(len(s.Bad))], Ill: ill, Share: share}}
	}
	var out []Step
	for _, n := range slices.Sorted(slices.Values(s.Bad)) {
		out = append(out, Step{Do: Ail, Node: n, Ill: ill, Share: share})
	}
	return out
}

// size is a body of any of the kinds that are treated apart: nothing, small,
// around the limits of a frame, of memory and of a pack, and long.
func size(d *rand.Rand, s Setup) int64 {
	const frame = 64 << 10
	switch d.IntN(16) {
	case 0:
		return 0
	case 1:
		return frame - 1 + d.Int64N(3)
	case 2:
		return int64(s.PackSize)/4 - 1 + d.Int64N(3)
	case 3:
		return int64(s.PackSize) - frame - 2 + d.Int64N(5)
	case 4, 5:
		return d.Int64N(int64(s.PackSize))
	case 6:
		return d.Int64N(2 * int64(s.PackSize))
	case 7:
		return d.Int64N(s.Most + 1)
	}
	return 1 + d.Int64N(9000)
}
