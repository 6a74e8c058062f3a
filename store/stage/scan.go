package stage

import (
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/pack"
)

// Scan is what a log stage holds.
type Scan struct {
	End     uint32        // of the verified prefix, bytes of pack
	Link    pack.Link     // that a group at End would chain to
	Records []pack.Record // of the prefix, and of good groups behind damage
	// Damage says where the prefix ends although a good group follows: rot,
	// not a torn tail, so something acknowledged may be gone. Empty else.
	Damage string
	// Tail is where the last good group ends; End unless there is damage.
	Tail uint32
}

// ScanLog reads the groups of a log stage. It takes them while heads chain and
// every byte that counts is as written. What follows is the torn tail of a
// group that was never acknowledged, unless a good group stands behind it: then
// Damage is set and the later groups' records are given too.
// A sealed stage ends where its seal says.
func (s *File) ScanLog(key *crypt.PackKey) (Scan, error) {
	limit := s.Capacity
	if s.seal != nil {
		limit = s.seal.Length
	}
	b, err := s.bytes(limit)
	if err != nil {
		return Scan{}, err
	}
	out := Scan{Link: pack.FirstLink(s.Pack)}
	for {
		recs, link, next, err := group(key, s.Pack, b, out.End)
		if err != nil || link.prev != out.Link {
			break
		}
		out.Records = append(out.Records, recs...)
		out.End, out.Link = next, link.next
	}
	out.Tail = out.End
	s.scanBehind(key, b, &out)
	if out.Damage == "" && s.seal != nil && out.End != s.seal.Length {
		out.Damage = fmt.Sprintf("stage %v is damaged at %d, its seal covers %d bytes", s.Pack, out.End, s.seal.Length)
	}
	return out, nil
}

// scanBehind looks for good groups behind the prefix, at every aligned place;
// one at its very end that is good but does not chain counts as damage, too.
func (s *File) scanBehind(key *crypt.PackKey, b []byte, out *Scan) {
	for off := out.End; uint64(off)+pack.MinGroup <= uint64(len(b)); {
		recs, _, next, err := group(key, s.Pack, b, off)
		if err != nil {
			off += pack.GroupAlign
			continue
		}
		if out.Damage == "" {
			out.Damage = fmt.Sprintf("stage %v is damaged between %d and %d, good groups follow", s.Pack, out.End, off)
		}
		out.Records = append(out.Records, recs...)
		out.Tail, off = next, next
	}
}

type links struct{ prev, next pack.Link }

// group opens the group at off of the pack bytes b.
func group(key *crypt.PackKey, id cairn.PackID, b []byte, off uint32) ([]pack.Record, links, uint32, error) {
	if uint64(off)+pack.MinGroup > uint64(len(b)) {
		return nil, links{}, 0, cairn.ErrCorrupt
	}
	h, err := pack.OpenHead(key, b[off:off+pack.HeadSize], uint64(off))
	if err != nil {
		return nil, links{}, 0, err
	}
	if uint64(off)+uint64(h.Length) > uint64(len(b)) {
		return nil, links{}, 0, cairn.ErrCorrupt
	}
	recs, next, err := pack.OpenGroup(key, id, b[off:off+h.Length], uint64(off), h)
	return recs, links{h.Prev, next}, off + h.Length, err
}

// bytes reads up to limit bytes of pack; the file may be shorter.
func (s *File) bytes(limit uint32) ([]byte, error) {
	size, err := s.f.Size()
	if err != nil {
		return nil, fmt.Errorf("stage: %v: %w", s.Pack, err)
	}
	n := max(0, min(int64(limit), size-headerSize))
	b := make([]byte, n)
	if err := readFull(s.f, b, headerSize); err != nil {
		return nil, fmt.Errorf("stage: read %v: %w", s.Pack, err)
	}
	return b, nil
}

// Bytes reads the first n bytes of the pack.
func (s *File) Bytes(n uint32) ([]byte, error) {
	b := make([]byte, n)
	return b, s.ReadAt(b, 0)
}
