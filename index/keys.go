package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cockroachdb/pebble/v2"
)

// The tables, first byte of every key. Numbers in keys are big-endian, stamps
// are life (4) and LSN (8), a name that is not the end of its key has its
// length (2) before it.
const (
	tableMeta     = 'm'
	tableApplied  = 'a' // life -> highest LSN applied
	tableLife     = 'l' // life, tag -> last, stamp
	tableVoid     = 'v' // stamp taken back, stamp of the void
	tableLive     = 'o' // bucket, object key to the end -> current version
	tableShadow   = 't' // bucket, object key to the end -> what is known of it besides
	tableHistory  = 'h' // bucket, object key, version, record -> displaced version
	tableExtents  = 'e' // bucket, object key, record, number -> a slice of long parts
	tableRef      = 'r' // pack, version -> who refers to the pack
	tablePack     = 'k' // pack -> PackRow
	tableRetired  = 'q' // pack -> stamps of retired records
	tableRegister = 's' // family, id, stamp -> record
	tableCarried  = 'u' // stamp -> record of an unknown kind
	tableTotals   = 'n' // bucket -> objects, bytes
	tableUpload   = 'w' // upload, stamp -> the record that began it
	tableEnd      = 'd' // upload, stamp -> a record that ended it
	tablePart     = 'p' // upload, number -> current part
	tablePast     = 'y' // upload, number, stamp -> displaced part
	tableListed   = 'i' // bucket, object key, stamp, upload -> an upload in progress
	tableLoose    = 'z' // upload -> nothing; there may be something to forget of it
)

const (
	identityKey = "midentity"
	floorKey    = "mfloor"
	stampSize   = 12
)

// objectKey names an object by bucket id.
type objectKey struct {
	bucket uint64
	key    string
}

func appendStamp(b []byte, s cairn.Stamp) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, s.Life), s.LSN)
}

func stampAt(b []byte) cairn.Stamp {
	return cairn.Stamp{Life: binary.BigEndian.Uint32(b), LSN: binary.BigEndian.Uint64(b[4:])}
}

// bucketKey begins every key of a bucket in table, which is tableLive,
// tableShadow or tableTotals.
func bucketKey(table byte, bucket uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{table}, bucket)
}

// plainKey is the key of an object in tableLive or tableShadow. Nothing
// follows the object key, so that byte order is S3's order.
func plainKey(table byte, k objectKey) []byte {
	b := make([]byte, 0, 9+len(k.key))
	return append(binary.BigEndian.AppendUint64(append(b, table), k.bucket), k.key...)
}

func parsePlainKey(b []byte) (objectKey, error) {
	if len(b) < 9 {
		return objectKey{}, badRow(b)
	}
	return objectKey{binary.BigEndian.Uint64(b[1:]), string(b[9:])}, nil
}

// longKey begins the keys of an object in tableHistory or tableExtents.
func longKey(table byte, k objectKey) []byte {
	b := make([]byte, 0, 11+len(k.key)+2*stampSize)
	b = binary.BigEndian.AppendUint64(append(b, table), k.bucket)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(k.key))), k.key...)
}

func historyKey(k objectKey, version, record cairn.Stamp) []byte {
	return appendStamp(appendStamp(longKey(tableHistory, k), version), record)
}

// historyStamps are the last two fields of a historyKey.
func historyStamps(b []byte) (version, record cairn.Stamp, err error) {
	if len(b) < 11+2*stampSize {
		return version, record, badRow(b)
	}
	b = b[len(b)-2*stampSize:]
	return stampAt(b), stampAt(b[stampSize:]), nil
}

func extentsKey(k objectKey, record cairn.Stamp) []byte {
	return appendStamp(longKey(tableExtents, k), record)
}

func refKey(id cairn.PackID, version cairn.Stamp) []byte {
	return appendStamp(packKey(tableRef, id), version)
}

func packKey(table byte, id cairn.PackID) []byte {
	b := make([]byte, 0, 17+stampSize)
	return append(append(b, table), id[:]...)
}

func stampKey(table byte, s cairn.Stamp) []byte { return appendStamp([]byte{table}, s) }

func registerKey(family byte, id string, s cairn.Stamp) []byte {
	b := binary.BigEndian.AppendUint16([]byte{tableRegister, family}, uint16(len(id)))
	return appendStamp(append(b, id...), s)
}

// after is the least key above every key that begins with prefix; nil when
// there is none.
func after(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			b := slices.Clone(prefix[:i+1])
			b[i]++
			return b
		}
	}
	return nil
}

// within bounds an iterator to the keys that begin with prefix.
func within(prefix []byte) *pebble.IterOptions {
	return &pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)}
}

// badRow is about a row that no release wrote. Object keys stay out of it.
func badRow(key []byte) error {
	table := byte('?')
	if len(key) > 0 {
		table = key[0]
	}
	return fmt.Errorf("index: malformed row in table %q: %w", table, cairn.ErrCorrupt)
}

// get returns a copy of the value at key.
func get(r pebble.Reader, key []byte) (value []byte, ok bool, err error) {
	v, done, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("index: read: %w", classed(err))
	}
	value = append(make([]byte, 0, len(v)), v...)
	if err := done.Close(); err != nil {
		return nil, false, fmt.Errorf("index: read: %w", classed(err))
	}
	return value, true, nil
}

// none tells whether r has no key in [lower, upper).
func none(r pebble.Reader, lower, upper []byte) (bool, error) {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return false, fmt.Errorf("index: read: %w", classed(err))
	}
	empty := !it.First()
	if err := it.Close(); err != nil {
		return false, fmt.Errorf("index: read: %w", classed(err))
	}
	return empty, nil
}

// scan calls row for every row whose key begins with prefix, in order, until
// it fails. Key and value are only lent.
func scan(r pebble.Reader, prefix []byte, row func(key, value []byte) error) error {
	it, err := r.NewIter(within(prefix))
	if err != nil {
		return fmt.Errorf("index: read: %w", classed(err))
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var v []byte
		if v, err = it.ValueAndErr(); err == nil {
			err = row(it.Key(), v)
		}
	}
	return closeIter(it, err)
}

// closeIter closes it and returns err, or else what it met.
func closeIter(it *pebble.Iterator, err error) error {
	if e := it.Close(); err == nil {
		err = e
	}
	if err == nil || cairn.Class(err) != nil {
		return err
	}
	return fmt.Errorf("index: read: %w", classed(err))
}
