package store

import (
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/store/stage"
)

// A record has a twin where its log pack was only in part on the nodes when a
// gateway was lost: its journal's copy, of the same stamp, was laid out in a new
// log pack, and its frames sealed anew there. Of the two the index keeps what it
// is given first, so that must be the one whose bytes are there.

// twins sorts the changes that a rebuild found by stamp, and of twins keeps the
// one of which every pack can be read, where there is one.
func (s *Store) twins(got *gathered, files []*stage.File) {
	here := make(map[cairn.PackID]bool)
	for _, f := range files {
		here[f.Pack] = true
	}
	for _, row := range got.rows {
		here[row.Params.ID] = here[row.Params.ID] || readable(row)
	}
	sure := func(ch index.Change) bool {
		return !slices.ContainsFunc(packsOf(ch), func(id cairn.PackID) bool {
			if here[id] {
				return false
			}
			row, err := s.idx.Pack(id) // that a checkpoint knows
			return err != nil || !readable(row)
		})
	}
	slices.SortStableFunc(got.changes, func(a, b index.Change) int {
		if c := a.Record.Stamp.Compare(b.Record.Stamp); c != 0 {
			return c
		}
		switch a, b := sure(a), sure(b); {
		case a == b:
			return 0
		case a:
			return -1
		}
		return 1
	})
	got.changes = slices.CompactFunc(got.changes, func(a, b index.Change) bool { return a.Record.Stamp == b.Record.Stamp })
}

// twinKnown reports whether the index has the version or part of ch already,
// from a twin.
func (r *recovering) twinKnown(ch index.Change) bool {
	if p, ok := putIn(ch.Record.Body); ok {
		v, err := r.idx.Object(p.Bucket, p.Key)
		return err == nil && v.Stamp == ch.Record.Stamp
	}
	return false
}

// doubtful reports whether ch names a pack that may stand and cannot be read
// now: it is applied after all others, lest it take the place of its twin.
func (r *recovering) doubtful(ch index.Change) bool {
	if r.why == nil {
		return false
	}
	return slices.ContainsFunc(packsOf(ch), func(id cairn.PackID) bool {
		if r.here[id] {
			return false
		}
		row, err := r.idx.Pack(id)
		return err != nil || !readable(row)
	})
}
