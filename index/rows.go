package index

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/wire"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cockroachdb/pebble/v2"
)

// Limits that a row of ours never passes, so that a damaged length costs
// nothing.
const (
	maxField   = 1 << 20
	maxEntries = 1 << 12
	// extentsRow is the size in bytes of each row that long parts are cut
	// into; parts of at most pack.InlineExtents stay in the version's row.
	extentsRow = 32 << 10
)

// factKind says what a record said of an object.
type factKind uint8

const (
	put       factKind = 1 // a version: head and where
	tombstone factKind = 2 // there is no object
	move      factKind = 3 // where a version lies whose put is not known yet
)

// fact is one statement about an object: version is the stamp of the put or
// delete, record the stamp of the record that put the version where it is, the
// same unless it was moved. The live put or tombstone with the highest
// (version, record) is what the object is.
type fact struct {
	version, record cairn.Stamp
	kind            factKind
	head            []byte // encodeHead
	where           []byte // encodeWhere
}

// compare orders facts of one object.
func (f *fact) compare(g *fact) int {
	if c := f.version.Compare(g.version); c != 0 {
		return c
	}
	return f.record.Compare(g.record)
}

// liveRow is f, a put, as a row of tableLive.
func (f *fact) liveRow() []byte {
	b := make([]byte, 0, 2*stampSize+len(f.head)+len(f.where)+3)
	b = appendStamp(appendStamp(b, f.version), f.record)
	b = append(binary.AppendUvarint(b, uint64(len(f.head))), f.head...)
	return append(b, f.where...)
}

func parseLiveRow(key, b []byte) (*fact, error) {
	if len(b) < 2*stampSize {
		return nil, badRow(key)
	}
	f := &fact{version: stampAt(b), record: stampAt(b[stampSize:]), kind: put}
	return f, f.split(key, b[2*stampSize:])
}

// historyRow is f as a row of tableHistory.
func (f *fact) historyRow() []byte {
	b := append(make([]byte, 0, len(f.head)+len(f.where)+4), byte(f.kind))
	if f.kind == tombstone {
		return b
	}
	b = append(binary.AppendUvarint(b, uint64(len(f.head))), f.head...)
	return append(b, f.where...)
}

func parseHistoryRow(key, b []byte) (*fact, error) {
	v, r, err := historyStamps(key)
	if err != nil || len(b) == 0 {
		return nil, badRow(key)
	}
	f := &fact{version: v, record: r, kind: factKind(b[0])}
	switch {
	case f.kind == tombstone && len(b) == 1:
		return f, nil
	case f.kind == put, f.kind == move:
		return f, f.split(key, b[1:])
	}
	return nil, badRow(key)
}

// split copies head and where out of b.
func (f *fact) split(key, b []byte) (err error) {
	f.head, f.where, err = splitRow(key, b)
	return err
}

// splitRow copies out of b what has its length before it, and what follows.
func splitRow(key, b []byte) (head, where []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, badRow(key)
	}
	b = slices.Clone(b[size:])
	return b[:n:n], b[n:], nil
}

// encodeHead is what a version is besides its key, stamps and place. What a
// listing shows stands first.
func encodeHead(p pack.Put) []byte {
	var w wire.Writer
	w.Uvarint(p.Size)
	w.U64(p.Modified)
	w.String(p.ETag)
	w.Map(p.Header)
	w.Map(p.Meta)
	writeChecksums(&w, p.Checksum)
	return w.B
}

func writeChecksums(w *wire.Writer, sums []cairn.Checksum) {
	w.Uvarint(uint64(len(sums)))
	for _, c := range sums {
		w.String(c.Algorithm)
		w.String(c.Value)
	}
}

func readChecksums(r *wire.Reader) (sums []cairn.Checksum) {
	for range r.Uvarint(maxEntries) {
		if r.Err() != nil {
			break
		}
		sums = append(sums, cairn.Checksum{Algorithm: r.String(maxField), Value: r.String(maxField)})
	}
	return sums
}

func decodeHead(k objectKey, b []byte) (pack.Put, error) {
	r := wire.NewReader(b)
	p := pack.Put{Bucket: k.bucket, Key: k.key, Size: r.Uvarint(1 << 62), Modified: r.U64(), ETag: r.String(maxField)}
	p.Header = r.Map(maxEntries, maxField)
	p.Meta = r.Map(maxEntries, maxField)
	p.Checksum = readChecksums(r)
	if err := r.Done(); err != nil {
		return pack.Put{}, fmt.Errorf("index: version row: %w", err)
	}
	return p, nil
}

// headSize is the size of the object a head is of.
func headSize(b []byte) (uint64, error) {
	n, size := binary.Uvarint(b)
	if size <= 0 {
		return 0, badRow([]byte{tableLive})
	}
	return n, nil
}

// Flags of a where.
const (
	hasList = 1 << 0 // the record named a list, which follows
	apart   = 1 << 1 // the parts stand in rows of tableExtents
)

// encodeWhere is where a version lies. long, when not nil, is what must stand
// in rows of tableExtents.
func encodeWhere(parts []pack.Part, list *pack.Part) (where, long []byte) {
	enc := pack.AppendParts(nil, parts)
	var flags uint8
	if list != nil {
		flags |= hasList
	}
	if len(enc) > pack.InlineExtents {
		flags |= apart
		long = enc
	}
	var w wire.Writer
	w.U8(flags)
	if list != nil {
		w.Bytes(pack.AppendParts(nil, []pack.Part{*list}))
	}
	if long != nil {
		w.Uvarint(uint64(len(long)))
		return w.B, long
	}
	w.Raw(enc)
	return w.B, nil
}

// isApart tells whether the parts of where stand in rows of tableExtents.
func isApart(where []byte) bool { return len(where) > 0 && where[0]&apart != 0 }

// decodeWhere reads where, and the rows of tableExtents of record from r.
func decodeWhere(from pebble.Reader, k objectKey, record cairn.Stamp, where []byte) (parts []pack.Part, list *pack.Part, err error) {
	r := wire.NewReader(where)
	flags := r.U8()
	if flags&hasList != 0 {
		l, err := pack.ParseParts(r.Bytes(maxField))
		if err != nil || len(l) != 1 {
			return nil, nil, badRow([]byte{tableLive})
		}
		list = &l[0]
	}
	enc := where[len(where)-r.Len():]
	if flags&apart != 0 {
		size := r.Uvarint(1 << 40)
		if r.Done() != nil {
			return nil, nil, badRow([]byte{tableLive})
		}
		enc = nil
		if err := scan(from, extentsKey(k, record), func(_, v []byte) error {
			enc = append(enc, v...)
			return nil
		}); err != nil {
			return nil, nil, err
		}
		if uint64(len(enc)) != size {
			return nil, nil, badRow([]byte{tableExtents})
		}
	}
	if parts, err = pack.ParseParts(enc); err != nil {
		return nil, nil, fmt.Errorf("index: parts: %w", err)
	}
	return parts, list, nil
}

// packsOf is every pack that parts and list name, each once, in order.
func packsOf(parts []pack.Part, list *pack.Part) []cairn.PackID {
	var ids []cairn.PackID
	add := func(p pack.Part) {
		for _, e := range p.Extents {
			if len(ids) == 0 || ids[len(ids)-1] != e.Pack {
				ids = append(ids, e.Pack)
			}
		}
	}
	for _, p := range parts {
		add(p)
	}
	if list != nil {
		add(*list)
	}
	if len(ids) > 1 {
		slices.SortFunc(ids, func(a, b cairn.PackID) int { return slices.Compare(a[:], b[:]) })
		ids = slices.Compact(ids)
	}
	return ids
}
