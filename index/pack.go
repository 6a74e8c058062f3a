package index

import (
	"errors"
	"fmt"
	"iter"

	"github.com/cairn-storage/cairn"
	"github.com/cockroachdb/pebble/v2"
)

// SetPack writes the rows of packs, all or none, whatever was there before.
// Like everything here it is durable only after Flush.
func (x *Index) SetPack(rows ...PackRow) error {
	return x.batch(func(t *tx) error {
		for _, p := range rows {
			c := p.Params.Coding
			if p.Params.ID == (cairn.PackID{}) || c.K < 0 || c.K > cairn.MaxShards || c.M < 0 || c.M > cairn.MaxShards {
				return fmt.Errorf("index: row of pack %v, coding %v: %w", p.Params.ID, c, cairn.ErrInvalid)
			}
			if err := t.setPack(p); err != nil {
				return err
			}
		}
		return nil
	})
}

// setPack refuses a row that would not parse again.
func (t *tx) setPack(p PackRow) error {
	if len(p.At) > maxEntries {
		return fmt.Errorf("index: row of pack %v: %d places, %d are possible: %w", p.Params.ID, len(p.At), maxEntries, cairn.ErrInvalid)
	}
	return t.set(packKey(tablePack, p.Params.ID), p.encode())
}

// UpdatePack lets change alter the row of a pack as it stands now, alone; an
// error of change leaves it as it is and is returned. ErrNotExist when the
// pack has no row. change must be quick and must not call the Index.
func (x *Index) UpdatePack(id cairn.PackID, change func(*PackRow) error) error {
	return x.batch(func(t *tx) error {
		p, stored, err := readPack(t.b, id, t.soft.truth)
		if err != nil {
			return err
		}
		shown := p.State
		if err := change(&p); err != nil {
			return err
		}
		if p.Params.ID != id {
			return fmt.Errorf("index: row of pack %v may not become one of %v: %w", id, p.Params.ID, cairn.ErrInvalid)
		}
		if p.State == shown {
			p.State = stored // what a retired record says stays the record's
		}
		return t.setPack(p)
	})
}

// DropPack forgets retired packs whose shards are gone from every node, with
// their retired records; missing is fine. ErrPrecondition, and nothing is
// dropped, when one of them is not retired or is still referred to.
func (x *Index) DropPack(ids ...cairn.PackID) error {
	return x.batch(func(t *tx) error {
		for _, id := range ids {
			p, _, err := readPack(t.b, id, t.soft.truth)
			if errors.Is(err, cairn.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			prefix := packKey(tableRef, id)
			free, err := none(t.b, prefix, after(prefix))
			if err != nil {
				return err
			}
			if p.State != Retired || !free {
				return fmt.Errorf("index: pack %v is %v, or still referred to: %w", id, p.State, cairn.ErrPrecondition)
			}
			if err := t.del(packKey(tablePack, id)); err != nil {
				return err
			}
			if err := t.del(packKey(tableRetired, id)); err != nil {
				return err
			}
			delete(t.inUse, id)
		}
		return nil
	})
}

// Pack returns the row of a pack, or ErrNotExist.
func (x *Index) Pack(id cairn.PackID) (PackRow, error) {
	if !x.users.enter() {
		return PackRow{}, errClosed()
	}
	defer x.users.leave()
	p, _, err := readPack(x.db, id, x.truth())
	return p, err
}

// Packs gives the rows of all packs above after, in order of id, which is
// order of sequence.
func (x *Index) Packs(above cairn.PackID) iter.Seq2[PackRow, error] {
	return func(yield func(PackRow, error) bool) {
		truth := x.truth()
		from := append(packKey(tablePack, above), 0)
		x.rows([]byte{tablePack}, from, func(k, v []byte) (bool, error) {
			if len(k) != 17 {
				return false, badRow(k)
			}
			p, err := parsePackRow(cairn.PackID(k[1:]), v)
			if err == nil {
				_, err = p.retire(x.db, truth)
			}
			if err != nil {
				return false, err
			}
			return yield(p, nil), nil
		}, func(err error) { yield(PackRow{}, err) })
	}
}

func (x *Index) truth() *truth {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.soft.truth
}

// readPack returns a pack's row, and the state that the row itself has.
func readPack(r pebble.Reader, id cairn.PackID, t *truth) (p PackRow, stored PackState, err error) {
	b, ok, err := get(r, packKey(tablePack, id))
	if err != nil {
		return PackRow{}, 0, err
	}
	if !ok {
		return PackRow{}, 0, fmt.Errorf("index: pack %v: %w", id, cairn.ErrNotExist)
	}
	if p, err = parsePackRow(id, b); err != nil {
		return PackRow{}, 0, err
	}
	stored, err = p.retire(r, t)
	return p, stored, err
}
