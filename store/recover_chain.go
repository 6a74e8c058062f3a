package store

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
)

// chain puts the log packs above the cut-off in order: numbered without gaps,
// each naming the seal hash of the one before. Of several with one number, which
// a fork leaves, the one counts that its neighbours name. Numbers that are
// nowhere, and links that do not fit, are holes: what is missing may lie on nodes
// that do not answer.
func (r *recovering) chain() error {
	slices.SortStableFunc(r.logs, func(a, b logPack) int { return cmp.Compare(a.row.Number, b.row.Number) })
	var top uint64
	for n := range r.staged {
		top = max(top, n)
	}
	if len(r.logs) > 0 {
		top = max(top, r.logs[len(r.logs)-1].row.Number)
	}
	var out []logPack
	seal, known := r.base.CutOff.Seal, true // of the log pack before, and whether it is known
	last := r.base.CutOff.Last
	rest := r.logs
	for n := r.base.CutOff.Number + 1; n <= top; n++ {
		i := 0
		for i < len(rest) && rest[i].row.Number == n {
			i++
		}
		some := rest[:i]
		rest = rest[i:]
		if len(some) == 0 {
			if known = false; !r.staged[n] && !r.excused(n) {
				r.hole(n, last, stampOf(rest))
			}
			continue
		}
		l := r.choose(some, rest, seal, known)
		if known && l.contents.Prev != seal && !r.staged[n-1] {
			r.c.Log.Error("a log pack does not name the one before it", "pack", l.row.Params.ID, "number", n)
			r.rep.Holes = append(r.rep.Holes, Hole{First: n - 1, Last: n - 1, After: last, Before: l.row.First})
		}
		out = append(out, l)
		seal, known, last = l.row.SealHash, true, maxStamp(last, l.row.Last)
	}
	r.logs = out
	if len(r.rep.Holes) > 0 {
		return r.goOn(fmt.Sprintf("%d ranges of the log are on no node that answers, the first %v", len(r.rep.Holes), r.rep.Holes[0]))
	}
	return nil
}

// excused reports that log pack n may be missing: every node answered, so it is
// nowhere, and journals have what was answered with ack = "spread".
func (r *recovering) excused(n uint64) bool {
	return r.why == nil && slices.ContainsFunc(r.journals, func(j journalPack) bool { return j.row.Number == n })
}

func stampOf(rest []logPack) cairn.Stamp {
	if len(rest) == 0 {
		return cairn.Stamp{}
	}
	return rest[0].row.First
}

// hole adds number n to the last hole, or begins one.
func (r *recovering) hole(n uint64, after, before cairn.Stamp) {
	if i := len(r.rep.Holes) - 1; i >= 0 && r.rep.Holes[i].Last == n-1 && r.rep.Holes[i].After == after {
		r.rep.Holes[i].Last = n
		return
	}
	r.rep.Holes = append(r.rep.Holes, Hole{First: n, Last: n, After: after, Before: before})
}

// choose takes the log pack that counts of those with one number: the one that
// names the one before, where that is known, or that one after it names. The
// others are void.
func (r *recovering) choose(some, rest []logPack, seal crypt.Hash, known bool) logPack {
	best := 0
	for i, l := range some {
		if known && l.contents.Prev == seal {
			best = i
			break
		}
		if slices.ContainsFunc(rest, func(o logPack) bool {
			return o.row.Number == l.row.Number+1 && o.contents.Prev == l.row.SealHash
		}) {
			best = i
		}
	}
	for i, l := range some {
		if i != best {
			r.rep.Void = append(r.rep.Void, l.row.Params.ID)
			r.c.Log.Warn("of several log packs with one number another counts", "pack", l.row.Params.ID, "number", l.row.Number)
		}
	}
	return some[best]
}
