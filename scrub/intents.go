package scrub

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
)

const intentsName = "intents"

// intend makes places durable before anything is put there. A listing that
// meets them meanwhile leaves them alone.
func (s *Scrub) intend(ctx context.Context, id cairn.PackID, places []cairn.Location) error {
	select {
	case s.saving <- struct{}{}: // held over nothing but writes to this disk
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.saving }()
	s.mu.Lock()
	s.intents[id] = append(s.intents[id], places...)
	var b []byte
	for _, id := range sortedIDs(s.intents) {
		for _, l := range s.intents[id] {
			b = append(b, l.Name(id).String()...)
			b = append(b, ' ')
			b = append(b, l.Node.String()...)
			b = append(b, '\n')
		}
	}
	s.mu.Unlock()
	if err := durable.WriteFile(s.c.FS, path.Join(s.c.Dir, intentsName), b); err != nil {
		return fmt.Errorf("scrub: %w", err)
	}
	return nil
}

// settled forgets an intent, here at once and on disk with the next one.
func (s *Scrub) settled(id cairn.PackID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.intents, id)
}

// loadIntents turns what a killed process was putting into marks: they are
// files that may stand and are in no row.
func (s *Scrub) loadIntents() {
	b, err := durable.ReadFile(s.c.FS, path.Join(s.c.Dir, intentsName), 1<<20)
	if err != nil {
		if !errors.Is(err, cairn.ErrNotExist) {
			s.c.Log.Warn("what was being placed cannot be read; listings find it", "err", err)
		}
		return
	}
	now := s.now()
	for line := range strings.Lines(string(b)) {
		shard, node, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		name, err := layout.ParseShardName(shard)
		id, nerr := cairn.ParseNodeID(node)
		if err == nil && nerr == nil {
			s.marks.add(extra, place{name.Pack, cairn.Location{Index: name.Index, Node: id, Write: name.Write}}, now)
		}
	}
}

// isIntended reports whether a file is being put right now.
func (s *Scrub) isIntended(p place) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.intents[p.pack], p.Location)
}
