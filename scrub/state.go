package scrub

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

// moment is a point in observed time, in nanoseconds and one more, so that 0 is
// never.
type moment int64

// since is how long ago t was; 0 for a moment that lies ahead, as after the file
// of the clock was lost.
func (m moment) since(t moment) time.Duration { return max(0, time.Duration(m-t)) }

// now is the present moment.
func (s *Scrub) now() moment { return moment(s.c.Clock.Now()) + 1 }

// nodeMemory is what is kept of one node.
type nodeMemory struct {
	Listed moment `json:"listed,omitempty"` // the last whole listing
	Due    bool   `json:"due,omitempty"`    // it is to be listed now, whenever that was
	Away   moment `json:"away,omitempty"`   // since when it does not answer
	Ill    moment `json:"ill,omitempty"`    // since when it is quarantined
	Gone   bool   `json:"gone,omitempty"`   // it was counted as given up
	// The round of reading every byte: where it is, when it began, how much of
	// it is proven, and how long the one before took.
	Cursor packText      `json:"cursor"`
	Began  moment        `json:"began,omitempty"`
	Done   int64         `json:"done,omitempty"`
	Rounds int           `json:"rounds,omitempty"`
	Took   time.Duration `json:"took,omitempty"`
	// Sweeps counts listings of tmp/; Temps says in which one a file was first seen.
	Sweeps int            `json:"sweeps,omitempty"`
	Temps  map[string]int `json:"temps,omitempty"`

	budget time.Duration // spent waiting for the budget in this round; guarded by mu
	fails  int           // of the walk in a row; guarded by mu
}

// job is a verb under way: a later call goes on above the cursor.
type job struct {
	Cursor packText `json:"cursor"`
	Packs  int64    `json:"packs"`
}

// kept is the file of nodes and verbs under way.
type kept struct {
	Version int                    `json:"version"`
	Nodes   map[string]*nodeMemory `json:"nodes"`
	Jobs    map[string]*job        `json:"jobs,omitempty"`
	Seen    time.Duration          `json:"seen"`  // observed time, summed over nodes in the fleet
	Until   moment                 `json:"until"` // up to when Seen was counted
	Lost    int                    `json:"lost"`  // nodes given up in it
	Made    int64                  `json:"made"`  // bytes of shards made, and the time it took
	Busy    time.Duration          `json:"busy"`
}

const (
	stateVersion = 1
	stateFile    = "nodes.json"
	stateLimit   = 64 << 20
)

// packText is a pack id as text in files.
type packText cairn.PackID

// MarshalText gives nothing for no pack.
func (p packText) MarshalText() ([]byte, error) {
	if p == (packText{}) {
		return nil, nil
	}
	return []byte(cairn.PackID(p).String()), nil
}

// UnmarshalText is the exact inverse.
func (p *packText) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*p = packText{}
		return nil
	}
	id, err := cairn.ParsePackID(string(b))
	*p = packText(id)
	return err
}

// load reads what an earlier life kept. What is torn, missing or of another
// version is forgotten: each word in it can be found out again, and forgetting
// only begins graces anew.
func (s *Scrub) load() error {
	if err := s.c.FS.MkdirAll(s.c.Dir); err != nil {
		return fmt.Errorf("scrub: %w", err)
	}
	names, err := s.c.FS.List(s.c.Dir)
	if err != nil {
		return fmt.Errorf("scrub: %w", err)
	}
	for _, n := range names {
		if strings.HasPrefix(n, spoolPrefix) { // of a listing that was cut off
			if err := s.c.FS.Remove(path.Join(s.c.Dir, n)); err != nil {
				return fmt.Errorf("scrub: %w", err)
			}
		}
	}
	var k kept
	s.read(stateFile, &k, func() int { return k.Version })
	var m marksFile
	s.read(marksName, &m, func() int { return m.Version })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = k
	if k.Version != stateVersion {
		s.kept = kept{}
	}
	s.kept.Version = stateVersion
	if s.kept.Nodes == nil {
		s.kept.Nodes = make(map[string]*nodeMemory)
	}
	if s.kept.Jobs == nil {
		s.kept.Jobs = make(map[string]*job)
	}
	now := s.now()
	for _, n := range s.kept.Nodes {
		if n == nil {
			s.kept.Nodes = make(map[string]*nodeMemory)
			break
		}
		for _, t := range []*moment{&n.Listed, &n.Away, &n.Ill, &n.Began} {
			*t = min(*t, now) // the clock was lost: a grace begins anew
		}
	}
	s.kept.Until = min(s.kept.Until, now)
	if s.kept.Until == 0 {
		s.kept.Until = now
	}
	s.marks.load(m, now)
	return nil
}

func (s *Scrub) read(name string, into any, version func() int) {
	at := path.Join(s.c.Dir, name)
	b, err := durable.ReadFile(s.c.FS, at, stateLimit)
	switch {
	case errors.Is(err, cairn.ErrNotExist):
		return
	case err == nil:
		err = json.Unmarshal(b, into)
		if err == nil && version() != stateVersion {
			err = fmt.Errorf("version %d", version())
		}
	}
	if err != nil {
		s.c.Log.Warn("what scrub kept cannot be read and is forgotten; it is found out again", "file", at, "err", err)
	}
}

// save makes what is kept durable. A cursor is ahead of nothing that was not
// proven before, so a crash only repeats work.
func (s *Scrub) save(ctx context.Context) {
	select {
	case s.saving <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-s.saving }()
	s.mu.Lock()
	nodes, err := json.Marshal(s.kept)
	var marks []byte
	if err == nil && s.marks.dirty {
		marks, err = json.Marshal(s.marks.file())
		s.marks.dirty = false
	}
	s.mu.Unlock()
	if err == nil && marks != nil {
		err = durable.WriteFile(s.c.FS, path.Join(s.c.Dir, marksName), marks)
	}
	if err == nil {
		err = durable.WriteFile(s.c.FS, path.Join(s.c.Dir, stateFile), nodes)
	}
	if err != nil {
		s.mu.Lock()
		s.marks.dirty = true
		s.mu.Unlock()
		s.c.Log.Error("what scrub keeps cannot be written", "dir", s.c.Dir, "err", err)
	}
}

// memory is what is kept of a node; mu is held.
func (s *Scrub) memory(id cairn.NodeID) *nodeMemory {
	key := id.String()
	m := s.kept.Nodes[key]
	if m == nil {
		m = &nodeMemory{}
		s.kept.Nodes[key] = m
	}
	return m
}

// hold keeps everyone else here from changing where the shards of a pack
// stand; false when somebody does already.
func (s *Scrub) hold(id cairn.PackID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[id] {
		return false
	}
	s.held[id] = true
	return true
}

func (s *Scrub) let(id cairn.PackID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held, id)
}

// sortedIDs gives the keys of a map of packs in order, so that what is done is
// the same each time.
func sortedIDs[T any](m map[cairn.PackID]T) []cairn.PackID {
	ids := make([]cairn.PackID, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b cairn.PackID) int { return slices.Compare(a[:], b[:]) })
	return ids
}
