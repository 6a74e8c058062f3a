package store

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// rebuildBase loads the checkpoint that the newest root here names into the
// empty index, and takes what it knows out of found: of all that, only log packs
// above its cut-off need to be read. A checkpoint that cannot be read is done
// without, as if there were none; the cut-off returned is then zero.
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
	if !ok || len(body.Runs) == 0 {
		return pack.CutOff{}, nil
	}
	r := &recovering{c: &s.c, idx: s.idx, rep: &Recovered{}, found: found, here: make(map[cairn.PackID]bool),
		base: Base{CutOff: body.CutOff, Runs: body.Runs, Nodes: body.Nodes}}
	for id := range here {
		r.here[id] = true
	}
	r.stagedAt = here
	r.hear(silent)
	if err := r.load(ctx); err != nil {
		if ctx.Err() != nil {
			return pack.CutOff{}, ctx.Err()
		}
		s.c.Log.Warn("the checkpoint cannot be read; the index is made from all log packs", "err", err)
		_ = s.idx.Close() // it is given up
		s.idx = nil
		if err := index.Destroy(s.c.FS, s.c.indexDir()); err != nil {
			return pack.CutOff{}, fmt.Errorf("store: %w", err)
		}
		s.idx, err = index.Open(s.c.indexConfig())
		return pack.CutOff{}, err
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
	s.c.Log.Info("the index begins from a checkpoint", "cut_off", body.CutOff.Number, "rows", r.rep.Rows)
	return body.CutOff, nil
}
