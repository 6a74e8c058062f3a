package index

import (
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cockroachdb/pebble/v2"
)

// ofVersion returns the facts of kind about one version that stand in the
// history of k.
func (t *tx) ofVersion(k objectKey, version cairn.Stamp, kind factKind) ([]*fact, error) {
	var facts []*fact
	err := scan(t.b, appendStamp(longKey(tableHistory, k), version), func(key, v []byte) error {
		f, err := parseHistoryRow(key, v)
		if err == nil && f.kind == kind {
			facts = append(facts, f)
		}
		return err
	})
	return facts, err
}

// best is the highest fact in the history of k that counts; nil for none.
func (t *tx) best(k objectKey) (*fact, error) {
	it, err := t.b.NewIter(within(longKey(tableHistory, k)))
	if err != nil {
		return nil, fmt.Errorf("index: read: %w", classed(err))
	}
	var found *fact
	for ok := it.Last(); ok && err == nil && found == nil; ok = it.Prev() {
		var f *fact
		var v []byte
		if v, err = it.ValueAndErr(); err != nil {
			break
		}
		if f, err = parseHistoryRow(it.Key(), v); err == nil && f.kind != move && t.alive(f) {
			found = f
		}
	}
	return found, closeIter(it, err)
}

// resolve makes the highest fact that counts the current one of k.
func (t *tx) resolve(k objectKey) error {
	cur, sh, err := t.load(k)
	if err != nil {
		return err
	}
	var best *fact
	if sh.history {
		if best, err = t.best(k); err != nil {
			return err
		}
	}
	if cur != nil && t.alive(cur) && (best == nil || cur.compare(best) > 0) || cur == nil && best == nil {
		return nil
	}
	var packs []cairn.PackID
	if best != nil {
		if best.kind == put {
			parts, list, err := decodeWhere(t.b, k, best.record, best.where)
			if err != nil {
				return err
			}
			packs = packsOf(parts, list)
		}
		if err := t.del(historyKey(k, best.version, best.record)); err != nil {
			return err
		}
	}
	return t.replace(k, sh, cur, best, packs)
}

// resolveAll resolves every object that may be other than it should, after
// the truth changed. It reads all of the index, and is rare: a record was
// applied before it became known that it does not count.
func (t *tx) resolveAll() error {
	db := t.x.db // as it was before this batch, so that the scan stands still
	err := scan(db, []byte{tableLive}, func(key, row []byte) error {
		if len(row) < 2*stampSize {
			return badRow(key)
		}
		if t.alive(&fact{version: stampAt(row), record: stampAt(row[stampSize:])}) {
			return nil
		}
		k, err := parsePlainKey(key)
		if err != nil {
			return err
		}
		return t.resolve(k)
	})
	if err != nil {
		return err
	}
	return scan(db, []byte{tableShadow}, func(key, row []byte) error {
		k, err := parsePlainKey(key)
		if err != nil {
			return err
		}
		if _, err := parseShadow(key, row); err != nil {
			return err
		}
		return t.resolve(k)
	})
}

// historyOf returns all facts in the history of k, rising.
func historyOf(r pebble.Reader, k objectKey) ([]*fact, error) {
	var facts []*fact
	err := scan(r, longKey(tableHistory, k), func(key, v []byte) error {
		f, err := parseHistoryRow(key, v)
		facts = append(facts, f)
		return err
	})
	return slices.Clip(facts), err
}
