package pack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/cairn-storage/cairn"
	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/blake3"
)

// RunWriter writes a run stream. It holds one block, whatever the number of
// rows.
type RunWriter struct {
	w    io.Writer
	from uint32
	enc  *zstd.Encoder

	last  []byte // key of the last row
	block []byte // rows that are not written yet
	first bool   // the next row begins a block
	out   []byte // a block as it is written
	plain []byte // a row as it is hashed
	rows  uint64
	some  *blake3.Hasher // of the rows
	all   *blake3.Hasher // of the stream
	err   error          // the first failure, or that the stream is closed
}

// NewRunWriter begins a run stream on w. A head that contradicts itself is
// ErrInvalid; other errors are those of w.
func NewRunWriter(w io.Writer, h RunHead) (*RunWriter, error) {
	if err := h.check(); err != nil {
		return nil, fmt.Errorf("pack: run: %v: %w", err, cairn.ErrInvalid)
	}
	// Half of a row is random: ids, hashes, stamps. The default level takes twice
	// the time for 1 % fewer bytes.
	enc, err := newEncoder(zstd.SpeedFastest)
	if err != nil {
		return nil, fmt.Errorf("pack: run: %w", err)
	}
	r := &RunWriter{w: w, from: h.From, enc: enc, first: true, some: blake3.New(), all: blake3.New()}
	return r, r.write(h.encode())
}

// Rows is how many rows were added.
func (r *RunWriter) Rows() uint64 { return r.rows }

// Add appends a row, whose key must be behind that of the row before. A row
// that could not be read again is ErrInvalid; after any error the stream is
// worth nothing, and every call returns that error. It keeps nothing of row.
func (r *RunWriter) Add(row Row) error {
	if r.err != nil {
		return r.err
	}
	if why := r.refuse(row); why != "" {
		r.err = fmt.Errorf("pack: run: row %d: %s: %w", r.rows, why, cairn.ErrInvalid)
		return r.err
	}
	before := r.last
	if r.first {
		before = nil
	}
	r.block, r.first = row.appendTo(r.block, before), false
	r.last = append(r.last[:0], row.Key...)
	r.plain = row.appendPlain(r.plain[:0])
	_, _ = r.some.Write(r.plain) // hash.Hash never returns an error
	r.rows++
	if len(r.block) >= runTarget {
		return r.flush()
	}
	return nil
}

// refuse says why row cannot be the next, without quoting it: keys are names of
// objects.
func (r *RunWriter) refuse(row Row) string {
	switch {
	case len(row.Key) == 0 || len(row.Key) > MaxRowKey:
		return fmt.Sprintf("key of %d bytes", len(row.Key))
	case len(row.Value) > MaxRowValue:
		return fmt.Sprintf("value of %d bytes", len(row.Value))
	case bytes.Compare(row.Key, r.last) <= 0:
		return "key is not behind the one before"
	case row.Gone && len(row.Value) > 0:
		return "a tombstone with a value"
	case row.Gone && r.from == 0:
		return "a tombstone in a run of all rows"
	}
	return ""
}

func (r *RunWriter) flush() error {
	if len(r.block) == 0 {
		return nil
	}
	const head = 1 + 4 + 4
	r.out = append(r.out[:0], runBlock)
	r.out = binary.BigEndian.AppendUint32(r.out, uint32(len(r.block)))
	r.out = append(r.out, 0, 0, 0, 0)
	r.out = r.enc.EncodeAll(r.block, r.out)
	binary.BigEndian.PutUint32(r.out[head-4:], uint32(len(r.out)-head))
	r.block, r.first = r.block[:0], true
	return r.write(r.out)
}

func (r *RunWriter) write(b []byte) error {
	_, _ = r.all.Write(b)
	if _, err := r.w.Write(b); err != nil {
		r.err = fmt.Errorf("pack: run: %w", err)
	}
	return r.err
}

// Close writes what is left and the footer, which makes the run whole; it does
// not close the writer below. Only after it returns nil does the stream count.
func (r *RunWriter) Close() error {
	if r.err != nil {
		return r.err
	}
	if err := r.flush(); err != nil {
		return err
	}
	b := binary.BigEndian.AppendUint64([]byte{runEnd}, r.rows)
	b = r.some.Sum(b)
	if err := r.write(b); err != nil {
		return err
	}
	if err := r.write(r.all.Sum(nil)); err != nil {
		return err
	}
	r.err = fmt.Errorf("pack: run: the stream is closed: %w", cairn.ErrInvalid)
	return nil
}
