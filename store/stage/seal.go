package stage

import (
	"errors"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/wire"
	"github.com/cairn-storage/cairn/pack"
)

const (
	sealMagic   = "cairnsea"
	intentMagic = "cairnint"
	intentAlign = 4096
)

// Seal is what makes a stage a pack: once it is durable the pack's n files are
// fixed to the byte.
type Seal struct {
	Length   uint32 // bytes of the pack before padding
	Contents []byte // sealed
	Trailer  pack.Trailer
}

// Sealed returns the seal block, or nil while there is none.
func (s *File) Sealed() *Seal { return s.seal }

// Intents returns where shards were put or about to be put, newest last.
func (s *File) Intents() []cairn.Location { return s.intents }

func (s *File) sealOffset() int64 { return headerSize + int64(s.Capacity) }

// WriteSeal writes the seal block and makes it durable. Until it returned nil
// no shard of the pack may leave this machine.
func (s *File) WriteSeal(seal Seal) error {
	w := wire.Writer{}
	w.Raw([]byte(sealMagic))
	w.U32(seal.Length)
	w.Bytes(seal.Contents)
	w.Bytes(seal.Trailer.Encode())
	sum := crypt.Sum(w.B)
	w.Raw(sum[:])
	if _, err := s.f.WriteAt(w.B, s.sealOffset()); err != nil {
		return fmt.Errorf("stage: seal %v: %w", s.Pack, err)
	}
	if err := s.Sync(); err != nil {
		return err
	}
	s.seal, s.next = &seal, align(s.sealOffset()+int64(len(w.B)))
	return nil
}

// AddIntent makes at durable before any of its shards is put, so that after a
// crash it is known where to look.
func (s *File) AddIntent(at []cairn.Location) error {
	if s.seal == nil {
		return fmt.Errorf("stage: intent for %v before its seal: %w", s.Pack, cairn.ErrInvalid)
	}
	w := wire.Writer{}
	w.Raw([]byte(intentMagic))
	w.U16(uint16(len(at)))
	for _, l := range at {
		w.U8(l.Index)
		w.Raw(l.Node[:])
		w.U32(l.Write)
	}
	sum := crypt.Sum(w.B)
	w.Raw(sum[:])
	if _, err := s.f.WriteAt(w.B, s.next); err != nil {
		return fmt.Errorf("stage: intent for %v: %w", s.Pack, err)
	}
	if err := s.Sync(); err != nil {
		return err
	}
	s.intents = append(s.intents, at...)
	s.next = align(s.next + int64(len(w.B)))
	return nil
}

func align(n int64) int64 { return (n + intentAlign - 1) / intentAlign * intentAlign }

// loadSeal reads seal block and intents where they are whole. A block that is
// not whole was never followed by a shard, so the stage counts as unsealed.
func (s *File) loadSeal() error {
	size, err := s.f.Size()
	if err != nil {
		return err
	}
	room := min(size-s.sealOffset(), pack.MaxContents+intentAlign+int64(pack.TrailerSize(cairn.MaxShards)))
	if room <= 0 {
		return nil
	}
	b := make([]byte, room)
	if err := readFull(s.f, b, s.sealOffset()); err != nil {
		return err
	}
	seal, n, err := parseSeal(b)
	if errors.Is(err, cairn.ErrCorrupt) {
		return nil
	}
	if err != nil {
		return err
	}
	if seal.Trailer.ID != s.Pack || seal.Length > s.Capacity {
		return fmt.Errorf("its seal is of pack %v: %w", seal.Trailer.ID, cairn.ErrCorrupt)
	}
	s.seal, s.next = &seal, align(s.sealOffset()+int64(n))
	return s.loadIntents(size)
}

func parseSeal(b []byte) (Seal, int, error) {
	r := wire.NewReader(b)
	var magic [8]byte
	r.Raw(magic[:])
	if string(magic[:]) != sealMagic {
		r.Fail("no seal block")
	}
	seal := Seal{Length: r.U32(), Contents: r.Bytes(pack.MaxContents)}
	trailer := r.Bytes(pack.TrailerSize(cairn.MaxShards))
	n := len(b) - r.Len()
	var sum crypt.Hash
	r.Raw(sum[:])
	if r.Err() == nil && crypt.Sum(b[:n]) != sum {
		r.Fail("hash of the seal block differs")
	}
	if r.Err() != nil {
		return Seal{}, 0, r.Err()
	}
	t, err := pack.ParseTrailer(trailer)
	if err != nil {
		return Seal{}, 0, err
	}
	seal.Trailer = t
	return seal, n + len(sum), nil
}

func (s *File) loadIntents(size int64) error {
	const most = len(intentMagic) + 2 + 256*(1+16+4) + 32
	for s.next < size {
		b := make([]byte, min(int64(most), size-s.next))
		if err := readFull(s.f, b, s.next); err != nil {
			return err
		}
		at, n, ok := parseIntent(b)
		if !ok {
			return nil // torn: no shard of it was put
		}
		s.intents = append(s.intents, at...)
		s.next = align(s.next + int64(n))
	}
	return nil
}

func parseIntent(b []byte) ([]cairn.Location, int, bool) {
	r := wire.NewReader(b)
	var magic [8]byte
	r.Raw(magic[:])
	n := int(r.U16())
	if string(magic[:]) != intentMagic || n > 256 {
		return nil, 0, false
	}
	at := make([]cairn.Location, n)
	for i := range at {
		at[i].Index = r.U8()
		r.Raw(at[i].Node[:])
		at[i].Write = r.U32()
	}
	end := len(b) - r.Len()
	var sum crypt.Hash
	r.Raw(sum[:])
	if r.Err() != nil || crypt.Sum(b[:end]) != sum {
		return nil, 0, false
	}
	return at, end + len(sum), true
}
