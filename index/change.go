package index

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cockroachdb/pebble/v2"
)

// put adds a version. resolved are its parts where the record has a list.
func (t *tx) put(s cairn.Stamp, p pack.Put, resolved []pack.Part) error {
	parts := p.Parts
	if p.List != nil {
		parts = resolved
	}
	k := objectKey{p.Bucket, p.Key}
	if err := checkParts(k, parts, p.Size); err != nil {
		return err
	}
	where, long := encodeWhere(parts, p.List)
	f := &fact{version: s, record: s, kind: put, head: encodeHead(p), where: where}
	if err := t.setExtents(k, s, long); err != nil {
		return err
	}
	history, err := t.insert(k, f, packsOf(parts, p.List))
	if err != nil || !history {
		return err
	}
	// Moves of this version that came before it.
	moves, err := t.ofVersion(k, s, move)
	if err != nil {
		return err
	}
	for _, m := range moves {
		if err := t.del(historyKey(k, m.version, m.record)); err != nil {
			return err
		}
		m.kind, m.head = put, f.head
		parts, list, err := decodeWhere(t.b, k, m.record, m.where)
		if err != nil {
			return err
		}
		if err := checkParts(k, parts, p.Size); err != nil {
			return err
		}
		if _, err := t.insert(k, m, packsOf(parts, list)); err != nil {
			return err
		}
	}
	return nil
}

// drop makes a tombstone, also where there is no object: an older put may
// still come.
func (t *tx) drop(s cairn.Stamp, d pack.Delete) error {
	k := objectKey{d.Bucket, d.Key}
	if err := checkKey(k); err != nil {
		return err
	}
	_, err := t.insert(k, &fact{version: s, record: s, kind: tombstone}, nil)
	return err
}

// move puts version m.Of elsewhere. The version keeps its stamp, and so loses
// against every write after it, whenever the move was logged.
func (t *tx) move(s cairn.Stamp, m pack.Move, resolved []pack.Part) error {
	if s.Compare(m.Of) <= 0 {
		return fmt.Errorf("moves version %v, which is no older: %w", m.Of, cairn.ErrInvalid)
	}
	parts := m.Parts
	if m.List != nil {
		parts = resolved
	}
	k := objectKey{m.Bucket, m.Key}
	if err := checkKey(k); err != nil {
		return err
	}
	where, long := encodeWhere(parts, m.List)
	f := &fact{version: m.Of, record: s, kind: move, where: where}
	if err := t.setExtents(k, s, long); err != nil {
		return err
	}
	cur, sh, err := t.load(k)
	if err != nil {
		return err
	}
	if cur != nil && cur.kind == put && cur.version == m.Of {
		f.kind, f.head = put, cur.head
	} else if sh.history {
		puts, err := t.ofVersion(k, m.Of, put)
		if err != nil {
			return err
		}
		if len(puts) > 0 {
			f.kind, f.head = put, puts[0].head
		}
	}
	if f.kind == move {
		return t.displace(k, sh, f)
	}
	size, err := headSize(f.head)
	if err != nil {
		return err
	}
	if err := checkParts(k, parts, size); err != nil {
		return err
	}
	_, err = t.insert(k, f, packsOf(parts, m.List))
	return err
}

func checkKey(k objectKey) error {
	if k.key == "" || len(k.key) > cairn.MaxKeyLength {
		return fmt.Errorf("object key of %d bytes: %w", len(k.key), cairn.ErrInvalid)
	}
	return nil
}

func checkParts(k objectKey, parts []pack.Part, size uint64) error {
	if err := checkKey(k); err != nil {
		return err
	}
	var have uint64
	for _, p := range parts {
		have += p.Size
	}
	if have != size {
		return fmt.Errorf("object of %d bytes has parts of %d: %w", size, have, cairn.ErrInvalid)
	}
	return nil
}

// setExtents writes long, the parts of record, in rows of their own.
func (t *tx) setExtents(k objectKey, record cairn.Stamp, long []byte) error {
	key := extentsKey(k, record)
	for n := uint32(0); len(long) > 0; n++ {
		row := long[:min(len(long), extentsRow)]
		long = long[len(row):]
		if err := t.set(binary.BigEndian.AppendUint32(slices.Clip(key), n), row); err != nil {
			return err
		}
	}
	return nil
}

// dropExtents removes the rows of record's long parts.
func (t *tx) dropExtents(k objectKey, record cairn.Stamp) error {
	return eachKey(t.b, extentsKey(k, record), t.del)
}

// eachKey calls do for every key that begins with prefix.
func eachKey(r pebble.Reader, prefix []byte, do func([]byte) error) error {
	var keys [][]byte // gathered first, so that do may write to r
	if err := scan(r, prefix, func(key, _ []byte) error {
		keys = append(keys, slices.Clone(key))
		return nil
	}); err != nil {
		return err
	}
	for _, k := range keys {
		if err := do(k); err != nil {
			return err
		}
	}
	return nil
}
