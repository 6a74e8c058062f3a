package fleet

import (
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/layout"
)

// userReserve is the share of a node that user data leaves free, in percent.
const userReserve = 5

// candidates lists the nodes that take shards; up leaves out those that do not
// answer now, else only those are left out that have been away for long.
func (f *Fleet) candidates(up bool, now time.Time) []layout.Candidate {
	var out []layout.Candidate
	for _, n := range f.all() {
		ok, since := n.link.up()
		if n.State != "" && n.State != "ok" || n.link.isQuarantined() {
			continue
		}
		if !ok && (up || now.Sub(since) >= f.c.AwayAfter) {
			continue
		}
		free, _, _ := n.link.space(n.Capacity)
		out = append(out, layout.Candidate{Node: n.ID, Operator: n.Operator, Weight: float64(free)})
	}
	return out
}

// Coding is the coding of a new pack: want as k+m, or for "auto" what fits the
// operators that take writes and their space. Where fewer nodes than want asks
// for have answered for AwayAfter, it is what fits those: packs then leave this
// machine with the redundancy there is. ErrUnavailable while no node is there.
func (f *Fleet) Coding(want string) (cairn.Coding, error) {
	nodes := f.candidates(false, time.Now())
	takes := 0
	for _, c := range nodes {
		if c.Weight > 0 {
			takes++
		}
	}
	if takes == 0 {
		return cairn.Coding{}, fmt.Errorf("fleet: no node takes shards: %w", cairn.ErrUnavailable)
	}
	if want == "auto" {
		return layout.Auto(nodes), nil
	}
	c, err := cairn.ParseCoding(want)
	if err != nil {
		return cairn.Coding{}, err
	}
	if takes < c.N() {
		less := layout.Auto(nodes)
		f.c.Log.Warn("too few nodes for the coding asked for", "want", c, "nodes", takes, "using", less)
		return less, nil
	}
	return c, nil
}

// Full reports whether user data has to wait for space: so many nodes are
// filled to their reserve that a pack could not be placed on the others.
func (f *Fleet) Full() bool {
	full, rest := 0, 0
	for _, n := range f.all() {
		free, total, known := n.link.space(n.Capacity)
		if (known || free == 0) && free < total/100*userReserve {
			full++
			continue
		}
		rest++
	}
	if full == 0 {
		return false
	}
	return rest < min(full+rest, 2) || rest*2 < full+rest
}

// pick chooses nodes for the shards of a pack that stand nowhere yet: as many
// as can be placed now. at has an element for each shard, zero for none.
func (f *Fleet) pick(c cairn.Coding, at []cairn.NodeID, avoid map[cairn.NodeID]bool) ([]cairn.NodeID, error) {
	nodes := f.candidates(true, time.Now())
	used := make(map[cairn.NodeID]bool)
	missing := 0
	for _, id := range at {
		used[id] = true
		if id == (cairn.NodeID{}) {
			missing++
		}
	}
	room := 0
	for _, n := range nodes {
		if n.Weight > 0 && !used[n.Node] && !avoid[n.Node] {
			room++
		}
	}
	if room == 0 {
		return nil, fmt.Errorf("fleet: %d shards stand nowhere and no node is left for them: %w", missing, cairn.ErrUnavailable)
	}
	// Where nodes are too few, some shards get a place of no node, so that the
	// others can be placed by the same rules.
	want := append([]cairn.NodeID(nil), at...)
	none := func(i int) cairn.NodeID { return cairn.NodeID{0xff, 0xff, 0xff, byte(i)} }
	for i := len(want) - 1; i >= 0 && missing > room; i-- {
		if want[i] == (cairn.NodeID{}) {
			want[i] = none(i)
			missing--
		}
	}
	got, err := layout.Replace(c, want, nodes, avoid, dice())
	if err != nil {
		return nil, err
	}
	for i := range got {
		if at[i] != (cairn.NodeID{}) || got[i] == none(i) {
			got[i] = cairn.NodeID{}
		}
	}
	return got, nil
}
