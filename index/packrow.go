package index

import (
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/wire"
	"github.com/cairn-storage/cairn/pack"
)

// PackState says how far a pack has come.
type PackState uint8

// The states of a pack, in order.
const (
	Staged   PackState = iota // its bytes are safe only in the stage
	Spread                    // its shards stand on the nodes
	Retiring                  // nothing refers to it; the record that says so is not written
	Retired                   // a retired record is applied
)

// String is the word used in output.
func (s PackState) String() string {
	switch s {
	case Staged:
		return "staged"
	case Spread:
		return "spread"
	case Retiring:
		return "retiring"
	case Retired:
		return "retired"
	}
	return "unknown"
}

// PackRow is what is known of one pack: what reading its shards takes, and
// where they stand.
type PackRow struct {
	Params      pack.Params
	Kind        pack.Kind
	Bytes       uint32 // of the pack, before padding
	Number      uint64 // in the chain of log packs; 0 for other kinds
	SealHash    crypt.Hash
	First, Last cairn.Stamp // of its records; zero for other kinds
	State       PackState
	At          []cairn.Location
}

const packRowVersion = 1

func (p PackRow) encode() []byte {
	w := wire.Writer{B: make([]byte, 0, 160+21*len(p.At))}
	w.U8(packRowVersion)
	w.Raw(p.Params.Store[:])
	w.U32(p.Params.Epoch)
	w.Raw(p.Params.Prefix[:])
	w.U8(uint8(p.Params.Coding.K))
	w.U8(uint8(p.Params.Coding.M))
	w.U64(p.Params.Length)
	w.U32(p.Params.Contents)
	w.U8(uint8(p.Kind))
	w.U32(p.Bytes)
	w.U64(p.Number)
	w.Raw(p.SealHash[:])
	w.B = appendStamp(appendStamp(w.B, p.First), p.Last)
	w.U8(uint8(p.State))
	w.Uvarint(uint64(len(p.At)))
	for _, l := range p.At {
		w.U8(l.Index)
		w.Raw(l.Node[:])
		w.U32(l.Write)
	}
	return w.B
}

func parsePackRow(id cairn.PackID, b []byte) (PackRow, error) {
	r := wire.NewReader(b)
	if v := r.U8(); v != packRowVersion {
		r.Fail("version %d", v)
	}
	p := PackRow{Params: pack.Params{ID: id}}
	r.Raw(p.Params.Store[:])
	p.Params.Epoch = r.U32()
	r.Raw(p.Params.Prefix[:])
	p.Params.Coding = cairn.Coding{K: int(r.U8()), M: int(r.U8())}
	p.Params.Length, p.Params.Contents = r.U64(), r.U32()
	p.Kind, p.Bytes, p.Number = pack.Kind(r.U8()), r.U32(), r.U64()
	r.Raw(p.SealHash[:])
	p.First = cairn.Stamp{Life: r.U32(), LSN: r.U64()}
	p.Last = cairn.Stamp{Life: r.U32(), LSN: r.U64()}
	p.State = PackState(r.U8())
	for range r.Uvarint(maxEntries) {
		l := cairn.Location{Index: r.U8()}
		r.Raw(l.Node[:])
		l.Write = r.U32()
		if r.Err() != nil {
			break
		}
		p.At = append(p.At, l)
	}
	if err := r.Done(); err != nil {
		return PackRow{}, fmt.Errorf("index: row of pack %v: %w", id, err)
	}
	return p, nil
}
