package pack

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cairn-storage/cairn"
	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/blake3"
)

// RunReader reads a run stream. It holds one block, whatever the number of
// rows.
type RunReader struct {
	r    *bufio.Reader
	dec  *zstd.Decoder
	head RunHead

	key    []byte // of the last row
	block  []byte // its rows that are not taken yet
	buf    []byte // the block, whole
	stored []byte // the same, compressed
	plain  []byte // a row as it is hashed
	first  bool   // the next row begins a block
	rows   uint64
	some   *blake3.Hasher // of the rows
	all    *blake3.Hasher // of the stream
	err    error          // why there is nothing more; io.EOF at the good end
}

// NewRunReader reads the head of the run stream r. What is no head is
// ErrCorrupt; other errors are those of r.
func NewRunReader(r io.Reader) (*RunReader, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxRunBlock), zstd.WithDecoderMaxWindow(maxRunBlock), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, fmt.Errorf("pack: run: %w", err)
	}
	run := &RunReader{r: bufio.NewReaderSize(r, 64<<10), dec: dec, some: blake3.New(), all: blake3.New()}
	if run.head, err = readRunHead(run.take); err != nil {
		return nil, fmt.Errorf("pack: run: %w", err)
	}
	return run, nil
}

// Head is the stream's head.
func (r *RunReader) Head() RunHead { return r.head }

// Next is the next row, valid until the next call. io.EOF comes only at the end
// of a stream that is whole: count and hashes agree, and nothing follows. What
// contradicts the format is ErrCorrupt, other errors are those of the reader
// below; each is returned again by every later call.
func (r *RunReader) Next() (Row, error) {
	for r.err == nil && len(r.block) == 0 {
		if r.err = r.fill(); r.err != nil && r.err != io.EOF {
			r.err = fmt.Errorf("pack: run: behind row %d: %w", r.rows, r.err)
		}
	}
	if r.err != nil {
		return Row{}, r.err
	}
	row, err := r.row()
	if err != nil {
		r.err = fmt.Errorf("pack: run: row %d: %w", r.rows, err)
		return Row{}, r.err
	}
	return row, nil
}

func (r *RunReader) row() (Row, error) {
	before := r.key
	if r.first { // keys rise over the border of blocks, too, but share nothing
		before = nil
	}
	row, rest, err := readRow(r.block, before)
	switch {
	case err != nil:
		return Row{}, err
	case r.first && bytes.Compare(row.Key, r.key) <= 0:
		return Row{}, fmt.Errorf("its key is not behind that of the block before: %w", cairn.ErrCorrupt)
	case row.Gone && r.head.From == 0:
		return Row{}, fmt.Errorf("a tombstone in a run of all rows: %w", cairn.ErrCorrupt)
	}
	r.key, r.block, r.first = row.Key, rest, false
	r.plain = row.appendPlain(r.plain[:0])
	_, _ = r.some.Write(r.plain) // hash.Hash never returns an error
	r.rows++
	row.Key = row.Key[:len(row.Key):len(row.Key)]
	return row, nil
}

// take fills p from the stream.
func (r *RunReader) take(p []byte) error {
	if _, err := io.ReadFull(r.r, p); err != nil {
		if cairn.Class(err) == nil && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
			return fmt.Errorf("the stream ends early: %w", cairn.ErrCorrupt)
		}
		return err
	}
	_, _ = r.all.Write(p)
	return nil
}

// fill reads the next block, or the footer: then it is io.EOF.
func (r *RunReader) fill() error {
	var head [9]byte // tag, bytes of rows, bytes stored
	if err := r.take(head[:1]); err != nil {
		return err
	}
	switch head[0] {
	case runEnd:
		return r.finish()
	case runBlock:
	default:
		return fmt.Errorf("tag %d: %w", head[0], cairn.ErrCorrupt)
	}
	if err := r.take(head[1:]); err != nil {
		return err
	}
	plain, stored := binary.BigEndian.Uint32(head[1:]), binary.BigEndian.Uint32(head[5:])
	if plain == 0 || plain > maxRunBlock || stored == 0 || stored > plain+maxRunExtra {
		return fmt.Errorf("block of %d bytes, %d stored: %w", plain, stored, cairn.ErrCorrupt)
	}
	r.stored = grown(r.stored, int(stored))
	if err := r.take(r.stored); err != nil {
		return err
	}
	// What is decoded cannot pass the capacity that is given here.
	r.buf = grown(r.buf, int(plain))
	b, err := r.dec.DecodeAll(r.stored, r.buf[:0:plain])
	if err != nil || len(b) != int(plain) {
		return fmt.Errorf("block of %d bytes decodes to %d: %v: %w", plain, len(b), err, cairn.ErrCorrupt)
	}
	r.block, r.first = b, true
	return nil
}

// grown is b with length n, its bytes undefined.
func grown(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// finish checks the footer and that it is the end.
func (r *RunReader) finish() error {
	var b [runFooter]byte
	if err := r.take(b[:8+32]); err != nil {
		return err
	}
	all := r.all.Sum(nil)
	if err := r.take(b[8+32:]); err != nil {
		return err
	}
	rows := binary.BigEndian.Uint64(b[:])
	switch {
	case rows != r.rows:
		return fmt.Errorf("the footer counts %d rows: %w", rows, cairn.ErrCorrupt)
	case !bytes.Equal(r.some.Sum(nil), b[8:8+32]):
		return fmt.Errorf("hash of the rows differs: %w", cairn.ErrCorrupt)
	case !bytes.Equal(all, b[8+32:]):
		return fmt.Errorf("hash of the stream differs: %w", cairn.ErrCorrupt)
	}
	if _, err := r.r.ReadByte(); err == nil {
		return fmt.Errorf("bytes behind the footer: %w", cairn.ErrCorrupt)
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return io.EOF
}
