package stage

import (
	"errors"
	"fmt"
	"io"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/wire"
	"github.com/cairn-storage/cairn/pack"
)

const (
	headerMagic   = "cairnstg"
	headerVersion = 1
	headerSize    = 4096
)

// Header is what a stage is, fixed when it is made.
type Header struct {
	Kind     pack.Kind
	Capacity uint32 // bytes of pack that fit
	Store    cairn.StoreID
	Pack     cairn.PackID
	Epoch    uint32
	Prefix   crypt.NoncePrefix
	Life     uint32          // the only life that may write it
	Number   uint64          // of a log pack
	Content  crypt.ContentID // of a data pack: the one content whose frames it holds
	First    uint64          // number of its first frame
}

func (h Header) encode() []byte {
	w := wire.Writer{B: make([]byte, 0, headerSize)}
	w.Raw([]byte(headerMagic))
	w.U16(headerVersion)
	w.U8(uint8(h.Kind))
	w.U8(0)
	w.U32(h.Capacity)
	w.Raw(h.Store[:])
	w.Raw(h.Pack[:])
	w.U32(h.Epoch)
	w.Raw(h.Prefix[:])
	w.U32(h.Life)
	w.U64(h.Number)
	w.Raw(h.Content[:])
	w.U64(h.First)
	sum := crypt.Sum(w.B)
	w.Raw(sum[:])
	return append(w.B, make([]byte, headerSize-len(w.B))...)
}

func parseHeader(b []byte) (Header, error) {
	r := wire.NewReader(b)
	var magic [8]byte
	r.Raw(magic[:])
	if string(magic[:]) != headerMagic {
		return Header{}, fmt.Errorf("not a stage header: %w", cairn.ErrCorrupt)
	}
	if v := r.U16(); v != headerVersion {
		return Header{}, fmt.Errorf("stage version %d, this release knows %d: %w", v, headerVersion, cairn.ErrInvalid)
	}
	h := Header{Kind: pack.Kind(r.U8())}
	r.Zeros(1)
	h.Capacity = r.U32()
	r.Raw(h.Store[:])
	r.Raw(h.Pack[:])
	h.Epoch = r.U32()
	r.Raw(h.Prefix[:])
	h.Life, h.Number = r.U32(), r.U64()
	r.Raw(h.Content[:])
	h.First = r.U64()
	n := len(b) - r.Len()
	var sum crypt.Hash
	r.Raw(sum[:])
	r.Zeros(r.Len())
	if r.Err() == nil && crypt.Sum(b[:n]) != sum {
		r.Fail("header hash differs")
	}
	if h.Kind != pack.Log && h.Kind != pack.Data && h.Kind != pack.Moved && h.Kind != pack.Checkpoint || h.Capacity > 1<<30 {
		r.Fail("kind %d, capacity %d", h.Kind, h.Capacity)
	}
	return h, r.Done()
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
