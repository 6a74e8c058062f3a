package index

import (
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn/internal/wire"
)

// ForgetUploads forgets what UploadDone answers for uploads completed before
// before, in Unix milliseconds, where DropTombstones has forgotten the rest of
// them.
func (x *Index) ForgetUploads(before uint64) error {
	from := []byte{tableEnd}
	for from != nil {
		if err := x.batch(func(t *tx) (err error) {
			from, err = t.forgetUploads(from, before)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// forgetUploads looks at up to dropKeys ends from key from on, and returns
// where to go on, nil at the end.
func (t *tx) forgetUploads(from []byte, before uint64) (next []byte, err error) {
	bounds := within([]byte{tableEnd})
	bounds.LowerBound = from
	it, err := t.b.NewIter(bounds)
	if err != nil {
		return nil, fmt.Errorf("index: read: %w", classed(err))
	}
	var old [][]byte
	seen := 0
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if seen++; seen > dropKeys {
			next = slices.Clone(it.Key())
			break
		}
		var row []byte
		if row, err = it.ValueAndErr(); err != nil {
			break
		}
		var e ended
		if e, err = parseEnded(it.Key(), row); err != nil {
			break
		}
		if is, damage := t.completedBefore(e, before); damage != nil {
			err = damage
		} else if is {
			old = append(old, slices.Clone(it.Key()))
		}
	}
	if err := closeIter(it, err); err != nil {
		return nil, err
	}
	for _, key := range old {
		if err := t.forgetEnd(key); err != nil {
			return nil, err
		}
	}
	return next, nil
}

func (t *tx) completedBefore(e ended, before uint64) (bool, error) {
	if !e.done || e.stamp.Compare(t.soft.floor) >= 0 {
		return false, nil
	}
	r := wire.NewReader(e.head)
	_ = r.Uvarint(1 << 62) // size
	modified := r.U64()
	return modified < before, r.Err()
}

// forgetEnd removes the end at key, unless parts depend on it that
// DropTombstones has yet to forget.
func (t *tx) forgetEnd(key []byte) error {
	id, _, err := parseUploadKey(key)
	if err != nil {
		return err
	}
	_, loose, err := get(t.b, uploadPrefix(tableLoose, id))
	if err != nil || loose {
		return err
	}
	return t.del(key)
}
