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

const partNameSize = uploadIDSize + 2

// partName names the parts of an upload that have one number.
type partName struct {
	upload pack.UploadID
	number uint16
}

// partFact is one uploaded part. Of those with one name, the one with the
// highest stamp that counts is current.
type partFact struct {
	partName
	stamp cairn.Stamp
	head  []byte // encodePartHead
	where []byte // encodeWhere
}

func (n partName) appendTo(b []byte) []byte {
	return binary.BigEndian.AppendUint16(append(b, n.upload[:]...), n.number)
}

func (n partName) key(table byte) []byte {
	return n.appendTo(append(make([]byte, 0, 1+partNameSize+stampSize), table))
}

// long is the name under which a part's where stands in tableExtents when it
// is long: like that of an object in bucket 0, which no bucket is.
func (n partName) long() objectKey { return objectKey{0, string(n.appendTo(nil))} }

func (p *partFact) pastKey() []byte { return appendStamp(p.key(tablePast), p.stamp) }

func parsePartName(b []byte) (n partName, err error) {
	if len(b) < 1+partNameSize {
		return n, badRow(b)
	}
	return partName{pack.UploadID(b[1:]), binary.BigEndian.Uint16(b[1+uploadIDSize:])}, nil
}

// row is p as a row of tablePart.
func (p *partFact) row() []byte {
	return append(appendStamp(make([]byte, 0, stampSize+len(p.head)+len(p.where)+2), p.stamp), p.pastRow()...)
}

// pastRow is p as a row of tablePast.
func (p *partFact) pastRow() []byte {
	b := append(binary.AppendUvarint(nil, uint64(len(p.head))), p.head...)
	return append(b, p.where...)
}

func parsePart(key, row []byte) (*partFact, error) {
	if len(key) != 1+partNameSize || len(row) < stampSize {
		return nil, badRow(key)
	}
	p := &partFact{stamp: stampAt(row)}
	var err error
	if p.partName, err = parsePartName(key); err != nil {
		return nil, err
	}
	p.head, p.where, err = splitRow(key, row[stampSize:])
	return p, err
}

func parsePast(key, row []byte) (*partFact, error) {
	if len(key) != 1+partNameSize+stampSize {
		return nil, badRow(key)
	}
	p := &partFact{stamp: stampAt(key[1+partNameSize:])}
	var err error
	if p.partName, err = parsePartName(key); err != nil {
		return nil, err
	}
	p.head, p.where, err = splitRow(key, row)
	return p, err
}

// encodePartHead is what a part is besides its name, stamp and place.
func encodePartHead(p pack.UploadPart) []byte {
	var w wire.Writer
	w.Uvarint(p.Size)
	w.U64(p.Modified)
	w.String(p.ETag)
	writeChecksums(&w, p.Checksum)
	return w.B
}

// read is the part without where it lies.
func (p *partFact) read() (UploadedPart, error) {
	r := wire.NewReader(p.head)
	u := UploadedPart{Stamp: p.stamp, UploadPart: pack.UploadPart{Upload: p.upload, Number: p.number,
		Size: r.Uvarint(1 << 62), Modified: r.U64(), ETag: r.String(maxField)}}
	u.Checksum = readChecksums(r)
	if err := r.Done(); err != nil {
		return UploadedPart{}, fmt.Errorf("index: part row: %w", err)
	}
	return u, nil
}

// lies is where the part lies.
func (p *partFact) lies(r pebble.Reader) ([]pack.Part, *pack.Part, error) {
	return decodeWhere(r, p.long(), p.stamp, p.where)
}

func (p *partFact) packs(r pebble.Reader) ([]cairn.PackID, error) {
	parts, list, err := p.lies(r)
	return packsOf(parts, list), err
}

// readPart returns the current part of that name, or nil.
func readPart(r pebble.Reader, n partName) (*partFact, error) {
	key := n.key(tablePart)
	row, ok, err := get(r, key)
	if err != nil || !ok {
		return nil, err
	}
	return parsePart(key, row)
}

// readPast returns the displaced parts of that name, rising.
func readPast(r pebble.Reader, n partName) (all []*partFact, err error) {
	err = scan(r, n.key(tablePast), func(k, v []byte) error {
		p, err := parsePast(k, v)
		all = append(all, p)
		return err
	})
	return all, err
}

// numbers returns the numbers of all parts known of an upload, rising.
func numbers(r pebble.Reader, id pack.UploadID) (all []uint16, err error) {
	for _, table := range []byte{tablePart, tablePast} {
		if err := scan(r, uploadPrefix(table, id), func(k, _ []byte) error {
			n, err := parsePartName(k)
			all = append(all, n.number)
			return err
		}); err != nil {
			return nil, err
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}
