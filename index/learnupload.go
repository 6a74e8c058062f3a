package index

import (
	"slices"

	"github.com/cairn-storage/cairn/pack"
)

// resolveUploads resolves every upload that may be other than it should, after
// the truth changed. Like resolveAll it reads whole tables, and is rare.
func (t *tx) resolveUploads() error {
	db := t.x.db // as it was before this batch, so that the scans stand still
	found := map[pack.UploadID]bool{}
	flags := func(key, row []byte) error {
		id, s, err := parseUploadKey(key)
		if err != nil {
			return err
		}
		counts, err := parseCounts(key, row)
		if err == nil && counts != t.soft.truth.counts(s) {
			found[id] = true
		}
		return err
	}
	for _, table := range []byte{tableUpload, tableEnd} {
		if err := scan(db, []byte{table}, flags); err != nil {
			return err
		}
	}
	if err := scan(db, []byte{tablePart}, func(key, row []byte) error {
		n, err := parsePartName(key)
		if err != nil || len(row) < stampSize {
			return badRow(key)
		}
		if !t.soft.truth.counts(stampAt(row)) {
			found[n.upload] = true
		}
		return nil
	}); err != nil {
		return err
	}
	if err := scan(db, []byte{tablePast}, func(key, _ []byte) error {
		n, err := parsePartName(key)
		found[n.upload] = true // a displaced part may be current again
		return err
	}); err != nil {
		return err
	}
	for id := range found {
		if err := t.resolveUpload(id); err != nil {
			return err
		}
	}
	return nil
}

// resolveUpload makes an upload and its parts what they should be.
func (t *tx) resolveUpload(id pack.UploadID) error {
	ends, err := readEnded(t.b, id)
	if err != nil {
		return err
	}
	was, is := anyCounts(ends), false
	for _, table := range []byte{tableUpload, tableEnd} {
		if err := t.recount(uploadPrefix(table, id)); err != nil {
			return err
		}
	}
	if ends, err = readEnded(t.b, id); err != nil {
		return err
	}
	is = anyCounts(ends)
	if err := t.relist(id); err != nil {
		return err
	}
	all, err := numbers(t.b, id)
	if err != nil {
		return err
	}
	for _, n := range all {
		if err := t.resolvePart(partName{id, n}, was, is); err != nil {
			return err
		}
	}
	return nil
}

// recount sets right whether the rows that begin with prefix count.
func (t *tx) recount(prefix []byte) error {
	return eachKey(t.b, prefix, func(key []byte) error {
		_, s, err := parseUploadKey(key)
		if err != nil {
			return err
		}
		row, _, err := get(t.b, key)
		if err != nil {
			return err
		}
		have, err := parseCounts(key, row)
		if counts := t.soft.truth.counts(s); err == nil && counts != have {
			row[0] = countsByte(counts)
			return t.set(key, row)
		}
		return err
	})
}

// resolvePart makes the highest part of that name that counts the current one.
// was and is tell whether its upload was over before and is now.
func (t *tx) resolvePart(n partName, was, is bool) error {
	cur, err := readPart(t.b, n)
	if err != nil {
		return err
	}
	past, err := readPast(t.b, n)
	if err != nil {
		return err
	}
	best := cur
	if cur != nil && !t.soft.truth.counts(cur.stamp) {
		best = nil
	}
	for _, p := range slices.Backward(past) {
		if t.soft.truth.counts(p.stamp) {
			if best == nil || p.stamp.Compare(best.stamp) > 0 {
				best = p
			}
			break
		}
	}
	if best == cur && was == is {
		return nil
	}
	if cur != nil && !was && (best != cur || is) {
		if err := t.unlinkPart(cur); err != nil {
			return err
		}
	}
	if best != cur {
		if err := t.exchange(n, cur, best); err != nil {
			return err
		}
	}
	if best == nil || is {
		return nil
	}
	packs, err := best.packs(t.b)
	if err != nil {
		return err
	}
	return t.linkPart(best, packs)
}

// exchange puts best, a displaced part, in the place of cur; either may be nil.
func (t *tx) exchange(n partName, cur, best *partFact) error {
	if cur != nil {
		if err := t.displacePart(cur); err != nil {
			return err
		}
	}
	if best == nil {
		return t.del(n.key(tablePart))
	}
	if err := t.del(best.pastKey()); err != nil {
		return err
	}
	return t.set(best.key(tablePart), best.row())
}
