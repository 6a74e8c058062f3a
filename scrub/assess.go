package scrub

import (
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
)

// shardState is what is known of one shard of a pack.
type shardState int

const (
	sound         shardState = iota // where the row says, as far as anyone knows
	leavingNode                     // the same, on a node to be emptied
	doubled                         // the same, beside another of its pack, while a node with none takes shards
	onUnseen                        // on a node that was not seen since a recovery: unknown, not missing
	onSettled                       // on a node that is away for a while
	onAway                          // on a node that is away for a moment
	onSuspect                       // on one away for hours
	onQuarantined                   // on a node that sent wrong bytes
	onExpired                       // on one away for so long that it is made again
	onCondemned                     // on a node quarantined for so long that it is made again
	wrongBytes                      // its own bytes are wrong
	onAbsent                        // on a node given up for its absence alone, so that it may come back
	onGone                          // on a node given up
	lost                            // in no row, and every node was listed
	unknown                         // in no row, while a node may hold it that was never listed
	shardStates
)

// stateOf is the state of a shard on a node.
func stateOf(n nodeView, bad bool) shardState {
	if bad && n.is != gone {
		return wrongBytes
	}
	switch n.is {
	case unseen:
		return onUnseen
	case away:
		return onAway
	case settled:
		return onSettled
	case suspect:
		return onSuspect
	case expired:
		return onExpired
	case quarantined:
		return onQuarantined
	case condemned:
		return onCondemned
	case gone:
		if n.returns {
			return onAbsent
		}
		return onGone
	}
	if n.leaving {
		return leavingNode
	}
	return sound
}

func (s shardState) good() bool { return s == sound || s == leavingNode || s == doubled }

// readable reports whether bytes may come from it now: any block that verifies
// counts, whoever sends it (B12).
func (s shardState) readable() bool {
	return s.good() || s == onQuarantined || s == onCondemned || s == wrongBytes
}

// mayCome reports whether it counts for what may be readable again.
func (s shardState) mayCome() bool { return s != lost && s != onGone }

// urgency is how much of its grace repair is to wait for.
type urgency int

const (
	byGrace urgency = iota // as the design says
	atOnce                 // a person asked for it: only a node away for a moment is waited for
)

// toMake reports whether a shard in this state is to be made again. few says
// that k+1 or fewer good ones are left.
func (s shardState) toMake(few bool, u urgency) bool {
	switch s {
	case doubled, lost, onGone, onAbsent, wrongBytes, onExpired, onCondemned:
		return true
	case onSettled, onSuspect, onQuarantined:
		return few || u == atOnce
	}
	return false // sound, away for a moment, or unknown, which is not missing (B22)
}

// shardView is one shard of a row.
type shardView struct {
	state shardState
	at    cairn.Location // meaningless where state is lost or unknown
}

// assessed is what a row comes to at one moment.
type assessed struct {
	row    index.PackRow
	shards []shardView // by index
	counts [shardStates]int
	good   int
	spare  int // domains that may fail yet; -1 when it cannot be read now
}

// assess says how the shards of a row stand. Of two files of one shard the
// better counts.
func (s *Scrub) assess(v *view, row index.PackRow) assessed {
	c := row.Params.Coding
	a := assessed{row: row, shards: make([]shardView, c.N())}
	none := lost
	if !v.all {
		none = unknown
	}
	for i := range a.shards {
		a.shards[i].state = none
	}
	for _, l := range row.At {
		if int(l.Index) >= len(a.shards) {
			continue
		}
		st := stateOf(v.of(l.Node), s.isBad(place{row.Params.ID, l}))
		if old := &a.shards[l.Index]; old.state >= lost || st < old.state {
			*old = shardView{st, l}
		}
	}
	if v.free(func(id cairn.NodeID) bool {
		return slices.ContainsFunc(row.At, func(l cairn.Location) bool { return l.Node == id })
	}) {
		part(len(a.shards), func(i int) (*shardState, cairn.NodeID) { return &a.shards[i].state, a.shards[i].at.Node })
	}
	domains := make(map[string]int)
	for _, sh := range a.shards {
		a.counts[sh.state]++
		if sh.state.good() {
			a.good++
			domains[v.domain(v.of(sh.at.Node))]++
		}
	}
	a.spare = spareOf(c.K, domains)
	return a
}

// part marks the sound shards beside which their node holds another good one, so
// that one loss takes both: such as a stray that was taken up when the pack could
// not be read without it. shard tells of shard i its state and its node.
func part(n int, shard func(i int) (*shardState, cairn.NodeID)) {
	held := make(map[cairn.NodeID]int)
	for i := range n {
		if st, node := shard(i); st.good() {
			held[node]++
		}
	}
	for i := range n {
		if st, node := shard(i); *st == sound && held[node] > 1 {
			held[node]--
			*st = doubled
		}
	}
}

// few reports whether so few are left that nothing is waited for.
func (a *assessed) few() bool { return a.good <= a.row.Params.Coding.K+1 }

// toMake lists the shards to be made again.
func (a *assessed) toMake(u urgency) (out []uint8) {
	for i, sh := range a.shards {
		if sh.state.toMake(a.few(), u) {
			out = append(out, uint8(i))
		}
	}
	return out
}

func (a *assessed) readable() (n int) {
	for st, c := range a.counts {
		if shardState(st).readable() {
			n += c
		}
	}
	return n
}

// tooFew says why a pack cannot be mended.
func (a *assessed) tooFew() string {
	k := a.row.Params.Coding.K
	if a.mayCome() < k {
		return fmt.Sprintf("lost: %d of the %d shards that are needed exist", a.mayCome(), k)
	}
	return fmt.Sprintf("%d of the %d shards that are needed can be read now", a.readable(), k)
}

func (a *assessed) mayCome() (n int) {
	for st, c := range a.counts {
		if shardState(st).mayCome() {
			n += c
		}
	}
	return n
}

// spareOf is how many domains may fail, whichever, before fewer than k shards
// are left: those that hold most fail first. -1 when that is so already.
func spareOf(k int, domains map[string]int) int {
	var held []int
	left := 0
	for _, n := range domains {
		held = append(held, n)
		left += n
	}
	if left < k {
		return -1
	}
	slices.Sort(held)
	spare := 0
	for i := len(held) - 1; i >= 0; i-- {
		if left -= held[i]; left < k {
			break
		}
		spare++
	}
	return spare
}

func (s *Scrub) isBad(p place) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.marks.of[wrong][p]
	return ok
}
