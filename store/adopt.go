package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// Adopted is what became of a pack that stands on nodes.
type Adopted struct {
	// As says it in a word: known, staged, doomed (it was retiring: what was found
	// goes with the rest), log (its records were missing and count now), needed
	// (something refers to it), unneeded (nothing does: it is retired in the
	// ordinary way), refused.
	As      string `json:"as"`
	Why     string `json:"why,omitempty"` // of refused
	Records int    `json:"records"`       // applied
}

// Adopt takes up a pack of which shards stand at places that no row names. It
// never deletes and never believes what it should not: a pack of a closed epoch
// that no checkpoint names, a log pack that is void, or whose number another has,
// is refused and left where it is.
//
// ErrUnavailable: not enough of it, or of what its records name, is known yet;
// ask again when more nodes were listed. ErrCorrupt: no shard of it stands there.
func (s *Store) Adopt(ctx context.Context, id cairn.PackID, at []cairn.Location) (Adopted, error) {
	if err := s.writable(); err != nil {
		return Adopted{}, err
	}
	if s.Staged(id) {
		return Adopted{As: "staged"}, nil
	}
	row, err := s.idx.Pack(id)
	if err == nil {
		return s.adoptKnown(row, at)
	}
	if !errors.Is(err, cairn.ErrNotExist) {
		return Adopted{}, s.indexError("pack", err)
	}
	t, err := s.c.Nodes.Trailer(ctx, id, at)
	if err != nil {
		return Adopted{}, fmt.Errorf("store: adopt %v: %w", id, err)
	}
	if at = s.c.Nodes.Verify(ctx, t.Params, at); len(at) == 0 {
		return Adopted{}, fmt.Errorf("store: adopt %v: no shard verifies now: %w", id, cairn.ErrUnavailable)
	}
	if why := s.unbelieved(t); why != "" {
		return Adopted{As: "refused", Why: why}, nil
	}
	row, contents, changes, err := s.readContents(ctx, id, at)
	if err != nil {
		return Adopted{}, fmt.Errorf("store: adopt %v: %w", id, err)
	}
	row.At = at
	if row.Kind == pack.Log {
		return s.adoptLog(row, t, contents, changes)
	}
	return s.adoptRow(row)
}

// adoptKnown adds files of a pack that goes to those that are to be deleted, at
// most layout.MaxPerNode of each node: one that makes up names would else make a
// row of any length. What is left is taken when those are gone.
func (s *Store) adoptKnown(row index.PackRow, at []cairn.Location) (Adopted, error) {
	if row.State != index.Retiring && row.State != index.Retired {
		return Adopted{As: "known"}, nil
	}
	var was, is []cairn.Location
	err := s.idx.UpdatePack(row.Params.ID, func(r *index.PackRow) error {
		was = slices.Clone(r.At)
		held := make(map[cairn.NodeID]int)
		for _, l := range r.At {
			held[l.Node]++
		}
		for _, l := range at {
			if int(l.Index) < r.Params.Coding.N() && !slices.Contains(r.At, l) && held[l.Node] < layout.MaxPerNode {
				held[l.Node]++
				r.At = append(r.At, l)
			}
		}
		is = r.At
		return nil
	})
	if err != nil {
		return Adopted{}, s.indexError("pack", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recount(row.Params.FileSize(), was, is)
	return Adopted{As: "doomed"}, nil
}

// unbelieved is why a pack is not taken, by what its signed trailer says.
func (s *Store) unbelieved(t pack.Trailer) string {
	if t.Store != s.c.Store {
		return "it is of another store"
	}
	if s.c.Roots == nil {
		return ""
	}
	body, _ := s.c.Roots.Body()
	closed := slices.ContainsFunc(body.Epochs, func(e pack.RootEpoch) bool { return e.Closed && e.Number == t.Epoch })
	if _, named, _ := s.c.Roots.Kept(); closed && !named[t.ID] {
		return fmt.Sprintf("epoch %d is closed, and no checkpoint names it: whoever has the old key may have made it", t.Epoch)
	}
	return ""
}

// adoptRow takes up a pack that carries no records that count. It is spread for
// now; the next collection sees whether anything needs it.
func (s *Store) adoptRow(row index.PackRow) (Adopted, error) {
	id := row.Params.ID
	used, err := s.idx.Referenced(id)
	if err != nil {
		return Adopted{}, s.indexError("references", err)
	}
	row.State = index.Spread
	switch {
	case row.Kind == pack.Checkpoint && !s.namesCheckpoint(id):
		row.State = index.Retiring // the ordinary rule for those waits for who made them
	case row.Kind == pack.Journal && s.logKnown(row.Number):
		row.State = index.Retiring
	}
	if err := s.takeRow(row); err != nil {
		return Adopted{}, err
	}
	if used {
		return Adopted{As: "needed"}, nil
	}
	return Adopted{As: "unneeded"}, nil
}

func (s *Store) takeRow(row index.PackRow) error {
	if err := s.idx.SetPack(row); err != nil {
		s.fail(err)
		return s.err()
	}
	if row.Kind == pack.Journal {
		s.jour.enter(row)
	} else {
		s.mu.Lock()
		s.account(row, nil)
		if row.State == index.Spread {
			s.nSpread++
		}
		s.mu.Unlock()
	}
	if err := s.idx.Flush(); err != nil {
		s.fail(err)
		return s.err()
	}
	return nil
}

func (s *Store) namesCheckpoint(id cairn.PackID) bool {
	n := s.needed()
	return n.packs[id]
}

// logKnown reports that what log pack number holds counts already.
func (s *Store) logKnown(number uint64) bool {
	s.mu.Lock()
	cut, next := s.ckpt.base.cut.Number, s.chain.next
	s.mu.Unlock()
	if number <= cut {
		return true
	}
	return number < next && !s.unseen.missing(number)
}

// adoptLog takes up a log pack. Where its number was missing from the chain its
// records count, by their stamps: what was written since wins against them.
//
// Order: the row and the records applied, then the index flushed, then the number
// is missing no more; a crash between applies them again.
func (s *Store) adoptLog(row index.PackRow, t pack.Trailer, c pack.Contents, changes []index.Change) (Adopted, error) {
	if s.c.Roots != nil {
		body, _ := s.c.Roots.Body()
		r := &recovering{base: Base{Gateways: body.Gateways}}
		if r.void(t, c) {
			return Adopted{As: "refused", Why: fmt.Sprintf("log pack %d is void: its gateway was succeeded before it, or never wrote to this store", c.Number)}, nil
		}
	}
	if s.logKnown(row.Number) {
		// Its records are in the index, or in another log pack of that number.
		for other, err := range s.idx.Packs(cairn.PackID{}) {
			if err != nil {
				return Adopted{}, s.indexError("packs", err)
			}
			if other.Kind == pack.Log && other.Number == row.Number {
				return Adopted{As: "refused", Why: fmt.Sprintf("log pack %d is another", row.Number)}, nil
			}
		}
		return s.adoptRow(row)
	}
	if !s.unseen.missing(row.Number) {
		return Adopted{As: "refused", Why: fmt.Sprintf("log pack %d was never written by this gateway", row.Number)}, nil
	}
	for _, ch := range changes {
		for _, id := range packsOf(ch) {
			if id == row.Params.ID {
				continue
			}
			other, err := s.idx.Pack(id)
			if err != nil || other.State >= index.Retiring || other.State == index.Spread && !readable(other) {
				return Adopted{}, fmt.Errorf("store: adopt log pack %d: record %v names pack %v, which is not there: %w", row.Number, ch.Record.Stamp, id, cairn.ErrUnavailable)
			}
		}
	}
	row.State = index.Spread
	if err := s.idx.Apply(changes); err != nil {
		return Adopted{}, s.indexError("adopt", err)
	}
	if err := s.takeRow(row); err != nil {
		return Adopted{}, err
	}
	if err := s.unseen.found(row.Number); err != nil {
		s.c.Log.Warn("that a log pack was found again is not kept; it is found once more", "number", row.Number, "err", err)
	}
	s.c.Log.Info("a log pack that was missing is back", "number", row.Number, "records", len(changes))
	return Adopted{As: "log", Records: len(changes)}, nil
}
