package index

import (
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
)

// dropShadows forgets what is settled about the keys from key from on, up to
// dropKeys of them, and returns where to go on, nil at the end.
func (t *tx) dropShadows(from []byte, below cairn.Stamp) (next []byte, err error) {
	var keys [][]byte
	bounds := within([]byte{tableShadow})
	bounds.LowerBound = from
	it, err := t.b.NewIter(bounds)
	if err != nil {
		return nil, fmt.Errorf("index: read: %w", classed(err))
	}
	for ok := it.First(); ok && next == nil; ok = it.Next() {
		if len(keys) == dropKeys {
			next = slices.Clone(it.Key())
			break
		}
		keys = append(keys, slices.Clone(it.Key()))
	}
	if err := closeIter(it, nil); err != nil {
		return nil, err
	}
	for _, key := range keys {
		k, err := parsePlainKey(key)
		if err != nil {
			return nil, err
		}
		if err := t.settle(k, below); err != nil {
			return nil, err
		}
	}
	return next, nil
}

// settle forgets what is settled about k.
func (t *tx) settle(k objectKey, below cairn.Stamp) error {
	cur, sh, err := t.load(k)
	if err != nil {
		return err
	}
	var facts []*fact // rising
	if sh.history {
		if facts, err = historyOf(t.b, k); err != nil {
			return err
		}
	}
	base := t.base(cur, facts, below)
	next := shadow{deleted: sh.deleted}
	for _, f := range facts {
		if t.mayReturn(f, base, below) {
			next.history = true
			continue
		}
		if err := t.del(historyKey(k, f.version, f.record)); err != nil {
			return err
		}
		if isApart(f.where) {
			if err := t.dropExtents(k, f.record); err != nil {
				return err
			}
		}
	}
	if base != nil && base == cur && base.kind == tombstone {
		next.deleted = cairn.Stamp{}
	}
	if next == sh {
		return nil
	}
	return t.setShadow(k, next)
}

// base is the highest fact below that counts: nothing lower can ever be
// current again. nil for none.
func (t *tx) base(cur *fact, facts []*fact, below cairn.Stamp) *fact {
	if cur != nil && cur.record.Compare(below) < 0 {
		return cur
	}
	for _, f := range slices.Backward(facts) {
		if f.kind != move && f.record.Compare(below) < 0 && t.alive(f) {
			return f
		}
	}
	return nil
}

// mayReturn tells whether f, displaced, may yet become current.
func (t *tx) mayReturn(f, base *fact, below cairn.Stamp) bool {
	switch {
	case f == base:
		return f.kind == put // no tombstone says the same
	case base != nil && f.compare(base) < 0:
		return false
	case f.version.Compare(below) < 0 && (f.kind == move || !t.soft.truth.counts(f.version)):
		return false // its put cannot come any more, or is void for good
	}
	return f.record.Compare(below) >= 0
}
