package index

import (
	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// An upload is in progress while a record that began it counts and none that
// ended it does. Then, and only then, it has a row in tableListed. Its parts
// hold references until an end counts, whether or not the begin is known yet.

// begin adds a record that began an upload.
func (t *tx) begin(rec pack.Record, u pack.Upload) error {
	if err := checkKey(objectKey{u.Bucket, u.Key}); err != nil {
		return err
	}
	if err := checkUploadID(u.ID); err != nil {
		return err
	}
	key := uploadKey(tableUpload, u.ID, rec.Stamp)
	if _, known, err := get(t.b, key); err != nil || known {
		return err
	}
	counts := t.soft.truth.counts(rec.Stamp)
	if err := t.set(key, rec.AppendTo([]byte{countsByte(counts)})); err != nil {
		return err
	}
	return t.relist(u.ID)
}

// end adds a record that ended an upload; with p, it made that version of it.
func (t *tx) end(s cairn.Stamp, id pack.UploadID, p *pack.Put) error {
	if err := checkUploadID(id); err != nil {
		return err
	}
	key := uploadKey(tableEnd, id, s)
	if _, known, err := get(t.b, key); err != nil || known {
		return err
	}
	before, err := readEnded(t.b, id)
	if err != nil {
		return err
	}
	counts := t.soft.truth.counts(s)
	if err := t.set(key, endRow(counts, p)); err != nil {
		return err
	}
	if err := t.loosen(id); err != nil {
		return err
	}
	if !counts || anyCounts(before) {
		return nil
	}
	if err := t.relist(id); err != nil {
		return err
	}
	return t.unlinkParts(id)
}

// unlinkParts takes the references of all parts of an upload away.
func (t *tx) unlinkParts(id pack.UploadID) error {
	all, err := numbers(t.b, id)
	if err != nil {
		return err
	}
	for _, n := range all {
		cur, err := readPart(t.b, partName{id, n})
		if err != nil {
			return err
		}
		if cur == nil {
			continue
		}
		if err := t.unlinkPart(cur); err != nil {
			return err
		}
	}
	return nil
}

// relist gives an upload its row of tableListed, or takes it away, as its
// records have it.
func (t *tx) relist(id pack.UploadID) error {
	begins, err := readBegan(t.b, id)
	if err != nil {
		return err
	}
	ends, err := readEnded(t.b, id)
	if err != nil {
		return err
	}
	cur, known := newest(begins)
	for _, b := range begins {
		if known && b.Stamp == cur.Stamp && !anyCounts(ends) {
			err = t.set(listedKey(cur), listedRow(cur))
		} else {
			err = t.del(listedKey(b.Upload))
		}
		if err != nil {
			return err
		}
	}
	if known && len(begins) == 1 && !anyCounts(ends) {
		return nil
	}
	return t.loosen(id)
}

// loosen notes that there may be something to forget of an upload.
func (t *tx) loosen(id pack.UploadID) error { return t.set(uploadPrefix(tableLoose, id), nil) }
