package pack

import (
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/wire"
)

// A group is what shares one fsync: head, frames of new objects, sealed
// records. The head tells length and chains to the group before, and the
// records are sealed with the head as associated data: their tag is the keyed
// mark that closes the group, and the link of the next one. All of it looks
// random to whoever lacks the pack key, since pack bytes go to nodes as they
// are.
const (
	// GroupAlign is what offsets and lengths of groups are multiples of, so
	// that replay can look for a good group after a damaged one.
	GroupAlign = 64
	// HeadSize is the sealed head: 48 bytes and the tag.
	HeadSize = 64
	// MinGroup is the smallest group: a head and an aligned run of records.
	MinGroup = HeadSize + GroupAlign
)

// Link is the tag of a group's records; the first group of a pack links to the
// pack id.
type Link [16]byte

// Head opens a group.
type Head struct {
	Length  uint32 // bytes of the whole group
	Records uint32 // bytes of the sealed records at its end
	Count   uint32 // number of records
	First   cairn.Stamp
	Prev    Link
}

func (h Head) plain() []byte {
	var w wire.Writer
	w.U8(Version)
	w.Raw(make([]byte, 3))
	w.U32(h.Length)
	w.U32(h.Records)
	w.U32(h.Count)
	w.U64(h.First.LSN)
	w.U32(h.First.Life)
	w.Raw(h.Prev[:])
	w.Raw(make([]byte, 4))
	return w.B
}

// OpenHead opens the head at offset off of a pack; anything but a head that was
// sealed there is ErrCorrupt.
func OpenHead(key *crypt.PackKey, sealed []byte, off uint64) (Head, error) {
	if len(sealed) != HeadSize {
		return Head{}, fmt.Errorf("pack: group head of %d bytes: %w", len(sealed), cairn.ErrCorrupt)
	}
	b, err := key.Open(nil, sealed, crypt.DomainHead, off, nil)
	if err != nil {
		return Head{}, fmt.Errorf("pack: group head at %d: %w", off, err)
	}
	r := wire.NewReader(b)
	if v := r.U8(); v != Version {
		r.Fail("version %d", v)
	}
	r.Zeros(3)
	h := Head{Length: r.U32(), Records: r.U32(), Count: r.U32()}
	h.First.LSN, h.First.Life = r.U64(), r.U32()
	r.Raw(h.Prev[:])
	r.Zeros(4)
	if h.Length%GroupAlign != 0 || h.Records < crypt.Overhead || uint64(h.Records)+HeadSize > uint64(h.Length) {
		r.Fail("lengths %d and %d", h.Length, h.Records)
	}
	if err := r.Done(); err != nil {
		return Head{}, fmt.Errorf("pack: group head at %d: %w", off, err)
	}
	return h, nil
}

// GroupBuilder makes one group. Frames and Add may be mixed; a record that
// names frames of this group must be added to it.
type GroupBuilder struct {
	key   *crypt.PackKey
	id    cairn.PackID
	off   uint64
	b     []byte
	recs  []byte
	count uint32
	first cairn.Stamp
	prev  Link
}

// NewGroup begins a group at offset off of pack id, chained to prev, in buf,
// whose bytes are overwritten.
func NewGroup(key *crypt.PackKey, id cairn.PackID, off uint64, prev Link, buf []byte) *GroupBuilder {
	return &GroupBuilder{key: key, id: id, off: off, prev: prev, b: append(buf[:0], make([]byte, HeadSize)...)}
}

// FirstLink is the link that the first group of pack id chains to.
func FirstLink(id cairn.PackID) Link { return Link(id) }

// Frames seals plain as the frames of content c from number first on; end says
// that plain ends the content. Without end, plain must be whole frames. It
// returns where they lie. No bytes make no frames and a zero extent.
func (g *GroupBuilder) Frames(c crypt.ContentID, first uint64, plain []byte, end bool) Extent {
	if len(plain) == 0 {
		return Extent{}
	}
	e := Extent{Pack: g.id, Offset: uint32(g.off) + uint32(len(g.b)), Length: uint64(len(plain))}
	g.b = SealFrames(g.b, g.key, g.off, c, first, plain, end)
	return e
}

// Add adds a record; the first one's stamp is the group's.
func (g *GroupBuilder) Add(r Record) {
	if g.count == 0 {
		g.first = r.Stamp
	}
	g.count++
	g.recs = r.AppendTo(g.recs)
}

// Size is the size the group has if finished now.
func (g *GroupBuilder) Size() int { return groupSize(len(g.b), len(g.recs)) }

// Records is the number of encoded record bytes so far.
func (g *GroupBuilder) Records() int { return len(g.recs) }

// Count is the number of records so far.
func (g *GroupBuilder) Count() int { return int(g.count) }

func groupSize(framed, recs int) int {
	n := framed + recs + crypt.Overhead
	return (n + GroupAlign - 1) / GroupAlign * GroupAlign
}

// Finish seals the records and returns the group's bytes, valid until the
// buffer is used again, and the link for the next group.
func (g *GroupBuilder) Finish() ([]byte, Link) {
	size := g.Size()
	records := size - len(g.b)
	recs := append(g.recs, make([]byte, records-crypt.Overhead-len(g.recs))...)
	h := Head{Length: uint32(size), Records: uint32(records), Count: g.count, First: g.first, Prev: g.prev}
	head := g.key.Seal(nil, h.plain(), crypt.DomainHead, g.off, nil)
	copy(g.b, head)
	g.b = g.key.Seal(g.b, recs, crypt.DomainRecords, g.off+uint64(len(g.b)), head)
	var l Link
	copy(l[:], g.b[len(g.b)-len(l):])
	return g.b, l
}

// OpenGroup opens the group b at offset off, whose head is h, and checks every
// frame that its records place in it. It returns the records and the link of
// the next group; a group of which any byte that counts is not as written is
// ErrCorrupt.
func OpenGroup(key *crypt.PackKey, id cairn.PackID, b []byte, off uint64, h Head) ([]Record, Link, error) {
	bad := func(why any) ([]Record, Link, error) {
		return nil, Link{}, fmt.Errorf("pack: group at %d of %v: %v: %w", off, id, why, cairn.ErrCorrupt)
	}
	if uint64(len(b)) != uint64(h.Length) {
		return bad("cut short")
	}
	at := len(b) - int(h.Records)
	plain, err := key.Open(nil, b[at:], crypt.DomainRecords, off+uint64(at), b[:HeadSize])
	if err != nil {
		return bad("records do not open")
	}
	r := wire.NewReader(plain)
	recs := make([]Record, 0, min(int(h.Count), len(plain)/minRecord))
	for range h.Count {
		recs = append(recs, readRecord(r))
		if r.Err() != nil {
			return bad(r.Err())
		}
	}
	if groupSize(at, len(plain)-r.Len()) != len(b) {
		return bad("more padding than alignment needs")
	}
	r.Zeros(r.Len())
	if err := r.Done(); err != nil {
		return bad(err)
	}
	var first cairn.Stamp
	if len(recs) > 0 {
		first = recs[0].Stamp
	}
	if first != h.First {
		return bad("first stamp differs from the head")
	}
	buf := make([]byte, 0, FrameSize)
	for _, rec := range recs {
		if err := checkFrames(key, id, b[:at], off, rec, buf); err != nil {
			return bad(err)
		}
	}
	var l Link
	copy(l[:], b[len(b)-len(l):])
	return recs, l, nil
}
