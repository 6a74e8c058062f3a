package fleet

import (
	"fmt"

	"github.com/cairn-storage/cairn"
)

// Outcome is what a look at a node came to.
type Outcome uint8

// The outcomes that make a node's reputation.
const (
	Good    Outcome = iota // as it should be, in time
	Wrong                  // bytes that were not what was signed
	Missing                // no such file, marker good
	Slow                   // too late, or no answer
)

// A node is suspect when its reputation falls below doubtBelow, after at least
// doubtLooks, and no more when it rises above trustAbove; what was looked at long
// ago fades by fade with each look.
const (
	fade       = 0.999
	doubtBelow = 0.95
	trustAbove = 0.98
	doubtLooks = 20
)

// reputation is a Beta distribution of the share of looks that go well, guarded
// by link.mu.
type reputation struct {
	alpha, beta float64 // good and bad looks, faded
	looks       int     // in all
	doubted     bool
}

// good is the expected share of looks that go well, 0 to 1; a node that nobody
// looked at is taken for good.
func (r *reputation) good() float64 { return (r.alpha + 1) / (r.alpha + r.beta + 1) }

// add counts one look and reports whether the node's standing changed. A late
// answer is half a good one.
func (r *reputation) add(o Outcome) bool {
	well := map[Outcome]float64{Good: 1, Slow: .5}[o]
	r.alpha, r.beta = fade*r.alpha+well, fade*r.beta+1-well
	r.looks++
	before := r.doubted
	switch good := r.good(); {
	case good > trustAbove:
		r.doubted = false
	case good < doubtBelow && r.looks >= doubtLooks:
		r.doubted = true
	}
	return r.doubted != before
}

// text says what a doubted node is doubted for; empty when it is not.
func (r *reputation) text() string {
	if !r.doubted {
		return ""
	}
	return fmt.Sprintf("of what it was asked lately %.1f %% was well", 100*r.good())
}

// Judge counts what a look at a node came to for its reputation. A node of bad
// reputation is suspect, with hysteresis: new shards go there while others are
// too few, and it is read after others. What it holds is believed as ever, block
// by block. That a node is quarantined for wrong bytes is decided where they are
// seen. A node that is not in the fleet is passed over.
func (f *Fleet) Judge(id cairn.NodeID, o Outcome) {
	n := f.node(id)
	if n == nil {
		return
	}
	n.link.mu.Lock()
	changed := n.link.reputation.add(o)
	doubted, why := n.link.doubted, n.link.reputation.text()
	n.link.mu.Unlock()
	if !changed {
		return
	}
	if doubted {
		f.c.Log.Warn("node is suspect", "node", n.Name, "why", why)
	} else {
		f.c.Log.Info("node is suspect no more", "node", n.Name)
	}
	f.change()
	f.note()
}
