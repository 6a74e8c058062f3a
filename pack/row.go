package pack

import (
	"encoding/binary"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/wire"
)

// Row is one row of a store's state, as a checkpoint holds it: a logical key of
// the index and its value, both in the encoding of doc/format.md, or the word
// that the key is gone since an older run.
type Row struct {
	Key, Value []byte
	Gone       bool // a tombstone; Value is empty
}

// appendTo appends the row as it stands in a block behind the row with key
// last (empty for the block's first): how much of last it shares, the rest of
// its key, the flag, the value.
func (r Row) appendTo(b, last []byte) []byte {
	shared := 0
	for shared < min(len(last), len(r.Key)) && last[shared] == r.Key[shared] {
		shared++
	}
	w := wire.Writer{B: b}
	w.Uvarint(uint64(shared))
	w.Bytes(r.Key[shared:])
	w.Bool(r.Gone)
	if !r.Gone {
		w.Bytes(r.Value)
	}
	return w.B
}

// appendPlain appends the row as the hash over all rows of a run takes it,
// whatever the blocks.
func (r Row) appendPlain(b []byte) []byte {
	w := wire.Writer{B: b}
	w.Bool(r.Gone)
	w.Bytes(r.Key)
	if !r.Gone {
		w.Bytes(r.Value)
	}
	return w.B
}

// readRow takes a row from the front of b, a block, behind the row whose key is
// in key; the new key overwrites it there, and the value lies in b. The rules
// for what is shared make keys of a block rise strictly and leave one spelling.
func readRow(b, key []byte) (row Row, rest []byte, err error) {
	bad := func(format string, args ...any) (Row, []byte, error) {
		return Row{}, nil, fmt.Errorf(format+": %w", append(args, cairn.ErrCorrupt)...)
	}
	shared, b, ok := cutUvarint(b, uint64(len(key)))
	if !ok {
		return bad("shared part of a key")
	}
	tail, b, ok := cutBytes(b, MaxRowKey-shared)
	if !ok || len(tail) == 0 || shared < len(key) && tail[0] <= key[shared] {
		return bad("key is empty, too long, or not behind the one before")
	}
	if len(b) == 0 || b[0] > 1 {
		return bad("flag of a row")
	}
	row.Gone, b = b[0] == 1, b[1:]
	if !row.Gone {
		if row.Value, b, ok = cutBytes(b, MaxRowValue); !ok {
			return bad("value of a row")
		}
	}
	row.Key = append(key[:shared], tail...)
	return row, b, nil
}

// cutUvarint is wire's Uvarint without a copy or an allocation: rows are many.
func cutUvarint(b []byte, limit uint64) (int, []byte, bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 || n > 1 && b[n-1] == 0 || v > limit {
		return 0, nil, false
	}
	return int(v), b[n:], true
}

// cutBytes takes a length and that many bytes; nil for none.
func cutBytes(b []byte, limit int) (v, rest []byte, ok bool) {
	n, b, ok := cutUvarint(b, uint64(limit))
	if !ok || n > len(b) {
		return nil, nil, false
	}
	if n == 0 {
		return nil, b, true
	}
	return b[:n:n], b[n:], true
}
