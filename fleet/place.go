package fleet

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/layout"
)

// candidates lists the nodes that take shards, suspect ones included; up leaves
// out those that do not answer now, are held or quarantined, else only those are
// left out of which that has been so for long. What is thought of a node has a
// part in which nodes are chosen, and none in how many there are: so it counts
// with up only, and a doubt makes no pack weaker.
func (f *Fleet) candidates(up bool, now time.Time) []layout.Candidate {
	var out []layout.Candidate
	for _, n := range f.all() {
		ok, since := n.link.up()
		if !n.inService() {
			continue
		}
		if fell, is := n.link.quarantine(); is && (up || now.Sub(fell) >= f.c.AwayAfter) {
			continue
		}
		if up && n.isUnmounted() {
			continue
		}
		if !ok && (up || now.Sub(since) >= f.c.AwayAfter) {
			continue
		}
		if from, held := n.heldSince(); held && (up || now.Sub(from) >= f.c.AwayAfter) {
			continue
		}
		weight := n.roomy()
		if up {
			weight = n.weight()
		}
		out = append(out, layout.Candidate{Node: n.ID, Operator: n.Operator, Weight: weight})
	}
	return out
}

// Coding is the coding of a new pack: want as k+m, or for "auto" what fits the
// operators that take writes and their space. Where fewer nodes than want asks
// for have answered for AwayAfter, it is what fits those: packs then leave this
// machine with the redundancy there is.
//
// ErrUnavailable while no node is there, and while only one is left of several:
// a pack is safer in the stage than alone on a node.
func (f *Fleet) Coding(want string) (cairn.Coding, error) {
	nodes := f.presumed(f.candidates(false, time.Now()))
	takes, members, held := 0, 0, 0
	for _, c := range nodes {
		if c.Weight > 0 {
			takes++
		}
	}
	for _, n := range f.all() {
		switch {
		case !n.inService():
		case n.held():
			held++
		default:
			members++
		}
	}
	if members == 0 && held > 0 {
		return cairn.Coding{}, fmt.Errorf("fleet: no node takes shards: %d of them wait for a root that names them: %w", held, cairn.ErrUnavailable)
	}
	if takes == 0 {
		return cairn.Coding{}, fmt.Errorf("fleet: no node takes shards: %w", cairn.ErrUnavailable)
	}
	wanted := cairn.Coding{K: 1, M: 1} // the least that "auto" gives several nodes
	if want != "auto" {
		var err error
		if wanted, err = cairn.ParseCoding(want); err != nil {
			return cairn.Coding{}, fmt.Errorf("fleet: %w", err)
		}
		if takes >= wanted.N() {
			f.using(wanted, wanted, takes)
			return wanted, nil
		}
	}
	if takes == 1 && members > 1 && wanted.M > 0 {
		return cairn.Coding{}, fmt.Errorf("fleet: one of %d nodes takes shards now, and a pack is no safer there alone than here: %w", members, cairn.ErrUnavailable)
	}
	coding := layout.Auto(nodes)
	if want != "auto" {
		f.using(wanted, coding, takes)
	}
	return coding, nil
}

// using says once when packs get a lesser coding than was asked for, and once
// when they get that again.
func (f *Fleet) using(want, got cairn.Coding, nodes int) {
	f.mu.Lock()
	before := f.less
	if f.less = got; got == want {
		f.less = cairn.Coding{}
	}
	now := f.less
	f.mu.Unlock()
	switch {
	case now == before:
	case got == want:
		f.c.Log.Info("enough nodes for the coding asked for", "coding", want, "nodes", nodes)
	default:
		f.c.Log.Warn("too few nodes for the coding asked for", "want", want, "using", got, "nodes", nodes)
	}
}

// Full reports whether user data has to wait for space: of the nodes in service
// fewer than two, or of one node not that one, have more than their reserve.
// A node that is away, or waits for a root, counts with the room it last told: an
// outage is what the stage is for; only who gives the node up says otherwise.
func (f *Fleet) Full() bool {
	takes, room := 0, 0
	for _, n := range f.all() {
		if !n.inService() || n.link.isQuarantined() {
			continue
		}
		takes++
		if free, total, _ := n.space(); free > reserve(total) {
			room++
		}
	}
	return room < min(takes, 2)
}

// Spare is how many bytes the nodes that take shards now have left, the reserve
// that user data leaves included.
func (f *Fleet) Spare() (bytes int64) {
	for _, c := range f.candidates(true, time.Now()) {
		if n := f.node(c.Node); n != nil {
			free, _, _ := n.space()
			bytes += free
		}
	}
	return bytes
}

// homeWeight is how many times its weight a node has that is to be chosen before
// others: chance leaves it out once in a million.
const homeWeight = 1e6

// errNoNode is that no node is left for the shards that stand nowhere.
var errNoNode = errors.New("no node is left")

// pick chooses nodes for the shards of pack id that stand nowhere yet: as many
// as can be placed now, data shards first. at has an element for each shard,
// zero for none; so has the answer, zero where nothing is to be put. Nodes in
// rather are chosen only while others are too few, home before any other where the
// rules of placement let it have a shard.
func (f *Fleet) pick(id cairn.PackID, c cairn.Coding, at []cairn.NodeID, avoid, rather map[cairn.NodeID]bool, home cairn.NodeID) ([]cairn.NodeID, error) {
	nodes := f.known(f.candidates(true, time.Now()), at)
	for i := range nodes {
		if nodes[i].Node == home {
			nodes[i].Weight *= homeWeight
		}
	}
	used := make(map[cairn.NodeID]bool)
	missing := 0
	for _, id := range at {
		used[id] = true
		missing += bit(id == cairn.NodeID{})
	}
	room := 0
	for _, n := range nodes {
		room += bit(n.Weight > 0 && !used[n.Node] && !avoid[n.Node])
	}
	if room == 0 {
		return nil, errNoNode
	}
	// Where nodes are too few, some shards get a place of no node, so that the
	// others can be placed by the same rules.
	want := append([]cairn.NodeID(nil), at...)
	for i := len(want) - 1; i >= 0 && missing > room; i-- {
		if want[i] == (cairn.NodeID{}) {
			want[i] = nowhere(i)
			missing--
		}
	}
	got, err := layout.Replace(c, want, nodes, f.shun(nodes, used, avoid, rather, missing), f.c.Dice(id))
	if err != nil {
		return nil, err
	}
	for i := range got {
		if at[i] != (cairn.NodeID{}) || got[i] == nowhere(i) {
			got[i] = cairn.NodeID{}
		}
	}
	return got, nil
}

// known is nodes with those of at that take no shards now, so that their
// operators count.
func (f *Fleet) known(nodes []layout.Candidate, at []cairn.NodeID) []layout.Candidate {
	for _, id := range at {
		if slices.ContainsFunc(nodes, func(c layout.Candidate) bool { return c.Node == id }) {
			continue
		}
		if n := f.node(id); n != nil {
			nodes = append(nodes, layout.Candidate{Node: id, Operator: n.Operator})
		}
	}
	return nodes
}

// shun is avoid with rather and the suspect nodes, if enough others can take the
// missing shards; else avoid with what of these can be left out.
func (f *Fleet) shun(nodes []layout.Candidate, used, avoid, rather map[cairn.NodeID]bool, missing int) map[cairn.NodeID]bool {
	for _, less := range []map[cairn.NodeID]bool{f.suspects(), rather} {
		if len(less) == 0 {
			continue
		}
		others := 0
		for _, n := range nodes {
			others += bit(n.Weight > 0 && !used[n.Node] && !avoid[n.Node] && !less[n.Node])
		}
		if others >= missing {
			both := maps.Clone(less)
			maps.Copy(both, avoid)
			avoid = both
		}
	}
	return avoid
}
