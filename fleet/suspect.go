package fleet

import (
	"context"
	"errors"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// fallWindow is how long proven lies count together: where a second node is
// proven wrong within it, none is quarantined, since then the fault is more
// likely ours.
const fallWindow = time.Hour

// suspectTime bounds the second read, connecting included.
const suspectTime = time.Minute

// alarmText is what status says while several nodes are proven wrong.
const alarmText = "several nodes sent wrong bytes within an hour; suspect this machine or its network first, nobody is quarantined"

// conduct is what is known of a node's honesty. It is guarded by link.mu.
type conduct struct {
	wrong       int // replies that did not verify
	quarantined bool
	fell        time.Time // when it was last proven wrong
	checking    bool      // wrong bytes are being read once more
	suspected   string    // what is held against it by others, see Suspect
}

func (l *link) isQuarantined() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.quarantined
}

// quarantine is whether the node is quarantined, and since when.
func (l *link) quarantine() (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fell, l.quarantined
}

func (l *link) setQuarantined(v bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.quarantined = v
}

// wrong counts bytes of a node that do not verify.
func (f *Fleet) wrong(n *node, err error) {
	n.link.mu.Lock()
	n.link.wrong++
	n.link.mu.Unlock()
	f.m.bad.WithLabelValues(n.Name, cairn.ClassName(err)).Inc()
}

// short counts a reply that was no whole answer (a file that ends early) as
// wrong, and returns err. It is no ground for quarantine: a power loss does it.
func (f *Fleet) short(n *node, err error) error {
	if errors.Is(err, cairn.ErrCorrupt) {
		f.wrong(n, err)
	}
	return err
}

// suspect follows up on bytes that did not verify: again reads them once more,
// on a connection of its own since the transport may be what errs, and returns
// ErrCorrupt when they are wrong again. Then the node is quarantined. That
// orders preference and stops new shards from going there; any block that
// verifies still counts.
func (f *Fleet) suspect(n *node, again func(context.Context, backends.Remote) error) {
	n.link.mu.Lock()
	skip := n.link.quarantined || n.link.checking
	if !skip {
		n.link.checking = true
	}
	n.link.mu.Unlock()
	if skip {
		return
	}
	done := func() {
		n.link.mu.Lock()
		defer n.link.mu.Unlock()
		n.link.checking = false
	}
	spawned := f.spawn(func() {
		defer done()
		ctx, cancel := context.WithTimeout(f.life, suspectTime)
		defer cancel()
		r, err := f.c.Open(ctx, n.Node)
		if err != nil {
			return // nothing was proven; the next wrong bytes are followed up again
		}
		defer func() { _ = closeRemote(r) }() // it was for one read
		if n.checkMarker(ctx, r) != nil {
			return
		}
		if err := again(ctx, r); errors.Is(err, cairn.ErrCorrupt) {
			f.fall(n, err)
		}
	})
	if !spawned {
		done()
	}
}

// fall quarantines n, unless others fell just before: then none of these stays
// quarantined, and status says why. Who fell long before is no part of it.
func (f *Fleet) fall(n *node, err error) {
	f.mu.Lock()
	now := time.Now()
	f.falls[n.ID] = now
	several := f.several() > 1
	var lately []*node
	for _, o := range f.nodes {
		if _, ok := f.falls[o.ID]; ok {
			lately = append(lately, o)
		}
	}
	f.mu.Unlock()
	n.link.mu.Lock()
	n.link.fell = now.UTC().Round(0)
	n.link.mu.Unlock()
	if several {
		f.c.Log.Error(alarmText, "node", n.Name, "err", err)
		for _, o := range lately {
			o.link.setQuarantined(false)
		}
	} else {
		f.c.Log.Error("node sent wrong bytes twice and is quarantined", "node", n.Name, "err", err)
		n.link.setQuarantined(true)
	}
	f.change()
	f.note()
}

// several counts the nodes proven wrong within fallWindow; f.mu is held.
func (f *Fleet) several() int {
	now := time.Now()
	for id, at := range f.falls {
		if now.Sub(at) >= fallWindow {
			delete(f.falls, id)
		}
	}
	return len(f.falls)
}

// Reset forgets what is held against a node: its quarantine, its count of wrong
// replies, its reputation and its failures, so that it is tried again at once.
// The evidence stays. ErrNotExist when it is not in the fleet.
func (f *Fleet) Reset(id cairn.NodeID) error {
	n := f.node(id)
	if n == nil {
		return &failure{what: "node " + id.String(), class: cairn.ErrNotExist}
	}
	f.mu.Lock()
	delete(f.falls, id)
	f.mu.Unlock()
	n.link.mu.Lock()
	n.link.conduct, n.link.reputation, n.link.away = conduct{checking: n.link.checking}, reputation{}, 0
	n.link.mu.Unlock()
	n.retry()
	f.note()
	return nil
}
