package fleet

import (
	"fmt"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
)

// tickMost is the most that one look at the clock counts: a process that was
// suspended, or a clock that jumps, ages nothing.
const tickMost = time.Minute

// presence is for how long a node is away, and what was last said of it. It is
// guarded by link.mu.
type presence struct {
	unmounted string        // why its marker does not do, while it answers otherwise
	unmarked  bool          // and that is that it is missing
	away      time.Duration // of observed time that it did not answer
	last      time.Time     // it answered
	shown     string        // its state as last told, never "new"
	shownFrom time.Time     // since when
}

// observe counts the time since it was last called for the nodes that are away,
// and tells whoever wants to know of nodes whose state changed.
func (f *Fleet) observe() {
	tick := f.tick()
	for _, n := range f.all() {
		l := n.link
		l.mu.Lock()
		before := l.away >= f.c.GoneAfter
		switch here := l.openTill.IsZero() && l.unmounted == ""; {
		case !here:
			l.away += tick
		case l.answered:
			l.away = 0
		}
		changed := before != (l.away >= f.c.GoneAfter)
		l.mu.Unlock()
		if changed {
			f.change()
		}
		n.show(time.Now())
	}
}

// tick is the observed time since the last tick, at most a minute.
func (f *Fleet) tick() time.Duration {
	now := f.observed()
	f.mu.Lock()
	defer f.mu.Unlock()
	d := now - f.ticked
	f.ticked = now
	return min(max(d, 0), tickMost)
}

// observed is the time that the store was seen to run.
func (f *Fleet) observed() time.Duration {
	if f.c.Observed != nil {
		return f.c.Observed()
	}
	return time.Since(f.started)
}

// show looks at the node's state and, where it is not what was last told, tells.
func (n *node) show(now time.Time) {
	l := n.link
	l.mu.Lock()
	state, why := n.word()
	before := l.shown
	// Down for no reason is a node whose marker was just seen again, as long as the
	// call that found it lasts.
	news := state != "new" && state != before && (state != "down" || why != "")
	if news {
		l.shown, l.shownFrom = state, now.UTC().Round(0)
	}
	l.mu.Unlock()
	if !news {
		return
	}
	n.f.note()
	if n.f.c.Notice == nil || before == "" && state == "ok" {
		return
	}
	n.f.c.Notice(Change{n.ID, n.Name, state, why})
}

// word is the node's state and the reason for it; link.mu is held.
func (n *node) word() (state, why string) {
	l := n.link
	switch {
	case n.gone():
		return "gone", "given up by a person"
	case l.away >= n.f.c.GoneAfter:
		return "gone", fmt.Sprintf("has not answered for %s; it counts again once it does", days(l.away))
	case l.unmounted != "":
		return "offline", l.unmounted
	case !l.openTill.IsZero():
		return "down", l.why
	case l.quarantined:
		return "quarantined", "sent wrong bytes twice"
	case !n.inService():
		return n.State, "set by a person"
	case l.suspected != "":
		return "suspect", l.suspected
	case l.doubted:
		return "suspect", l.reputation.text()
	case l.held:
		return "held", whyHeld
	case l.full:
		return "full", "refused a shard for lack of space"
	case !l.answered:
		return "new", ""
	}
	return "ok", ""
}

// days is a long time in words.
func days(d time.Duration) string {
	if d < 48*time.Hour {
		return fmt.Sprintf("%.0f hours", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}

// absent reports that the node has not answered for so long that it counts as
// gone until it does.
func (n *node) absent() bool {
	n.link.mu.Lock()
	defer n.link.mu.Unlock()
	return n.link.away >= n.f.c.GoneAfter
}

// setUnmounted notes why the node's marker does not do while the node answers,
// and whether it is missing; nil: it does, or the node does not answer at all.
func (n *node) setUnmounted(err error, missing bool) {
	why := ""
	if err != nil {
		// The state says already that it is not available.
		why = strings.TrimRight(strings.TrimSuffix(err.Error(), cairn.ErrUnavailable.Error()), ": ")
	}
	n.link.mu.Lock()
	news := n.link.unmounted != why
	if news && err == nil {
		n.link.why = "" // it was the marker
	}
	n.link.unmounted, n.link.unmarked = why, missing
	n.link.mu.Unlock()
	if news {
		n.f.change()
	}
}

// isUnmounted reports whether the node answers and its marker does not do.
func (n *node) isUnmounted() bool {
	n.link.mu.Lock()
	defer n.link.mu.Unlock()
	return n.link.unmounted != ""
}
