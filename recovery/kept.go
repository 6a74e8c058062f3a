package recovery

import (
	"maps"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/pack"
)

// kept is what a root that is still there needs to be recovered from.
type kept struct {
	seq   uint64
	cut   pack.CutOff
	packs []cairn.PackID // of its checkpoint
	first bool           // no root came before it
	blind bool           // its body does not open, so nothing else is known
}

func keptOf(f *rootFile, body pack.RootBody) kept {
	out := kept{seq: f.Sequence, cut: body.CutOff, first: f.Prev == crypt.Hash{}}
	for _, run := range body.Runs {
		for _, e := range run.Part.Extents {
			out.packs = append(out.packs, e.Pack)
		}
	}
	return out
}

// keptOld is keptOf a root before the newest one.
func (k *Keeper) keptOld(f *rootFile) kept {
	if key, ok := k.secrets.Epochs[f.Epoch]; ok {
		if body, err := f.Open(key); err == nil {
			return keptOf(f, body)
		}
	}
	return kept{seq: f.Sequence, blind: true}
}

// Everywhere is the sequence of the newest root which every node that is not
// gone is known to have taken, it or one after it, and the cut-off of its
// checkpoint: whoever recovers, from whichever node, begins no earlier. Zeros
// where there is none, where that root is not kept here any more, after a fork,
// and before enough nodes were seen without one.
func (k *Keeper) Everywhere() (sequence uint64, cut pack.CutOff) {
	k.mu.Lock()
	members, known := k.members()
	low := uint64(0)
	if k.chain.newest != nil {
		low = k.chain.newest.Sequence
	}
	ok := known && k.open && k.fork == nil && len(members) > 0
	confirmed := make(map[cairn.NodeID]uint64, len(members))
	for id := range members {
		if m := k.nodes[id]; m != nil {
			confirmed[id] = m.confirmed
		} else {
			confirmed[id] = 0
		}
	}
	roots := k.chain.kept
	k.mu.Unlock()
	if !ok {
		return 0, cut
	}
	for id, seq := range maps.All(confirmed) {
		if k.c.Gone == nil || !k.c.Gone(id) { // asked without mu: it is the fleet's
			low = min(low, seq)
		}
	}
	for _, r := range roots {
		if r.seq <= low && !r.blind {
			sequence, cut = r.seq, r.cut
		}
	}
	return sequence, cut
}

// Kept is what the roots that are kept, here and on nodes, still need: log packs
// above the number low, and the packs of their checkpoints. known is false while
// not all of them can be told, after a recovery or damage here, until enough new
// ones came.
func (k *Keeper) Kept() (low uint64, packs map[cairn.PackID]bool, known bool) {
	k.mu.Lock()
	roots := k.chain.kept
	k.mu.Unlock()
	packs = make(map[cairn.PackID]bool)
	known = len(roots) > 0 && (len(roots) >= keepRoots || roots[0].first)
	for i, r := range roots {
		if i == 0 || r.cut.Number < low {
			low = r.cut.Number
		}
		known = known && !r.blind
		for _, id := range r.packs {
			packs[id] = true
		}
	}
	if !known {
		low = 0
	}
	return low, packs, known
}
