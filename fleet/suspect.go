package fleet

import (
	"context"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// fallWindow is how long quarantines count together: where a second node would
// fall within it, none does, since then the fault is more likely ours.
const fallWindow = time.Hour

func (l *link) isQuarantined() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.quarantined
}

// suspect follows up on blocks that did not verify: they are read once more,
// and a node that is wrong again is quarantined. That orders preference and
// stops new shards from going there; any block that verifies still counts.
func (f *Fleet) suspect(n *node, p pack.Params, l cairn.Location, t *pack.Tail, lo, hi int) {
	n.link.mu.Lock()
	skip := n.link.quarantined || n.link.checking
	if !skip {
		n.link.checking = true
	}
	n.link.mu.Unlock()
	if skip {
		return
	}
	f.spawn(func() {
		ctx, cancel := context.WithTimeout(f.life, time.Minute)
		defer cancel()
		end := min(uint64(hi)*pack.BlockSize, p.Length)
		b := make([]byte, end-uint64(lo)*pack.BlockSize)
		err := n.readAt(ctx, layout.Path(l.Name(p.ID)), b, int64(lo)*pack.BlockSize)
		if err == nil {
			_, err = verify(t, b, lo, hi)
		}
		n.link.mu.Lock()
		n.link.checking = false
		n.link.mu.Unlock()
		if corrupt(err) {
			f.fall(n, err)
		}
	})
}

// fall quarantines n, unless others fell just before: then nobody stays
// quarantined, and status says why.
func (f *Fleet) fall(n *node, err error) {
	now := time.Now()
	f.mu.Lock()
	recent := f.falls[:0]
	for _, t := range f.falls {
		if now.Sub(t) < fallWindow {
			recent = append(recent, t)
		}
	}
	f.falls = append(recent, now)
	several := len(f.falls) > 1
	if several {
		f.alarm = "several nodes sent wrong bytes within an hour; suspect this machine or its network first, nobody is quarantined"
	}
	nodes := f.nodes
	f.mu.Unlock()
	if several {
		f.c.Log.Error("several nodes sent wrong bytes within an hour; nobody is quarantined, suspect this machine first", "node", n.Name, "err", err)
		for _, o := range nodes {
			o.link.setQuarantined(false)
		}
	} else {
		f.c.Log.Error("node sent wrong bytes twice and is quarantined", "node", n.Name, "err", err)
		n.link.setQuarantined(true)
	}
	f.change()
}

func (l *link) setQuarantined(v bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.quarantined = v
}
