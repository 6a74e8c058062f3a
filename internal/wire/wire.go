// Package wire writes and reads the fields of cairn's binary formats: fixed
// big-endian integers, minimal unsigned varints, and length-prefixed bytes.
// There is one spelling for each value, and a Reader refuses every other, so
// that what parses re-encodes to the same bytes. It knows no format.
package wire

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/cairn-storage/cairn"
)

// Writer appends fields to B.
type Writer struct{ B []byte }

// U8 appends one byte.
func (w *Writer) U8(v uint8) { w.B = append(w.B, v) }

// Bool appends 0 or 1.
func (w *Writer) Bool(v bool) {
	if v {
		w.U8(1)
		return
	}
	w.U8(0)
}

// U16 appends two bytes, big-endian.
func (w *Writer) U16(v uint16) { w.B = binary.BigEndian.AppendUint16(w.B, v) }

// U32 appends four bytes, big-endian.
func (w *Writer) U32(v uint32) { w.B = binary.BigEndian.AppendUint32(w.B, v) }

// U64 appends eight bytes, big-endian.
func (w *Writer) U64(v uint64) { w.B = binary.BigEndian.AppendUint64(w.B, v) }

// Uvarint appends v in its shortest base-128 form.
func (w *Writer) Uvarint(v uint64) { w.B = binary.AppendUvarint(w.B, v) }

// Raw appends b without a length.
func (w *Writer) Raw(b []byte) { w.B = append(w.B, b...) }

// Bytes appends the length of b as a varint, then b.
func (w *Writer) Bytes(b []byte) { w.Uvarint(uint64(len(b))); w.Raw(b) }

// String appends s as Bytes does.
func (w *Writer) String(s string) { w.Uvarint(uint64(len(s))); w.B = append(w.B, s...) }

// Map appends the number of entries, then key and value of each in key order.
func (w *Writer) Map(m map[string]string) {
	w.Uvarint(uint64(len(m)))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		w.String(k)
		w.String(m[k])
	}
}

// Reader takes fields from the front of a slice. After the first failure every
// method returns zero values and Err says what was wrong; results of Bytes and
// Raw are copies.
type Reader struct {
	b   []byte
	err error
}

// NewReader reads b.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Err is the first failure, of class ErrCorrupt.
func (r *Reader) Err() error { return r.err }

// Len is the number of bytes not yet taken.
func (r *Reader) Len() int { return len(r.b) }

// Done fails unless every byte was taken, and returns Err.
func (r *Reader) Done() error {
	if r.err == nil && len(r.b) > 0 {
		r.Fail("%d bytes too many", len(r.b))
	}
	return r.err
}

// Fail records a failure found by the caller; the first one stays.
func (r *Reader) Fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format+": %w", append(args, cairn.ErrCorrupt)...)
	}
	r.b = nil
}

func (r *Reader) take(n int) []byte {
	if r.err == nil && n > len(r.b) {
		r.Fail("ends %d bytes early", n-len(r.b))
	}
	if r.err != nil {
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

// U8 takes one byte.
func (r *Reader) U8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

// Bool takes one byte that must be 0 or 1.
func (r *Reader) Bool() bool {
	v := r.U8()
	if v > 1 {
		r.Fail("flag is %d", v)
	}
	return v == 1
}

// U16 takes two bytes.
func (r *Reader) U16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// U32 takes four bytes.
func (r *Reader) U32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// U64 takes eight bytes.
func (r *Reader) U64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// Uvarint takes a varint of at most limit, in its shortest form.
func (r *Reader) Uvarint(limit uint64) uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.b)
	switch {
	case n <= 0:
		r.Fail("bad varint")
		return 0
	case n > 1 && r.b[n-1] == 0:
		r.Fail("varint is not in its shortest form")
		return 0
	case v > limit:
		r.Fail("%d is over the limit of %d", v, limit)
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Raw fills p.
func (r *Reader) Raw(p []byte) { copy(p, r.take(len(p))) }

// Bytes takes a length of at most limit, and that many bytes; nil for none.
func (r *Reader) Bytes(limit int) []byte {
	b := r.take(int(r.Uvarint(uint64(limit))))
	if len(b) == 0 {
		return nil
	}
	return slices.Clone(b)
}

// String takes what Bytes takes.
func (r *Reader) String(limit int) string { return string(r.take(int(r.Uvarint(uint64(limit))))) }

// Map takes a map of at most entries entries, in strict key order, each key
// and value of at most limit bytes; nil for none.
func (r *Reader) Map(entries, limit int) map[string]string {
	n := int(r.Uvarint(uint64(entries)))
	if n == 0 || r.err != nil {
		return nil
	}
	m := make(map[string]string, n)
	last := ""
	for i := range n {
		k, v := r.String(limit), r.String(limit)
		if i > 0 && k <= last {
			r.Fail("map keys are not in order")
		}
		if r.err != nil {
			return nil
		}
		m[k], last = v, k
	}
	return m
}

// Zeros takes n bytes that must all be zero.
func (r *Reader) Zeros(n int) {
	for _, c := range r.take(n) {
		if c != 0 {
			r.Fail("reserved bytes are not zero")
			return
		}
	}
}
