package index

import (
	"fmt"

	"github.com/cairn-storage/cairn"
)

// maxBase bounds what Checkpointed keeps, bytes.
const maxBase = 1 << 20

// Checkpointed notes that a run of the rows of generations from to to stands,
// and keeps base, the caller's own word of what the checkpoint now is. After a
// run from 0 nothing up to to need be asked for again, and its marks are
// dropped. Like everything here it is durable only after Flush; why it may be
// lost is told in mark.go.
//
// ErrInvalid for generations that no Snapshot has ended and for a base over
// 1 MiB; ErrPrecondition where Rows(from) would be.
func (x *Index) Checkpointed(from, to uint32, base []byte) error {
	if len(base) > maxBase {
		return fmt.Errorf("index: base of %d bytes, at most %d are kept: %w", len(base), maxBase, cairn.ErrInvalid)
	}
	err := x.batch(func(t *tx) error {
		e := &t.soft.era
		switch {
		case to == 0 || from > to || to >= e.generation:
			return fmt.Errorf("index: a run of generations %d to %d, the present one is %d: %w", from, to, e.generation, cairn.ErrInvalid)
		case from == 0:
			e.whole = max(e.whole, to+1)
		case from < e.whole && to >= e.whole:
			return fmt.Errorf("index: a run of generations %d to %d, changes are marked since %d: %w", from, to, e.whole, cairn.ErrPrecondition)
		}
		if err := t.set([]byte(generationKey), e.row()); err != nil {
			return err
		}
		return t.set([]byte(baseKey), base)
	})
	if err != nil || from > 0 {
		return err
	}
	// From here on nobody can ask for these marks; it does not matter when, or
	// whether, they go. Of generations that are one run now nothing needs to
	// change: from that run's first one on, the marks are the same set.
	next := []byte{tableMark}
	for next != nil && err == nil {
		err = x.batch(func(t *tx) (err error) {
			next, err = t.dropMarks(next)
			return err
		})
	}
	return err
}

// dropMarks drops marks that nobody can ask for, looking at some from key from
// on, and returns where to go on, nil at the end.
func (t *tx) dropMarks(from []byte) (next []byte, err error) {
	const some = 10 * dropKeys // marks are small
	bounds := within([]byte{tableMark})
	bounds.LowerBound = from
	it, err := t.x.db.NewIter(bounds)
	if err != nil {
		return nil, fmt.Errorf("index: read: %w", classed(err))
	}
	seen := 0
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if seen++; seen > some {
			next = append([]byte(nil), it.Key()...)
			break
		}
		var v []byte
		if v, err = it.ValueAndErr(); err != nil {
			break
		}
		var generation uint32
		if _, generation, err = parseMark(it.Key(), v); err == nil && generation < t.soft.era.whole {
			err = t.del(it.Key())
		}
	}
	return next, closeIter(it, err)
}

// Base is what the last Checkpointed kept; nil when there was none.
func (x *Index) Base() ([]byte, error) {
	if !x.users.enter() {
		return nil, errClosed()
	}
	defer x.users.leave()
	b, _, err := get(x.db, []byte(baseKey))
	return b, err
}
