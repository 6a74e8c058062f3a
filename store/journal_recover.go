package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store/stage"
)

// journalPack is a journal found on nodes.
type journalPack struct {
	row      index.PackRow
	contents pack.Contents
}

// restageFrom is what restage goes by.
type restageFrom struct {
	journals []journalPack
	next     uint64                   // number of the first log stage to make: above those of all log packs known or staged
	seq      uint64                   // highest pack sequence seen anywhere
	stale    func(number uint64) bool // that log pack stands, or a checkpoint covers it
	known    func(cairn.Stamp) bool   // a record of that stamp counts already, or a checkpoint covers it
	stands   func(cairn.PackID) bool  // at least k shards of the pack were found, or it is staged here
}

// restaged is what it made.
type restaged struct {
	files   []*stage.File // open, for replay
	rows    []index.PackRow
	records int                  // laid out
	stamps  map[cairn.Stamp]bool // of them
	lost    []pack.Record        // that name packs of which too little is left
}

// restage lays out in log stages what journals hold and nothing else has: the
// records with their own stamps, and their frames sealed anew. A log pack that a
// journal anticipated is never made again under its id: other groups of it are
// lost, and shards of it may stand somewhere.
//
// The stages are replayed and spread like any other, with numbers above all that
// are known, and the journals serve until then: rows has them all, retiring those
// of log packs that stand, and the others naming the last of these stages. Doing
// it again after a crash finds what was laid out as known.
//
// The caller closes the files, also where there is an error.
func restage(ctx context.Context, c *Config, from restageFrom) (out restaged, err error) {
	out.stamps = make(map[cairn.Stamp]bool)
	r := &restager{c: c, from: from, out: &out, frames: make(map[crypt.ContentID][]journalRun)}
	var live []journalPack
	for _, j := range from.journals {
		if j.row.State = index.Spread; from.stale(j.row.Number) {
			j.row.State = index.Retiring
			out.rows = append(out.rows, j.row)
			continue
		}
		epoch, ok := c.Epochs[j.row.Params.Epoch]
		if !ok {
			return out, fmt.Errorf("journal %v: no key for epoch %d: %w", j.row.Params.ID, j.row.Params.Epoch, cairn.ErrDenied)
		}
		key := epoch.Pack(j.row.Params.ID, j.row.Params.Prefix)
		for _, run := range j.contents.Runs {
			r.frames[run.Content] = append(r.frames[run.Content], journalRun{j.row, key, run})
		}
		live = append(live, j)
	}
	records := make(map[cairn.Stamp]pack.Record)
	for _, j := range live {
		for _, rec := range j.contents.Records {
			if !from.known(rec.Stamp) {
				records[rec.Stamp] = rec
			}
		}
	}
	for _, rec := range sortedRecords(records) {
		if err := r.record(ctx, rec); err != nil {
			return out, fmt.Errorf("record %v of a journal: %w", rec.Stamp, err)
		}
	}
	if err := r.finishGroup(); err != nil {
		return out, err
	}
	for _, j := range live {
		if top := from.next - 1 + uint64(len(out.files)); len(out.files) > 0 || j.row.Number > top {
			j.row.Number = top
		}
		out.rows = append(out.rows, j.row)
	}
	return out, nil
}

func sortedRecords(by map[cairn.Stamp]pack.Record) []pack.Record {
	out := make([]pack.Record, 0, len(by))
	for _, r := range by {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b pack.Record) int { return a.Stamp.Compare(b.Stamp) })
	return out
}

// restageFound is restage for a rebuild: got is what the nodes have, files what
// is staged here, top the highest number of a log pack of either. Records that
// are laid out are taken out of got.
func (s *Store) restageFound(ctx context.Context, got *gathered, files []*stage.File, top uint64, silent error) (restaged, error) {
	here := make(map[cairn.PackID]bool)
	known := make(map[cairn.Stamp]bool)
	from := restageFrom{journals: got.journals, next: top + 1}
	for _, f := range files {
		here[f.Pack] = true
		from.seq = max(from.seq, f.Pack.Seq())
	}
	stand := make(map[uint64]bool)
	for _, row := range got.rows {
		from.seq = max(from.seq, row.Params.ID.Seq())
		if readable(row) {
			here[row.Params.ID] = true
			stand[row.Number] = stand[row.Number] || row.Kind == pack.Log
		}
	}
	for _, j := range got.journals {
		from.seq = max(from.seq, j.row.Params.ID.Seq())
	}
	from.stale = func(n uint64) bool { return n <= got.cut.Number || stand[n] }
	from.stands = func(id cairn.PackID) bool {
		row, err := s.idx.Pack(id) // that a checkpoint knows
		return here[id] || err == nil && readable(row)
	}
	from.known = func(at cairn.Stamp) bool { return at.Compare(got.cut.Last) <= 0 || known[at] }
	if len(got.journals) == 0 {
		return restaged{}, nil
	}
	for _, ch := range got.changes {
		known[ch.Record.Stamp] = !slices.ContainsFunc(packsOf(ch), func(id cairn.PackID) bool { return !here[id] })
	}
	for _, f := range files {
		if f.Kind != pack.Log {
			continue
		}
		scan, err := f.ScanLog(s.c.Epochs[f.Epoch].Pack(f.Pack, f.Prefix))
		if err != nil {
			return restaged{}, err
		}
		for _, r := range scan.Records {
			known[r.Stamp] = true
		}
	}
	out, err := restage(ctx, &s.c, from)
	if err != nil {
		return out, err
	}
	for _, r := range out.lost {
		if silent != nil {
			return out, fmt.Errorf("record %v of a journal names a pack that is on no node which answers; start again when more nodes are there: %w: %w", r.Stamp, cairn.ErrUnavailable, silent)
		}
		s.c.Log.Error("a journal's record names a pack of which no node has enough; it is left out", "record", r.Stamp)
	}
	got.changes = slices.DeleteFunc(got.changes, func(ch index.Change) bool { return out.stamps[ch.Record.Stamp] })
	return out, nil
}

// readable reports that k shards of a pack are listed.
func readable(row index.PackRow) bool {
	seen := make(map[uint8]bool)
	for _, l := range row.At {
		seen[l.Index] = true
	}
	return len(seen) >= row.Params.Coding.K
}
