package scrub

import (
	"context"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/layout"
)

const (
	// sweepCycles is how many listings of tmp/ after the first one that showed a
	// file it must still be there to count as left behind. Each is a day apart in
	// observed time; no clock of a node is believed.
	sweepCycles = 2
	// tempsMost bounds the temporaries remembered of a node.
	tempsMost = 10_000
)

// sweep removes temporaries that were first seen here two cycles ago. Nothing
// under another name is touched, and a listing that failed counts for no cycle.
func (s *Scrub) sweep(ctx context.Context, id cairn.NodeID) (removed int64) {
	var names []string
	for e, err := range s.c.Nodes.Temporaries(ctx, id) {
		if err != nil {
			if ctx.Err() == nil {
				s.c.Log.Debug("temporaries could not be listed", "node", s.name(id), "err", err)
			}
			return 0
		}
		if strings.HasPrefix(e.Name, layout.TempPrefix) && len(names) < tempsMost {
			names = append(names, e.Name)
		}
	}
	s.mu.Lock()
	m := s.memory(id)
	m.Sweeps++
	seen := make(map[string]int, len(names))
	var old []string
	for _, n := range names {
		first, ok := m.Temps[n]
		if !ok {
			first = m.Sweeps
		}
		seen[n] = first
		if m.Sweeps-first >= sweepCycles {
			old = append(old, n)
		}
	}
	m.Temps = seen
	s.mu.Unlock()
	for _, n := range old {
		if err := s.c.Nodes.RemoveTemporary(ctx, id, n); err != nil {
			if ctx.Err() != nil {
				return removed
			}
			s.c.Log.Debug("a temporary could not be removed", "node", s.name(id), "err", err)
			continue
		}
		removed++
		s.mu.Lock()
		delete(m.Temps, n)
		s.mu.Unlock()
	}
	return removed
}
