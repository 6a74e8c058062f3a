package index

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cockroachdb/pebble/v2"
)

// retire sets the state to Retired where a record says so, which may have come
// before the row, and returns the state before.
func (p *PackRow) retire(r pebble.Reader, t *truth) (PackState, error) {
	stored := p.State
	stamps, err := readRetired(r, p.Params.ID)
	if slices.ContainsFunc(stamps, t.counts) {
		p.State = Retired
	}
	return stored, err
}

// readRetired returns the stamps of the retired records of a pack.
func readRetired(r pebble.Reader, id cairn.PackID) ([]cairn.Stamp, error) {
	key := packKey(tableRetired, id)
	b, _, err := get(r, key)
	if err != nil {
		return nil, err
	}
	if len(b)%stampSize != 0 {
		return nil, badRow(key)
	}
	var stamps []cairn.Stamp
	for ; len(b) > 0; b = b[stampSize:] {
		stamps = append(stamps, stampAt(b))
	}
	return stamps, nil
}

// retire applies a retired record. A reference that a newer record made is
// ErrCorrupt, as it would be had it come second.
func (t *tx) retire(id cairn.PackID, s cairn.Stamp) error {
	stamps, err := readRetired(t.b, id)
	if err != nil || slices.Contains(stamps, s) {
		return err
	}
	if t.soft.truth.counts(s) {
		err := scan(t.b, packKey(tableRef, id), func(_, v []byte) error {
			if len(v) < stampSize {
				return badRow([]byte{tableRef})
			}
			if by := stampAt(v); by.Compare(s) > 0 && t.soft.truth.knows(s.Life, by.Life) {
				return fmt.Errorf("retires pack %v, which record %v names: %w", id, by, cairn.ErrCorrupt)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	delete(t.inUse, id)
	return t.set(packKey(tableRetired, id), appendStamp(joinStamps(stamps), s))
}

func joinStamps(stamps []cairn.Stamp) []byte {
	var b bytes.Buffer
	for _, s := range stamps {
		b.Write(appendStamp(nil, s))
	}
	return b.Bytes()
}

// retiredBefore returns ErrCorrupt when one of ids carries a retired record
// older than s: a committer looks where bytes lie when it stamps, so a newer
// record cannot name such a pack. An older one can; replay in any order meets
// it before the move or delete that took it away.
func (t *tx) retiredBefore(ids []cairn.PackID, s cairn.Stamp) error {
	for _, id := range ids {
		if t.inUse[id] {
			continue
		}
		stamps, err := readRetired(t.b, id)
		if err != nil {
			return err
		}
		if len(stamps) == 0 {
			if t.inUse == nil {
				t.inUse = map[cairn.PackID]bool{}
			}
			t.inUse[id] = true
		}
		for _, r := range stamps {
			if r.Compare(s) < 0 && t.soft.truth.counts(r) && t.soft.truth.knows(r.Life, s.Life) {
				return fmt.Errorf("names pack %v, retired at %v: %w", id, r, cairn.ErrCorrupt)
			}
		}
	}
	return nil
}

// RetiredAt is the stamp of the oldest record that counts and retires the pack;
// false where none does.
func (x *Index) RetiredAt(id cairn.PackID) (at cairn.Stamp, ok bool, err error) {
	if !x.users.enter() {
		return at, false, errClosed()
	}
	defer x.users.leave()
	truth := x.truth()
	stamps, err := readRetired(x.db, id)
	for _, s := range stamps {
		if truth.counts(s) && (!ok || s.Compare(at) < 0) {
			at, ok = s, true
		}
	}
	return at, ok, err
}
