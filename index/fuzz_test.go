package index

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// FuzzObjectRows: whatever bytes a row of an object or a pack has, reading it
// ends, with ErrCorrupt or with what is written as the same key.
func FuzzObjectRows(f *testing.F) {
	k := objectKey{1, "k\x00/"}
	p := putRec(st(1, 4), "k", "A").Record.Body.(pack.Put)
	fact := &fact{version: st(1, 2), record: st(1, 3), kind: put, head: encodeHead(p)}
	fact.where, _ = encodeWhere(partsIn(frame, "AB"), &pack.Part{})
	row := PackRow{Params: pack.Params{ID: packID('A'), Coding: cairn.Coding{K: 3, M: 2}}, State: Spread, At: []cairn.Location{{Index: 1, Write: 7}}}
	f.Add(plainKey(tableLive, k), fact.liveRow())
	f.Add(historyKey(k, st(1, 2), st(1, 3)), fact.historyRow())
	f.Add(historyKey(k, st(1, 2), st(1, 2)), []byte{byte(tombstone)})
	f.Add(plainKey(tableShadow, k), append(appendStamp(nil, st(1, 2)), 1))
	f.Add(append([]byte{tablePack}, row.Params.ID[:]...), row.encode())
	x := fresh(f)
	f.Fuzz(func(t *testing.T, key, row []byte) {
		if len(key) == 0 {
			return
		}
		err := readRow(t, x, key, row)
		if err != nil && !errors.Is(err, cairn.ErrCorrupt) {
			t.Error(err)
		}
	})
}

func readRow(t *testing.T, x *Index, key, row []byte) error {
	switch key[0] {
	case tableLive:
		k, err := parsePlainKey(key)
		if err != nil {
			return err
		}
		if !bytes.Equal(plainKey(tableLive, k), key) {
			t.Errorf("two spellings of a key: %x", key)
		}
		if _, err := decodeEntry(key, row); err != nil {
			return err
		}
		f, err := parseLiveRow(key, row)
		if err != nil {
			return err
		}
		return readFact(x, k, f)
	case tableHistory:
		f, err := parseHistoryRow(key, row)
		if err != nil || f.kind == tombstone {
			return err
		}
		return readFact(x, objectKey{1, "k"}, f)
	case tableShadow:
		_, err := parseShadow(key, row)
		return err
	case tablePack:
		p, err := parsePackRow(packID('A'), row)
		if again := p.encode(); err == nil && len(again) > len(row) {
			t.Errorf("a row of %d bytes is written with %d", len(row), len(again))
		}
		return err
	}
	return nil
}

func readFact(x *Index, k objectKey, f *fact) error {
	if f.kind == put {
		if _, err := decodeHead(k, f.head); err != nil {
			return err
		}
	}
	_, _, err := decodeWhere(x.db, k, f.record, f.where)
	return err
}
