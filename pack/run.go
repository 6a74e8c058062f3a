package pack

import (
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/wire"
)

const (
	runMagic  = "cairnrun"
	runFixed  = len(runMagic) + 2 + 16 + 52 + 4 + 4 + 1 // bytes of the head before the ids
	runFooter = 8 + 32 + 32                             // behind its tag: rows, hash of rows, hash of all

	runEnd   = 0 // tag of the footer
	runBlock = 1 // tag of a block of rows
)

// Limits of a run stream.
const (
	// MaxRuns is the most runs of one checkpoint: merging by size needs one for
	// each doubling of the rows.
	MaxRuns = 64
	// MaxRowKey and MaxRowValue bound a row, in bytes.
	MaxRowKey   = 4 << 10
	MaxRowValue = 512 << 10

	runTarget   = 256 << 10 // bytes of rows at which a block is closed
	maxRunBlock = 1 << 20   // bytes of rows of a block: the target, and a last row of the largest size
	maxRunExtra = 4 << 10   // bytes that compression may add to a block
)

// RunHead stands at the front of a run stream. Before names, oldest first, the
// contents that hold the runs which this one completes: together they are one
// checkpoint, which a scan without roots finds by it. A run from generation 0
// is whole by itself, holds no tombstones and completes nothing; every other
// one completes at least one.
type RunHead struct {
	Store    cairn.StoreID
	CutOff   CutOff
	From, To uint32 // generations; From 0: all rows
	Before   []crypt.ContentID
}

func (h RunHead) encode() []byte {
	var w wire.Writer
	w.Raw([]byte(runMagic))
	w.U16(Version)
	w.Raw(h.Store[:])
	h.CutOff.encode(&w)
	w.U32(h.From)
	w.U32(h.To)
	w.U8(uint8(len(h.Before)))
	for _, c := range h.Before {
		w.Raw(c[:])
	}
	return w.B
}

// check says what contradicts itself in h.
func (h RunHead) check() error {
	seen := make(map[crypt.ContentID]bool, len(h.Before))
	for _, c := range h.Before {
		if seen[c] {
			return fmt.Errorf("a run before is named twice")
		}
		seen[c] = true
	}
	switch {
	case h.From > h.To:
		return fmt.Errorf("generations from %d to %d", h.From, h.To)
	case len(h.Before) >= MaxRuns:
		return fmt.Errorf("%d runs before; a checkpoint has at most %d", len(h.Before), MaxRuns)
	case (h.From == 0) != (len(h.Before) == 0):
		return fmt.Errorf("from generation %d with %d runs before; only a run from 0 stands alone", h.From, len(h.Before))
	}
	return nil
}

// readRunHead takes the fixed part of a head, and then the ids: each by one
// call of take, which fills a slice from the stream.
func readRunHead(take func([]byte) error) (RunHead, error) {
	fixed := make([]byte, runFixed)
	if err := take(fixed); err != nil {
		return RunHead{}, err
	}
	r := wire.NewReader(fixed)
	var magic [len(runMagic)]byte
	r.Raw(magic[:])
	if string(magic[:]) != runMagic {
		r.Fail("not a run")
	}
	if v := r.U16(); v != Version {
		r.Fail("format version %d, this release knows %d", v, Version)
	}
	var h RunHead
	r.Raw(h.Store[:])
	h.CutOff = readCutOff(r)
	h.From, h.To = r.U32(), r.U32()
	n := r.U8()
	if n >= MaxRuns {
		r.Fail("%d runs before", n)
	}
	if err := r.Done(); err != nil {
		return RunHead{}, err
	}
	for range n {
		var c crypt.ContentID
		if err := take(c[:]); err != nil {
			return RunHead{}, err
		}
		h.Before = append(h.Before, c)
	}
	if err := h.check(); err != nil {
		return RunHead{}, fmt.Errorf("head: %v: %w", err, cairn.ErrCorrupt)
	}
	return h, nil
}
