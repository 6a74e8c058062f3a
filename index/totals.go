package index

import (
	"encoding/binary"
	"maps"

	"github.com/cockroachdb/pebble/v2"
)

// Count is how many objects there are and how many bytes their content has.
type Count struct{ Objects, Bytes uint64 }

// Totals counts the live versions, exactly. A copy counts like any object.
type Totals struct {
	Count
	Buckets map[uint64]Count // by bucket id, those with objects
}

// Totals tells what is stored.
func (x *Index) Totals() Totals {
	x.mu.RLock()
	defer x.mu.RUnlock()
	t := Totals{Buckets: maps.Clone(x.soft.totals)}
	for _, c := range t.Buckets {
		t.Objects += c.Objects
		t.Bytes += c.Bytes
	}
	return t
}

func (t *tx) counted(bucket uint64) Count {
	if c, ok := t.counts[bucket]; ok {
		return c
	}
	return t.soft.totals[bucket]
}

func (t *tx) count(bucket, objects, bytes uint64) {
	c := t.counted(bucket)
	t.counts[bucket] = Count{c.Objects + objects, c.Bytes + bytes}
}

func (t *tx) uncount(bucket, objects, bytes uint64) {
	c := t.counted(bucket)
	t.counts[bucket] = Count{c.Objects - objects, c.Bytes - bytes}
}

func (t *tx) writeCount(bucket uint64, c Count) error {
	key := bucketKey(tableTotals, bucket)
	if c == (Count{}) {
		return t.del(key)
	}
	return t.set(key, c.row())
}

func (c Count) row() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, c.Objects), c.Bytes)
}

func readTotals(r pebble.Reader, into map[uint64]Count) error {
	return scan(r, []byte{tableTotals}, func(k, v []byte) error {
		if len(k) != 9 || len(v) != 16 {
			return badRow(k)
		}
		into[binary.BigEndian.Uint64(k[1:])] = Count{binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:])}
		return nil
	})
}
