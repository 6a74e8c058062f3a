package pack

import (
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/wire"
)

// Trust tells whether a key may sign packs of a store: the gateway's own, or
// one that an owner delegated to.
type Trust func(cairn.StoreID, crypt.PublicKey) bool

// Tail is the verified end of one shard file. With it every block of that
// shard, from whatever source, can be checked.
type Tail struct {
	Trailer
	Blocks []crypt.Hash
}

// OpenTail reads the tail of shard index of the pack that p describes, the last
// p.TailSize() bytes of its file. It is ErrCorrupt unless a trusted key signed
// it, it is of just this pack, shape and shard, and the block hashes give the
// signed root.
func OpenTail(b []byte, p Params, index uint8, trust Trust) (*Tail, error) {
	if int64(len(b)) != p.TailSize() {
		return nil, fmt.Errorf("pack: tail of %d bytes, want %d: %w", len(b), p.TailSize(), cairn.ErrCorrupt)
	}
	n := Blocks(p.Length) * 32
	t, err := ParseTrailer(b[n:])
	if err != nil {
		return nil, err
	}
	switch {
	case t.Params != p:
		return nil, fmt.Errorf("pack: tail is of pack %v %v, want %v %v: %w", t.ID, t.Coding, p.ID, p.Coding, cairn.ErrCorrupt)
	case t.Index != index:
		return nil, fmt.Errorf("pack: tail is of shard %d of %v, want %d: %w", t.Index, p.ID, index, cairn.ErrCorrupt)
	}
	return newTail(t, b[:n], trust)
}

// OpenUnknownTail reads the tail of a shard file of size bytes of which nothing
// is known; b is its end, at least the whole tail.
func OpenUnknownTail(b []byte, size int64, trust Trust) (*Tail, error) {
	if len(b) < FooterSize {
		return nil, fmt.Errorf("pack: %d bytes are no shard: %w", len(b), cairn.ErrCorrupt)
	}
	n, err := TrailerLength(b[len(b)-FooterSize:])
	if err != nil {
		return nil, err
	}
	if n > len(b) {
		return nil, fmt.Errorf("pack: trailer of %d bytes in %d: %w", n, len(b), cairn.ErrCorrupt)
	}
	t, err := ParseTrailer(b[len(b)-n:])
	if err != nil {
		return nil, err
	}
	if t.FileSize() != size || t.TailSize() > int64(len(b)) {
		return nil, fmt.Errorf("pack: file of %d bytes, its trailer says %d: %w", size, t.FileSize(), cairn.ErrCorrupt)
	}
	return newTail(t, b[int64(len(b))-t.TailSize():len(b)-n], trust)
}

func newTail(t Trailer, hashes []byte, trust Trust) (*Tail, error) {
	if !trust(t.Store, t.Signer) {
		return nil, fmt.Errorf("pack: trailer of %v is signed by a key that may not sign for this store: %w", t.ID, cairn.ErrCorrupt)
	}
	tail := &Tail{Trailer: t, Blocks: make([]crypt.Hash, len(hashes)/32)}
	r := wire.NewReader(hashes)
	for i := range tail.Blocks {
		r.Raw(tail.Blocks[i][:])
	}
	if crypt.ShardRoot(t.ID, t.Index, t.Length, tail.Blocks) != t.Roots[t.Index] {
		return nil, fmt.Errorf("pack: block hashes of shard %d of %v do not give its signed root: %w", t.Index, t.ID, cairn.ErrCorrupt)
	}
	return tail, nil
}

// Check returns ErrCorrupt unless b is block i of the shard.
func (t *Tail) Check(i int, b []byte) error {
	if i < 0 || i >= len(t.Blocks) || len(b) != BlockLength(t.Length, i) || crypt.Sum(b) != t.Blocks[i] {
		return fmt.Errorf("pack: block %d of shard %d of %v: %w", i, t.Index, t.ID, cairn.ErrCorrupt)
	}
	return nil
}

// CheckContents returns ErrCorrupt unless b is the pack's sealed contents.
func (t *Tail) CheckContents(b []byte) error {
	if crypt.Sum(b) != t.Hash {
		return fmt.Errorf("pack: sealed contents of %v: %w", t.ID, cairn.ErrCorrupt)
	}
	return nil
}

// SameSealing returns ErrCorrupt unless t and u are tails of one sealing of one
// pack: the same signed part.
func (t *Tail) SameSealing(u *Tail) error {
	if t.Params != u.Params || t.Hash != u.Hash || t.Signer != u.Signer || !slices.Equal(t.Roots, u.Roots) {
		return fmt.Errorf("pack: two sealings of %v: %w", t.ID, cairn.ErrCorrupt)
	}
	return nil
}

// CheckShard returns ErrCorrupt unless b is the whole of shard index of t's
// pack, whichever shard's tail t is: what repair makes must equal the signed
// root before it is written. It returns the block hashes.
func (t Trailer) CheckShard(index uint8, b []byte) ([]crypt.Hash, error) {
	if uint64(len(b)) != t.Length || int(index) >= len(t.Roots) {
		return nil, fmt.Errorf("pack: shard %d of %v has %d bytes, want %d: %w", index, t.ID, len(b), t.Length, cairn.ErrCorrupt)
	}
	hs := hashBlocks(b)
	if crypt.ShardRoot(t.ID, index, t.Length, hs) != t.Roots[index] {
		return nil, fmt.Errorf("pack: shard %d of %v does not give its signed root: %w", index, t.ID, cairn.ErrCorrupt)
	}
	return hs, nil
}

func hashBlocks(shard []byte) []crypt.Hash {
	hs := make([]crypt.Hash, Blocks(uint64(len(shard))))
	for i := range hs {
		off := i * BlockSize
		hs[i] = crypt.Sum(shard[off:min(off+BlockSize, len(shard))])
	}
	return hs
}
