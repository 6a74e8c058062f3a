package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// rebuildBase loads the checkpoint that the newest root here names into the
// empty index, and takes what it knows out of found: of all that, only log packs
// above its cut-off need to be read. Where it cannot be read, that of an older
// root is as good: what roots need that are kept is kept (see needs), so that the
// log above the older cut-off is there, with what became of its packs since.
// Without any that can be read it is as if there were none; the cut-off returned
// is then zero.
//
// A log pack above the cut-off that is staged here may have a row: places in a
// checkpoint may be newer than its records. It is made staged again, so that it
// is replayed.
//
// here is where shards of staged packs are listed.
func (s *Store) rebuildBase(ctx context.Context, here, found map[cairn.PackID][]cairn.Location, silent error) (pack.CutOff, error) {
	if s.c.Roots == nil {
		return pack.CutOff{}, nil
	}
	body, ok := s.c.Roots.Body()
	if !ok {
		return pack.CutOff{}, nil
	}
	var r *recovering
	var tried []pack.CutOff
	for _, b := range append([]pack.RootBody{body}, s.c.Roots.Older()...) {
		if len(b.Runs) == 0 || slices.Contains(tried, b.CutOff) {
			continue
		}
		tried = append(tried, b.CutOff)
		// Nodes are those of now: whoever is silent is asked by name.
		r = &recovering{c: &s.c, idx: s.idx, rep: &Recovered{}, found: found, here: make(map[cairn.PackID]bool), stagedAt: here,
			base: Base{CutOff: b.CutOff, Runs: b.Runs, Nodes: body.Nodes}}
		for id := range here {
			r.here[id] = true
		}
		r.hear(silent)
		err := r.load(ctx)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return pack.CutOff{}, ctx.Err()
		}
		s.c.Log.Warn("a checkpoint cannot be read; the index is made from an older one, or from all log packs", "cut_off", b.CutOff.Number, "err", err)
		r = nil
		_ = s.idx.Close() // it is given up
		s.idx = nil
		if err := index.Destroy(s.c.FS, s.c.indexDir()); err != nil {
			return pack.CutOff{}, fmt.Errorf("store: %w", err)
		}
		if s.idx, err = index.Open(s.c.indexConfig()); err != nil {
			return pack.CutOff{}, err
		}
	}
	if r == nil {
		return pack.CutOff{}, nil
	}
	unknown, err := r.placed()
	if err != nil {
		return pack.CutOff{}, err
	}
	read := make(map[cairn.PackID]bool, len(unknown))
	for _, id := range unknown {
		read[id] = true
	}
	for id := range found {
		if !read[id] {
			delete(found, id)
		}
	}
	s.c.Log.Info("the index begins from a checkpoint", "cut_off", r.base.CutOff.Number, "rows", r.rep.Rows)
	return r.base.CutOff, nil
}
