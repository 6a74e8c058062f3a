package pack

import (
	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/wire"
)

// CutOff says up to where a log was taken: all records of log packs up to and
// with Number, none later. The zero CutOff is before the first log pack.
type CutOff struct {
	Number uint64      // of the last log pack that is in
	Last   cairn.Stamp // of the last record that is in
	Seal   crypt.Hash  // seal hash of log pack Number; zero where that is none
}

// IsZero reports whether c is before the first log pack.
func (c CutOff) IsZero() bool { return c == CutOff{} }

func (c CutOff) encode(w *wire.Writer) {
	w.U64(c.Number)
	w.U32(c.Last.Life)
	w.U64(c.Last.LSN)
	w.Raw(c.Seal[:])
}

func readCutOff(r *wire.Reader) (c CutOff) {
	c.Number = r.U64()
	c.Last = cairn.Stamp{Life: r.U32(), LSN: r.U64()}
	r.Raw(c.Seal[:])
	return c
}

// CheckpointRun is one run of a checkpoint as a root names it: the rows that
// changed in generations From to To, From 0 for all rows there are.
type CheckpointRun struct {
	From, To uint32
	Rows     uint64
	CutOff   uint64      // number of the log pack that the run is as of
	Part     Part        // the content whose plaintext is the run stream
	Packs    []PackPlace // those that Part's extents name, each once
}

func (c CheckpointRun) encode(w *wire.Writer) {
	w.U32(c.From)
	w.U32(c.To)
	w.U64(c.Rows)
	w.U64(c.CutOff)
	writePart(w, c.Part)
	w.Uvarint(uint64(len(c.Packs)))
	for _, p := range c.Packs {
		p.encode(w)
	}
}

// readCheckpointRun takes a run of store. A run of which a pack has no place
// could not be read, so it is refused.
func readCheckpointRun(r *wire.Reader, store cairn.StoreID) CheckpointRun {
	c := CheckpointRun{From: r.U32(), To: r.U32(), Rows: r.U64(), CutOff: r.U64(), Part: readPart(r)}
	c.Packs = readList(r, MaxRunPacks, func(r *wire.Reader) PackPlace { return readPackPlace(r, store) })
	if r.Err() == nil && c.From > c.To {
		r.Fail("run of generations %d to %d", c.From, c.To)
	}
	placed := make(map[cairn.PackID]bool, len(c.Packs)) // whether an extent lies in it
	for _, p := range c.Packs {
		if _, twice := placed[p.Params.ID]; twice {
			r.Fail("pack %v of a run is there twice", p.Params.ID)
		}
		placed[p.Params.ID] = false
	}
	for _, e := range c.Part.Extents {
		if _, ok := placed[e.Pack]; !ok {
			r.Fail("pack %v of a run has no place", e.Pack)
		}
		placed[e.Pack] = true
	}
	for _, p := range c.Packs {
		if !placed[p.Params.ID] {
			r.Fail("no extent of the run lies in pack %v", p.Params.ID)
		}
	}
	return c
}

// PackPlace is where a pack of a checkpoint stands: what must be known to read
// its shards, and the places of those.
type PackPlace struct {
	Params Params
	Bytes  uint32 // of the pack before padding
	At     []cairn.Location
}

// encode leaves the store out: it is the root's.
func (p PackPlace) encode(w *wire.Writer) {
	w.Raw(p.Params.ID[:])
	w.U32(p.Params.Epoch)
	w.Raw(p.Params.Prefix[:])
	w.U8(uint8(p.Params.Coding.K))
	w.U8(uint8(p.Params.Coding.N()))
	w.U64(p.Params.Length)
	w.U32(p.Params.Contents)
	w.U32(p.Bytes)
	w.Uvarint(uint64(len(p.At)))
	for _, l := range p.At {
		w.U8(l.Index)
		w.Raw(l.Node[:])
		w.U32(l.Write)
	}
}

func readPackPlace(r *wire.Reader, store cairn.StoreID) PackPlace {
	p := PackPlace{Params: Params{Store: store}}
	r.Raw(p.Params.ID[:])
	p.Params.Epoch = r.U32()
	r.Raw(p.Params.Prefix[:])
	k, n := int(r.U8()), int(r.U8())
	p.Params.Coding = cairn.Coding{K: k, M: n - k}
	p.Params.Length, p.Params.Contents, p.Bytes = r.U64(), r.U32(), r.U32()
	p.Params.checkShape(r)
	if r.Err() == nil && uint64(p.Bytes) > uint64(k)*p.Params.Length {
		r.Fail("pack %v: %d bytes in %d shards of %d", p.Params.ID, p.Bytes, k, p.Params.Length)
	}
	p.At = readList(r, maxAt, func(r *wire.Reader) (l cairn.Location) {
		l.Index = r.U8()
		r.Raw(l.Node[:])
		l.Write = r.U32()
		if r.Err() == nil && int(l.Index) >= n {
			r.Fail("pack %v: shard %d of %d", p.Params.ID, l.Index, n)
		}
		return l
	})
	return p
}
