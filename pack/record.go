package pack

import (
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/wire"
)

// RecordKind says what a record changes.
type RecordKind uint8

// The record kinds of version 1. New kinds may come with later releases: one
// with the critical flag stops a release that does not know it from serving,
// one without is carried along unread.
const (
	KindLife       RecordKind = 1
	KindPut        RecordKind = 2
	KindDelete     RecordKind = 3
	KindMove       RecordKind = 4
	KindBucket     RecordKind = 5
	KindBucketGone RecordKind = 6
	KindAccess     RecordKind = 7
	KindAccessGone RecordKind = 8
	KindNode       RecordKind = 9
	KindNodeGone   RecordKind = 10
	KindSetting    RecordKind = 11
	KindRetired    RecordKind = 12
	KindVoid       RecordKind = 13
	KindUpload     RecordKind = 14
	KindUploadPart RecordKind = 15
	KindUploadDone RecordKind = 16
	KindUploadGone RecordKind = 17
)

const flagCritical = 1

// maxBody bounds one record's body; the largest is a put with a full set of
// metadata and 4 KiB of extents.
const maxBody = 64 << 10

// Record is one change, stamped by the committer. Body is one of the body
// types of this package, or Unknown.
type Record struct {
	Stamp cairn.Stamp
	Body  Body
}

// Body is what a record says. Encoding is canonical: what parses re-encodes to
// the same bytes.
type Body interface {
	Kind() RecordKind
	encode(w *wire.Writer)
}

// Unknown is a record of a kind this release does not know.
type Unknown struct {
	Of       RecordKind
	Critical bool
	Bytes    []byte
}

// Kind is the kind as read.
func (u Unknown) Kind() RecordKind      { return u.Of }
func (u Unknown) encode(w *wire.Writer) { w.Raw(u.Bytes) }

// AppendTo appends the record's encoding to b.
func (r Record) AppendTo(b []byte) []byte {
	w := wire.Writer{B: b}
	flags := uint8(flagCritical)
	if u, ok := r.Body.(Unknown); ok && !u.Critical {
		flags = 0
	}
	w.U8(uint8(r.Body.Kind()))
	w.U8(flags)
	w.U32(r.Stamp.Life)
	w.U64(r.Stamp.LSN)
	var body wire.Writer
	r.Body.encode(&body)
	w.Bytes(body.B)
	return w.B
}

// Size is the number of bytes AppendTo would append.
func (r Record) Size() int { return len(r.AppendTo(nil)) }

// Check returns ErrInvalid unless the record can be read back: a text or a list
// is over the limits of this version, or sizes contradict each other. A record
// that is logged without it might end every replay.
func (r Record) Check() error {
	if _, err := ParseRecord(r.AppendTo(nil)); err != nil {
		return fmt.Errorf("pack: record of kind %d cannot be kept: %v: %w", r.Body.Kind(), err, cairn.ErrInvalid)
	}
	return nil
}

// minRecord is the least bytes that a record takes.
const minRecord = 1 + 1 + 4 + 8 + 1

// readRecord takes one record.
func readRecord(r *wire.Reader) Record {
	kind, flags := RecordKind(r.U8()), r.U8()
	rec := Record{Stamp: cairn.Stamp{Life: r.U32(), LSN: r.U64()}}
	body := r.Bytes(maxBody)
	if r.Err() != nil {
		return rec
	}
	if flags&^flagCritical != 0 {
		r.Fail("record %v: unknown flags %#x", rec.Stamp, flags)
		return rec
	}
	decode, known := decoders[kind]
	if !known {
		rec.Body = Unknown{Of: kind, Critical: flags == flagCritical, Bytes: body}
		return rec
	}
	if flags != flagCritical {
		r.Fail("record %v: kind %d without the critical flag", rec.Stamp, kind)
		return rec
	}
	br := wire.NewReader(body)
	rec.Body = decode(br)
	if err := br.Done(); err != nil {
		r.Fail("record %v: kind %d: %v", rec.Stamp, kind, err)
	}
	return rec
}

// ParseRecord reads exactly one record.
func ParseRecord(b []byte) (Record, error) {
	r := wire.NewReader(b)
	rec := readRecord(r)
	if err := r.Done(); err != nil {
		return Record{}, fmt.Errorf("pack: record: %w", err)
	}
	return rec, nil
}

// decoders is a constant table: kind to the reader of its body.
var decoders = map[RecordKind]func(*wire.Reader) Body{
	KindLife:       func(r *wire.Reader) Body { return readLife(r) },
	KindPut:        func(r *wire.Reader) Body { return readPut(r) },
	KindDelete:     func(r *wire.Reader) Body { return Delete{Bucket: r.U64(), Key: readKey(r)} },
	KindMove:       func(r *wire.Reader) Body { return readMove(r) },
	KindBucket:     func(r *wire.Reader) Body { return readBucket(r) },
	KindBucketGone: func(r *wire.Reader) Body { return BucketGone{ID: r.U64()} },
	KindAccess:     func(r *wire.Reader) Body { return readAccess(r) },
	KindAccessGone: func(r *wire.Reader) Body { return AccessGone{ID: r.String(maxName)} },
	KindNode:       func(r *wire.Reader) Body { return readNode(r) },
	KindNodeGone:   func(r *wire.Reader) Body { return readNodeGone(r) },
	KindSetting:    func(r *wire.Reader) Body { return Setting{Name: r.String(maxName), Value: r.String(maxText)} },
	KindRetired:    func(r *wire.Reader) Body { return readRetired(r) },
	KindVoid:       func(r *wire.Reader) Body { return readVoid(r) },
	KindUpload:     func(r *wire.Reader) Body { return readUpload(r) },
	KindUploadPart: func(r *wire.Reader) Body { return readUploadPart(r) },
	KindUploadDone: func(r *wire.Reader) Body { return readUploadDone(r) },
	KindUploadGone: func(r *wire.Reader) Body { return readUploadGone(r) },
}
