package pack

import (
	"encoding/binary"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/wire"
	"github.com/klauspost/compress/zstd"
)

// pressWindow is zstd's: what is pressed is mostly smaller, and the encoder's
// memory follows it.
const pressWindow = 1 << 20

func newEncoder(level zstd.EncoderLevel) (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithWindowSize(pressWindow), zstd.WithEncoderLevel(level))
}

// press compresses b and pads it for the seal: length u32, compressed bytes,
// and zeros, so that with the tag the size is a Padmé class. What passes limit
// sealed is ErrInvalid.
func press(b []byte, limit uint64) ([]byte, error) {
	enc, err := newEncoder(zstd.SpeedDefault)
	if err != nil {
		return nil, err
	}
	plain := enc.EncodeAll(b, make([]byte, 4))
	size := Padded(uint64(len(plain) + crypt.Overhead))
	if size > limit {
		return nil, fmt.Errorf("%d bytes are over the limit of %d: %w", size, limit, cairn.ErrInvalid)
	}
	binary.BigEndian.PutUint32(plain, uint32(len(plain)-4))
	return append(plain, make([]byte, int(size)-crypt.Overhead-len(plain))...), nil
}

// unpress is the inverse of press. A result of more than limit bytes is
// ErrCorrupt, before memory is spent on it.
func unpress(plain []byte, limit uint64) ([]byte, error) {
	if len(plain) < 4 {
		return nil, fmt.Errorf("%d bytes: %w", len(plain), cairn.ErrCorrupt)
	}
	n := binary.BigEndian.Uint32(plain)
	if uint64(n) > uint64(len(plain)-4) {
		return nil, fmt.Errorf("length %d: %w", n, cairn.ErrCorrupt)
	}
	r := wire.NewReader(plain[4+n:])
	r.Zeros(r.Len())
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("padding: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(limit))
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	b, err := dec.DecodeAll(plain[4:4+n], nil)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", err, cairn.ErrCorrupt)
	}
	return b, nil
}
