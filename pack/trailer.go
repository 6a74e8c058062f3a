package pack

import (
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/wire"
)

const (
	trailerMagic = "cairnshd"
	trailerEnd   = "cairnend"
	trailerFixed = 144 // bytes before the roots
	footerSize   = 16  // index, zeros, length of the trailer, end magic
)

// TrailerSize is the size of the trailer of a shard of n.
func TrailerSize(n int) int { return trailerFixed + 32*n + 64 + footerSize }

// Trailer ends every shard file. All of it but the index is signed by the
// gateway, and the roots bind the index: a block that hashes up to root i of a
// good signature is a block of shard i.
type Trailer struct {
	Params
	Hash   crypt.Hash // of the sealed contents
	Signer crypt.PublicKey
	Roots  []crypt.Hash // of the n shards
	Index  uint8
	sig    crypt.Signature
}

// signed is the signed part.
func (t Trailer) signed() []byte {
	w := wire.Writer{B: make([]byte, 0, TrailerSize(len(t.Roots)))}
	w.Raw([]byte(trailerMagic))
	w.U16(Version)
	w.U8(uint8(t.Coding.K))
	w.U8(uint8(t.Coding.N()))
	w.U32(t.Epoch)
	w.Raw(t.Store[:])
	w.Raw(t.ID[:])
	w.Raw(t.Prefix[:])
	w.U64(t.Length)
	w.U32(t.Contents)
	w.U32(BlockSize)
	w.Raw(t.Hash[:])
	w.Raw(t.Signer[:])
	for _, r := range t.Roots {
		w.Raw(r[:])
	}
	return w.B
}

// Sign signs t as it stands; Signer is set from key.
func (t *Trailer) Sign(key crypt.SigningKey) {
	t.Signer = key.Public()
	t.sig = key.Sign(crypt.SignTrailer, t.signed())
}

// Encode is the trailer's bytes for shard t.Index.
func (t Trailer) Encode() []byte {
	w := wire.Writer{B: t.signed()}
	w.Raw(t.sig[:])
	w.U8(t.Index)
	w.Raw(make([]byte, 3))
	w.U32(uint32(TrailerSize(len(t.Roots))))
	w.Raw([]byte(trailerEnd))
	return w.B
}

// SealHash names this sealing of the pack: the hash of the signed part. The
// next log pack carries it.
func (t Trailer) SealHash() crypt.Hash { return crypt.Sum(t.signed()) }

// FooterSize is how many bytes at the end of a shard file tell the length of
// its trailer, for a reader that knows nothing else of it.
const FooterSize = footerSize

// TrailerLength reads the trailer's length from the footer, the last
// FooterSize bytes of a file.
func TrailerLength(footer []byte) (int, error) {
	r := wire.NewReader(footer)
	r.U8()
	r.Zeros(3)
	n := r.U32()
	var end [8]byte
	r.Raw(end[:])
	if err := r.Done(); err != nil || string(end[:]) != trailerEnd {
		return 0, fmt.Errorf("pack: the file does not end as a shard: %w", cairn.ErrCorrupt)
	}
	if n < uint32(TrailerSize(1)) || n > uint32(TrailerSize(cairn.MaxShards)) {
		return 0, fmt.Errorf("pack: trailer of %d bytes: %w", n, cairn.ErrCorrupt)
	}
	return int(n), nil
}

// checkShape fails r where no pack can be of this shape.
func (p Params) checkShape(r *wire.Reader) {
	switch {
	case r.Err() != nil:
	case p.Coding.Check() != nil:
		r.Fail("coding %v", p.Coding)
	case p.Length < MinPadded || p.Length > MaxLength || p.Length != Padded(p.Length):
		r.Fail("shard length %d", p.Length)
	case p.Contents < MinPadded || p.Contents > MaxContents || uint64(p.Contents) != Padded(uint64(p.Contents)):
		r.Fail("contents length %d", p.Contents)
	}
}

// ParseTrailer reads exactly one trailer and checks the signature against the
// key it names; whether that key may sign for this store is the caller's
// question (Trust).
func ParseTrailer(b []byte) (Trailer, error) {
	r := wire.NewReader(b)
	var t Trailer
	var magic [8]byte
	r.Raw(magic[:])
	if string(magic[:]) != trailerMagic {
		r.Fail("not a shard trailer")
	}
	if v := r.U16(); v != Version {
		r.Fail("format version %d, this release knows %d", v, Version)
	}
	k, n := int(r.U8()), int(r.U8())
	t.Coding = cairn.Coding{K: k, M: n - k}
	t.Epoch = r.U32()
	r.Raw(t.Store[:])
	r.Raw(t.ID[:])
	r.Raw(t.Prefix[:])
	t.Length, t.Contents = r.U64(), r.U32()
	t.checkShape(r)
	if bs := r.U32(); bs != BlockSize {
		r.Fail("block size %d", bs)
	}
	r.Raw(t.Hash[:])
	r.Raw(t.Signer[:])
	if r.Err() == nil {
		t.Roots = make([]crypt.Hash, n)
		for i := range t.Roots {
			r.Raw(t.Roots[i][:])
		}
	}
	r.Raw(t.sig[:])
	t.Index = r.U8()
	r.Zeros(3)
	if size := r.U32(); r.Err() == nil && int(size) != TrailerSize(n) {
		r.Fail("trailer says it has %d bytes", size)
	}
	r.Raw(magic[:])
	if r.Err() == nil && string(magic[:]) != trailerEnd {
		r.Fail("no end mark")
	}
	if r.Err() == nil && int(t.Index) >= n {
		r.Fail("shard %d of %d", t.Index, n)
	}
	if err := r.Done(); err != nil {
		return Trailer{}, fmt.Errorf("pack: trailer: %w", err)
	}
	if !t.Signer.Verify(crypt.SignTrailer, t.signed(), t.sig) {
		return Trailer{}, fmt.Errorf("pack: trailer of %v: signature is not its signer's: %w", t.ID, cairn.ErrCorrupt)
	}
	return t, nil
}
