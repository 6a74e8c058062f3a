package pack

import (
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/wire"
)

// Run is a contiguous row of frames in a pack that no record of the same pack
// names: what a data pack is made of.
type Run struct {
	Content crypt.ContentID
	First   uint64 // number of the first frame
	Offset  uint32 // of it in the pack
	Length  uint64 // bytes of plaintext
	End     bool   // the last frame ends the content
}

// Contents is a pack's table: what it is, and for a log pack its records once
// more. It is replicated whole in every shard, sealed.
type Contents struct {
	Kind   Kind
	Length uint32 // bytes of the pack before padding
	// Number and Prev make the chain of log packs: numbered without gaps, each
	// naming the seal hash of the one before. A journal carries the number of
	// the log pack that it anticipates. Zero for other kinds.
	Number uint64
	Prev   crypt.Hash
	// First and Last bound the stamps of the records, or of what a journal
	// anticipates.
	First, Last cairn.Stamp
	// Part of Total and CutOff describe a checkpoint pack: it covers log packs
	// up to and with number CutOff.
	Part, Total uint32
	CutOff      uint64
	Runs        []Run
	Records     []Record // in order of stamp
}

const maxContentsPlain = 16 << 20 // decompressed; bounds what a key holder's mistake can cost

// Encode is the canonical plain encoding.
func (c Contents) Encode() []byte {
	var w wire.Writer
	w.U8(Version)
	w.U8(uint8(c.Kind))
	w.U32(c.Length)
	w.U64(c.Number)
	w.Raw(c.Prev[:])
	for _, s := range []cairn.Stamp{c.First, c.Last} {
		w.U32(s.Life)
		w.U64(s.LSN)
	}
	w.U32(c.Part)
	w.U32(c.Total)
	w.U64(c.CutOff)
	w.Uvarint(uint64(len(c.Runs)))
	for _, r := range c.Runs {
		w.Raw(r.Content[:])
		w.Uvarint(r.First)
		w.Uvarint(uint64(r.Offset))
		w.Uvarint(r.Length)
		w.Bool(r.End)
	}
	w.Uvarint(uint64(len(c.Records)))
	for _, r := range c.Records {
		w.B = r.AppendTo(w.B)
	}
	return w.B
}

// ParseContents is the exact inverse of Encode.
func ParseContents(b []byte) (Contents, error) {
	if len(b) > maxContentsPlain {
		return Contents{}, fmt.Errorf("pack: contents of %d bytes are over the limit of %d: %w", len(b), maxContentsPlain, cairn.ErrCorrupt)
	}
	r := wire.NewReader(b)
	if v := r.U8(); v != Version {
		r.Fail("version %d", v)
	}
	c := Contents{Kind: Kind(r.U8()), Length: r.U32(), Number: r.U64()}
	if c.Kind < Log || c.Kind > Checkpoint {
		r.Fail("pack kind %d", c.Kind)
	}
	r.Raw(c.Prev[:])
	c.First = cairn.Stamp{Life: r.U32(), LSN: r.U64()}
	c.Last = cairn.Stamp{Life: r.U32(), LSN: r.U64()}
	c.Part, c.Total, c.CutOff = r.U32(), r.U32(), r.U64()
	for range r.Uvarint(1 << 20) {
		var run Run
		r.Raw(run.Content[:])
		run.First, run.Offset = r.Uvarint(1<<40), uint32(r.Uvarint(1<<32-1))
		run.Length, run.End = r.Uvarint(1<<32), r.Bool()
		if r.Err() != nil {
			break
		}
		c.Runs = append(c.Runs, run)
	}
	n := r.Uvarint(1 << 20)
	if n > 0 && c.Kind != Log && c.Kind != Journal {
		r.Fail("records in a %v pack", c.Kind)
	}
	var last cairn.Stamp
	for range n {
		if r.Err() != nil {
			break
		}
		rec := readRecord(r)
		if r.Err() == nil && rec.Stamp.Compare(last) <= 0 {
			r.Fail("records are not in order")
		}
		if r.Err() != nil {
			break
		}
		last = rec.Stamp
		c.Records = append(c.Records, rec)
	}
	if err := r.Done(); err != nil {
		return Contents{}, fmt.Errorf("pack: contents: %w", err)
	}
	return c, nil
}

// contentsAAD binds contents to the pack and its shape.
func contentsAAD(p Params) []byte {
	var w wire.Writer
	w.Raw(p.Store[:])
	w.Raw(p.ID[:])
	w.U32(p.Epoch)
	w.U8(uint8(p.Coding.K))
	w.U8(uint8(p.Coding.N()))
	w.U64(p.Length)
	return w.B
}

// Seal compresses, pads to a Padmé class and seals the contents of the pack
// that p describes; p.Contents is not read.
func (c Contents) Seal(key *crypt.PackKey, p Params) ([]byte, error) {
	table := c.Encode()
	// Contents are sealed once and for good: what would not open again is
	// refused while the pack is still in the stage.
	if _, err := ParseContents(table); err != nil {
		return nil, fmt.Errorf("pack: contents of %v cannot be read back: %v: %w", p.ID, err, cairn.ErrInvalid)
	}
	plain, err := press(table, MaxContents)
	if err != nil {
		return nil, fmt.Errorf("pack: contents of %v: %w", p.ID, err)
	}
	return key.Seal(make([]byte, 0, len(plain)+crypt.Overhead), plain, crypt.DomainContents, 0, contentsAAD(p)), nil
}

// OpenContents opens sealed contents of the pack that p describes.
func OpenContents(key *crypt.PackKey, p Params, sealed []byte) (Contents, error) {
	plain, err := key.Open(nil, sealed, crypt.DomainContents, 0, contentsAAD(p))
	if err != nil {
		return Contents{}, fmt.Errorf("pack: contents of %v: %w", p.ID, err)
	}
	b, err := unpress(plain, maxContentsPlain)
	if err != nil {
		return Contents{}, fmt.Errorf("pack: contents of %v: %w", p.ID, err)
	}
	return ParseContents(b)
}
