package index

import (
	"slices"

	"github.com/cairn-storage/cairn"
)

// shadow is what is known of a key besides its live version. Most keys have
// none; then there is no row.
type shadow struct {
	deleted cairn.Stamp // of the current tombstone; zero for none
	history bool        // there are rows in tableHistory
}

// load returns the current fact of k: a put, a tombstone or nil.
func (t *tx) load(k objectKey) (*fact, shadow, error) {
	var sh shadow
	key := plainKey(tableShadow, k)
	row, ok, err := get(t.b, key)
	if err != nil {
		return nil, sh, err
	}
	if ok {
		if sh, err = parseShadow(key, row); err != nil {
			return nil, sh, err
		}
	}
	if !sh.deleted.IsZero() {
		return &fact{version: sh.deleted, record: sh.deleted, kind: tombstone}, sh, nil
	}
	key[0] = tableLive
	row, ok, err = get(t.b, key)
	if err != nil || !ok {
		return nil, sh, err
	}
	f, err := parseLiveRow(key, row)
	return f, sh, err
}

func parseShadow(key, row []byte) (shadow, error) {
	if len(row) != stampSize+1 || row[stampSize] > 1 {
		return shadow{}, badRow(key)
	}
	return shadow{deleted: stampAt(row), history: row[stampSize] == 1}, nil
}

func (t *tx) setShadow(k objectKey, sh shadow) error {
	key := plainKey(tableShadow, k)
	if sh == (shadow{}) {
		return t.del(key)
	}
	row := append(appendStamp(nil, sh.deleted), 0)
	if sh.history {
		row[stampSize] = 1
	}
	return t.set(key, row)
}

// insert adds f, a put or a tombstone, to what is known of k. packs are f's.
// history tells whether k had a history before.
func (t *tx) insert(k objectKey, f *fact, packs []cairn.PackID) (history bool, err error) {
	cur, sh, err := t.load(k)
	if err != nil || cur != nil && cur.compare(f) == 0 {
		return sh.history, err
	}
	if sh.history {
		_, known, err := get(t.b, historyKey(k, f.version, f.record))
		if err != nil || known {
			return true, err
		}
	}
	if !t.alive(f) || cur != nil && cur.compare(f) > 0 {
		return sh.history, t.displace(k, sh, f)
	}
	return sh.history, t.replace(k, sh, cur, f, packs)
}

// alive tells whether the records that made f count.
func (t *tx) alive(f *fact) bool {
	return t.soft.truth.counts(f.version) && (f.record == f.version || t.soft.truth.counts(f.record))
}

// displace puts f into the history of k.
func (t *tx) displace(k objectKey, sh shadow, f *fact) error {
	if !sh.history {
		sh.history = true
		if err := t.setShadow(k, sh); err != nil {
			return err
		}
	}
	return t.set(historyKey(k, f.version, f.record), f.historyRow())
}

// replace makes f the current fact of k in place of cur, which goes into the
// history; either may be nil. References and totals follow in the same batch.
func (t *tx) replace(k objectKey, sh shadow, cur, f *fact, packs []cairn.PackID) error {
	if f != nil && f.kind == put {
		if err := t.retiredBefore(packs, f.record); err != nil {
			return err
		}
	}
	next := shadow{history: sh.history || cur != nil}
	if f != nil && f.kind == tombstone {
		next.deleted = f.version
	}
	if cur != nil {
		if err := t.set(historyKey(k, cur.version, cur.record), cur.historyRow()); err != nil {
			return err
		}
	}
	if next != sh {
		if err := t.setShadow(k, next); err != nil {
			return err
		}
	}
	if cur != nil && cur.kind == put {
		if err := t.unlink(k, cur, f, packs); err != nil {
			return err
		}
	}
	if f == nil || f.kind != put {
		return nil
	}
	size, err := headSize(f.head)
	if err != nil {
		return err
	}
	if err := t.set(plainKey(tableLive, k), f.liveRow()); err != nil {
		return err
	}
	t.count(k.bucket, 1, size)
	return t.refer(k, f, packs)
}

// unlink takes cur, the live version of k, out of references and totals. What
// f, whose packs are kept, overwrites anyway stays.
func (t *tx) unlink(k objectKey, cur, f *fact, kept []cairn.PackID) error {
	size, err := headSize(cur.head)
	if err != nil {
		return err
	}
	t.uncount(k.bucket, 1, size)
	if f == nil || f.kind != put {
		if err := t.del(plainKey(tableLive, k)); err != nil {
			return err
		}
	}
	parts, list, err := decodeWhere(t.b, k, cur.record, cur.where)
	if err != nil {
		return err
	}
	for _, id := range packsOf(parts, list) {
		if f != nil && f.version == cur.version && slices.Contains(kept, id) {
			continue
		}
		if err := t.del(refKey(id, cur.version)); err != nil {
			return err
		}
	}
	return nil
}
