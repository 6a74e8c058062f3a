package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
)

// What is remembered of nodes is written keepPause after it changed at the
// soonest, so that a node that lies at full speed does not keep the disk busy,
// and what only counts up each keepEvery.
const (
	keepEvery = 5 * time.Minute
	keepPause = 5 * time.Second
)

// What is in Config.Dir: for each node a memo, and the evidence where there is
// any. Both are caches of experience: without them every node starts anew.
const (
	memoSuffix     = ".json"
	evidenceSuffix = ".evidence.json"
	memoVersion    = 1
	memoMost       = 64 << 10 // bytes of a file
	evidenceBytes  = 4 << 20
)

// memo is what is remembered of one node.
type memo struct {
	Version     int           `json:"version"`
	Name        string        `json:"name"` // for who reads the file
	State       string        `json:"state"`
	Since       time.Time     `json:"since"`
	Answered    time.Time     `json:"answered"`
	Away        time.Duration `json:"away_ns"` // of observed time
	Wrong       int           `json:"wrong"`
	Quarantined bool          `json:"quarantined"`
	Fell        time.Time     `json:"fell"`
	Good        float64       `json:"good"` // faded counts of looks
	Bad         float64       `json:"bad"`
	Looks       int           `json:"looks"`
	Doubted     bool          `json:"doubted"`
	Month       string        `json:"month"`
	Traffic     int64         `json:"traffic"` // bytes in that month
}

// memo is what there is to remember.
func (n *node) memo() memo {
	l := n.link
	l.mu.Lock()
	defer l.mu.Unlock()
	return memo{Version: memoVersion, Name: n.Name, State: l.shown, Since: l.shownFrom, Answered: l.last, Away: l.away, Wrong: l.conduct.wrong,
		Quarantined: l.quarantined, Fell: l.fell, Good: l.alpha, Bad: l.beta, Looks: l.looks, Doubted: l.doubted, Month: l.month, Traffic: l.moved}
}

// recall takes over what is remembered; the link is not shared yet.
func (l *link) recall(m memo) {
	l.shown, l.shownFrom, l.last, l.away = m.State, m.Since, m.Answered, m.Away
	l.conduct.wrong, l.quarantined, l.fell = m.Wrong, m.Quarantined, m.Fell
	l.reputation = reputation{alpha: m.Good, beta: m.Bad, looks: m.Looks, doubted: m.Doubted}
	l.ledger = ledger{month: m.Month, moved: m.Traffic}
}

// sane reports whether m can have been written here.
func (m memo) sane() bool {
	const most = 1 / (1 - fade)
	return m.Version == memoVersion && m.Away >= 0 && m.Wrong >= 0 && m.Looks >= 0 && m.Traffic >= 0 &&
		m.Good >= 0 && m.Bad >= 0 && m.Good <= most && m.Bad <= most
}

// exhibits is a file of evidence.
type exhibits struct {
	Version  int        `json:"version"`
	Evidence []Evidence `json:"evidence"` // oldest first
}

// remember reads what is kept of nodes. What cannot be read or understood is
// forgotten, with a line in the log: it must keep no gateway from starting.
func (f *Fleet) remember() {
	if f.c.FS == nil {
		return
	}
	forget := func(name string, err error) {
		f.c.Log.Warn("what is remembered of a node is forgotten", "file", name, "err", err)
	}
	if err := f.c.FS.MkdirAll(f.c.Dir); err != nil {
		forget(f.c.Dir, err)
		return
	}
	names, err := f.c.FS.List(f.c.Dir)
	if err != nil {
		forget(f.c.Dir, err)
	}
	for _, name := range names {
		if text, ok := strings.CutSuffix(name, evidenceSuffix); ok {
			var x exhibits
			id, err := f.recallFile(text, name, evidenceBytes, &x)
			if err == nil && (x.Version != memoVersion || len(x.Evidence) > evidenceMost) {
				err = cairn.ErrCorrupt
			}
			if err != nil {
				forget(name, err)
				continue
			}
			f.evidence[id] = x.Evidence
		} else if text, ok := strings.CutSuffix(name, memoSuffix); ok {
			var m memo
			id, err := f.recallFile(text, name, memoMost, &m)
			if err == nil && !m.sane() {
				err = cairn.ErrCorrupt
			}
			if err != nil {
				forget(name, err)
				continue
			}
			f.past[id] = m
			if since := time.Since(m.Fell); since >= 0 && since < fallWindow {
				f.falls[id] = m.Fell
			}
		}
	}
}

// recallFile reads one file into what; text is the node's id.
func (f *Fleet) recallFile(text, name string, most int64, what any) (cairn.NodeID, error) {
	id, err := cairn.ParseNodeID(text)
	if err != nil {
		return id, err
	}
	b, err := durable.ReadFile(f.c.FS, path.Join(f.c.Dir, name), most)
	if err != nil {
		return id, err
	}
	if err := json.Unmarshal(b, what); err != nil {
		return id, fmt.Errorf("%w: %w", err, cairn.ErrCorrupt)
	}
	return id, nil
}

// note makes what changed be written soon.
func (f *Fleet) note() {
	select {
	case f.noted <- struct{}{}:
	default: // it will
	}
}

// keep writes what is to be remembered until ctx ends, and then once more.
func (f *Fleet) keep(ctx context.Context) {
	t := time.NewTicker(keepEvery)
	defer t.Stop()
	k := keeper{f: f, memos: make(map[cairn.NodeID]memo), exhibits: make(map[cairn.NodeID][]Evidence)}
	for ctx.Err() == nil {
		select {
		case <-t.C:
		case <-f.noted:
		case <-ctx.Done():
		}
		k.write()
		pause := time.NewTimer(keepPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
	k.write()
}

// keeper knows what the files hold.
type keeper struct {
	f        *Fleet
	memos    map[cairn.NodeID]memo
	exhibits map[cairn.NodeID][]Evidence
	failing  bool
}

// write brings the files up to date. Each is replaced whole: after a power loss
// it is the one before or this one. What cannot be written is tried again the
// next time. Evidence goes first: a node in quarantine has some.
func (k *keeper) write() {
	memos, all := k.f.memory()
	var errs []error
	for id, es := range all {
		if old, ok := k.exhibits[id]; ok && slices.Equal(old, es) {
			continue
		}
		err := k.replace(id.String()+evidenceSuffix, exhibits{memoVersion, es})
		if err == nil {
			k.exhibits[id] = es
		}
		errs = append(errs, err)
	}
	for id, m := range memos {
		if k.memos[id] == m {
			continue
		}
		err := k.replace(id.String()+memoSuffix, m)
		if err == nil {
			k.memos[id] = m
		}
		errs = append(errs, err)
	}
	err := errors.Join(errs...)
	if err != nil && !k.failing {
		k.f.c.Log.Error("what is known of nodes cannot be written, and is lost if this process ends", "err", err)
	}
	k.failing = err != nil
}

func (k *keeper) replace(name string, what any) error {
	b, err := json.MarshalIndent(what, "", "\t")
	if err != nil {
		return err
	}
	return durable.WriteFile(k.f.c.FS, path.Join(k.f.c.Dir, name), append(b, '\n'))
}

// memory is all that is to be kept of nodes, also of those that left.
func (f *Fleet) memory() (map[cairn.NodeID]memo, map[cairn.NodeID][]Evidence) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.part(f.nodes)
	memos, all := make(map[cairn.NodeID]memo), make(map[cairn.NodeID][]Evidence)
	for id, m := range f.past {
		memos[id] = m
	}
	for id, es := range f.evidence {
		all[id] = es
	}
	return memos, all
}

// part keeps what is known of nodes beyond their time here; f.mu is held.
func (f *Fleet) part(nodes []*node) {
	for _, n := range nodes {
		f.past[n.ID] = n.memo()
	}
}
