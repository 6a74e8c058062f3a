package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// contentsMost is how many bytes of records of log packs are kept in memory
// between looking at them and applying them.
const contentsMost = 64 << 20

// contents reads what a pack says of itself.
func (r *recovering) contents(ctx context.Context, id cairn.PackID) (t pack.Trailer, c pack.Contents, err error) {
	t, err = r.c.Nodes.Trailer(ctx, id, r.found[id])
	if errors.Is(err, cairn.ErrCorrupt) {
		return t, c, fmt.Errorf("%w: %w", errNoShard, err)
	}
	if err != nil {
		return t, c, err
	}
	epoch, ok := r.c.Epochs[t.Epoch]
	if !ok {
		return t, c, fmt.Errorf("no key for epoch %d: %w", t.Epoch, cairn.ErrDenied)
	}
	sealed, err := r.c.Nodes.Contents(ctx, t.Params, r.found[id])
	if err != nil {
		return t, c, err
	}
	c, err = pack.OpenContents(epoch.Pack(id, t.Prefix), t.Params, sealed)
	return t, c, err
}

// unread decides about a pack that is listed and could not be read.
func (r *recovering) unread(ctx context.Context, id cairn.PackID, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errNoShard):
		// Whoever lists it may have made it up. If it was real and mattered, a log
		// number or a pack that records name is found missing.
		r.c.Log.Warn("a pack is listed, but no file of it verifies; it is left out", "pack", id, "err", err)
		return nil
	case errors.Is(err, cairn.ErrUnavailable), errors.Is(err, cairn.ErrCorrupt):
		// What is wrong wherever it was read may be right on a node that is silent,
		// and where none is it is lost: either way a person may go on without it.
		return r.goOn(fmt.Sprintf("pack %v is listed and cannot be read: %v", id, err))
	}
	return fmt.Errorf("pack %v: %w", id, err)
}

// take decides what a pack counts for; the row is to be kept where it says so.
func (r *recovering) take(t pack.Trailer, c pack.Contents) (index.PackRow, bool) {
	row := index.PackRow{Params: t.Params, Kind: c.Kind, Bytes: c.Length, Number: c.Number, SealHash: t.SealHash(),
		First: c.First, Last: c.Last, State: index.Spread, At: r.found[t.ID]}
	if c.Kind == pack.Log || c.Kind == pack.Journal {
		r.saw(c.First)
		r.saw(c.Last)
	}
	named := c.Kind == pack.Checkpoint && r.names(t.ID)
	if r.base.Closed[t.Epoch] && !named || c.Kind == pack.Log && r.void(t, c) {
		r.rep.Void = append(r.rep.Void, t.ID)
		r.c.Log.Warn("a pack does not count", "pack", t.ID, "kind", c.Kind, "number", c.Number, "epoch", t.Epoch)
		return row, false
	}
	switch {
	case c.Kind == pack.Journal:
		r.journals = append(r.journals, journalPack{row, c})
		return row, false
	case c.Kind == pack.Log && c.Number > r.base.CutOff.Number:
		l := logPack{row: row, trailer: t, contents: c, whole: true}
		if size := int64(4 * t.Contents); r.kept+size <= contentsMost {
			r.kept += size
		} else {
			l.contents.Records, l.whole = nil, false
		}
		r.logs = append(r.logs, l)
		return row, false
	}
	return row, true
}

// names reports whether the checkpoint that the index comes from lies in a pack.
func (r *recovering) names(id cairn.PackID) bool {
	for _, run := range r.base.Runs {
		for _, e := range run.Part.Extents {
			if e.Pack == id {
				return true
			}
		}
	}
	return false
}

// void reports whether a log pack does not count: no gateway of the store signed
// it, or a former one after it was succeeded.
func (r *recovering) void(t pack.Trailer, c pack.Contents) bool {
	if len(r.base.Gateways) == 0 {
		return false
	}
	for _, g := range r.base.Gateways {
		if g.Key != t.Signer {
			continue
		}
		switch until := g.Until; {
		case until.IsZero():
			return false
		case c.Number < until.Number:
			return false
		case c.Number == until.Number:
			return t.SealHash() != until.Seal
		}
		return true
	}
	return true
}
