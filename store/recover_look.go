package store

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
	"golang.org/x/sync/errgroup"
)

// logPack is a log pack above the cut-off.
type logPack struct {
	row      index.PackRow
	trailer  pack.Trailer
	contents pack.Contents // Records are dropped, to be read again, where memory is short
	whole    bool          // they are there
}

// survey lists all nodes.
func (r *recovering) survey(ctx context.Context) error {
	r.begin("nodes", 0)
	if len(r.base.Nodes) > 0 {
		if err := r.c.Nodes.SetNodes(ctx, r.base.Nodes); err != nil {
			return err
		}
	}
	r.found, r.why = r.c.Nodes.Survey(ctx)
	if err := ctx.Err(); err != nil {
		return err
	}
	r.hear(r.why)
	for id := range r.found {
		if r.here[id] {
			delete(r.found, id)
		}
	}
	r.rep.Packs = len(r.found)
	r.step.Packs = uint64(len(r.found))
	r.end()
	if len(r.rep.Silent) > 0 {
		return r.goOn(fmt.Sprintf("%d nodes do not answer: %s", len(r.rep.Silent), r.silentText()))
	}
	if r.why != nil {
		return r.goOn("some nodes do not answer")
	}
	return nil
}

// hear notes which nodes a survey was not answered by.
func (r *recovering) hear(why error) {
	r.why, r.silent = why, make(map[cairn.NodeID]bool)
	names := make(map[string]bool)
	namesIn(why, names)
	for name := range names {
		r.rep.Silent = append(r.rep.Silent, name)
	}
	slices.Sort(r.rep.Silent)
	for _, n := range r.base.Nodes {
		if names[n.Name] {
			r.silent[n.ID] = true
		}
	}
}

// namesIn collects the nodes that an error of several is about.
func namesIn(err error, into map[string]bool) {
	switch e := err.(type) {
	case *backends.Error:
		into[e.Node] = true
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			namesIn(err, into)
		}
	case interface{ Unwrap() error }:
		namesIn(e.Unwrap(), into)
	}
}

// look takes every pack that is listed: one that the checkpoint knows stands
// where it is listed, and, as far as nodes are silent, where it was; of any
// other trailer and contents are read. Log packs above the cut-off are kept
// back for their order, also those the checkpoint has a row of: places in it may
// be newer than the records.
func (r *recovering) look(ctx context.Context) error {
	unknown, err := r.placed()
	if err != nil {
		return err
	}
	r.begin("packs", len(unknown))
	var mu sync.Mutex
	var rows []index.PackRow
	var bad []cairn.PackID
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(gatherWidth)
	for _, id := range unknown {
		g.Go(func() error {
			t, c, err := r.contents(gctx, id)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				bad = append(bad, id)
				return r.unread(gctx, id, err)
			}
			r.step.Packs++
			r.step.Bytes += uint64(t.Contents) + uint64(t.TailSize())
			if r.step.Packs%64 == 0 {
				r.tell()
			}
			if row, take := r.take(t, c); take {
				rows = append(rows, row)
			}
			if len(rows) < 256 {
				return nil
			}
			some := rows
			rows = nil
			return r.idx.SetPack(some...)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, id := range bad {
		delete(r.found, id)
	}
	if err := r.idx.SetPack(rows...); err != nil {
		return err
	}
	r.end()
	return nil
}

// placed brings the places of the packs that the checkpoint knows up to date
// and returns those that must be read, in order of id.
func (r *recovering) placed() (unknown []cairn.PackID, err error) {
	known := make(map[cairn.PackID]bool)
	var changed []index.PackRow
	for row, err := range r.idx.Packs(cairn.PackID{}) {
		if err != nil {
			return nil, err
		}
		id := row.Params.ID
		r.seq = max(r.seq, id.Seq())
		above := row.Kind == pack.Log && row.Number > r.base.CutOff.Number
		known[id] = !above
		if r.here[id] {
			if row.State = index.Staged; above {
				changed = append(changed, row)
			}
			continue
		}
		at := r.union(row.At, r.found[id])
		if slices.Equal(at, row.At) {
			continue
		}
		row.At = at
		if changed = append(changed, row); len(changed) >= 1000 {
			if err := r.idx.SetPack(changed...); err != nil {
				return nil, err
			}
			changed = changed[:0]
		}
	}
	if err := r.idx.SetPack(changed...); err != nil {
		return nil, err
	}
	for id := range r.found {
		r.seq = max(r.seq, id.Seq())
		if !known[id] {
			unknown = append(unknown, id)
		}
	}
	slices.SortFunc(unknown, func(a, b cairn.PackID) int { return slices.Compare(a[:], b[:]) })
	return unknown, nil
}

// union is where a pack stands: where it is listed, and where it was said to
// stand on nodes that are silent. What is not seen there is unknown, not
// missing.
func (r *recovering) union(was, listed []cairn.Location) []cairn.Location {
	var at []cairn.Location
	for _, l := range was {
		if r.silent[l.Node] || slices.Contains(listed, l) {
			at = append(at, l)
		}
	}
	for _, l := range listed {
		if !slices.Contains(at, l) {
			at = append(at, l)
		}
	}
	return at
}
