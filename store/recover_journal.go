package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// journaled lays out what only journals have in stages, which Open replays, and
// keeps the rows of journals.
func (r *recovering) journaled(ctx context.Context) error {
	if len(r.journals) == 0 {
		return nil
	}
	top := r.base.CutOff.Number
	stand := make(map[uint64]bool)
	for row, err := range r.idx.Packs(cairn.PackID{}) {
		if err != nil {
			return err
		}
		if row.Kind == pack.Log {
			top = max(top, row.Number)
			stand[row.Number] = stand[row.Number] || readable(row)
		}
	}
	out, err := restage(ctx, r.c, restageFrom{
		journals: r.journals, next: top + 1, seq: r.seq,
		stale:  func(n uint64) bool { return n <= r.base.CutOff.Number || stand[n] },
		known:  func(s cairn.Stamp) bool { return s.Compare(r.base.CutOff.Last) <= 0 || r.applied[s] },
		stands: r.stands,
	})
	for _, f := range out.files {
		_ = f.Close() // durable by now; Open reads it
	}
	if err != nil {
		return err
	}
	r.rep.Journals = uint64(out.records)
	had := len(r.rep.Lost)
	r.rep.Lost = slices.DeleteFunc(r.rep.Lost, func(l Lost) bool { return out.stamps[l.Stamp] })
	r.rep.LostCount -= uint64(had - len(r.rep.Lost))
	for _, rec := range out.lost {
		if err := r.lose(index.Change{Record: rec}, cairn.PackID{}); err != nil {
			return err
		}
	}
	if len(out.lost) > 0 && r.why != nil {
		if err := r.goOn(fmt.Sprintf("%d records of journals name packs that no node which answers has", len(out.lost))); err != nil {
			return err
		}
	}
	return r.idx.SetPack(out.rows...)
}

// stands reports that a pack is staged here or that enough shards of it are
// listed.
func (r *recovering) stands(id cairn.PackID) bool {
	if r.here[id] {
		return true
	}
	row, err := r.idx.Pack(id)
	return err == nil && readable(row)
}

// leaveToJournals takes out of the records of a log pack those that name a pack
// which does not stand as far as is seen, and that a journal has: its nodes may
// stay away, and the journal is here.
func (r *recovering) leaveToJournals(row index.PackRow, changes []index.Change) []index.Change {
	if len(r.journals) == 0 || readable(row) {
		return changes
	}
	stand := make(map[uint64]bool)
	for _, l := range r.logs {
		stand[l.row.Number] = stand[l.row.Number] || readable(l.row)
	}
	has := make(map[cairn.Stamp]bool)
	for _, j := range r.journals {
		if j.row.Number > r.base.CutOff.Number && !stand[j.row.Number] {
			for _, rec := range j.contents.Records {
				has[rec.Stamp] = true
			}
		}
	}
	return slices.DeleteFunc(changes, func(ch index.Change) bool {
		return has[ch.Record.Stamp] && slices.ContainsFunc(packsOf(ch), func(id cairn.PackID) bool { return !r.stands(id) })
	})
}
