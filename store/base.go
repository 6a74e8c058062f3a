package store

import (
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/wire"
	"github.com/cairn-storage/cairn/pack"
)

// base is the checkpoint that the index goes on from, as the index keeps it
// beside the marks of what changed since. Where its packs stand is in their own
// rows, since that may change.
type base struct {
	written time.Time
	cut     pack.CutOff
	runs    []pack.CheckpointRun // oldest first, without Packs
}

const (
	baseVersion = 1
	maxRuns     = 1 << 10 // of a checkpoint; by their sizes there are never 64
)

func (b base) encode() []byte {
	w := wire.Writer{}
	w.U8(baseVersion)
	w.U64(uint64(b.written.UnixMilli()))
	w.U64(b.cut.Number)
	w.U32(b.cut.Last.Life)
	w.U64(b.cut.Last.LSN)
	w.Raw(b.cut.Seal[:])
	w.Uvarint(uint64(len(b.runs)))
	for _, r := range b.runs {
		w.U32(r.From)
		w.U32(r.To)
		w.U64(r.Rows)
		w.U64(r.CutOff)
		w.Bytes(pack.AppendParts(nil, []pack.Part{r.Part}))
	}
	return w.B
}

func parseBase(b []byte) (base, error) {
	r := wire.NewReader(b)
	if v := r.U8(); v != baseVersion {
		r.Fail("version %d", v)
	}
	out := base{written: time.UnixMilli(int64(r.U64()))}
	out.cut = pack.CutOff{Number: r.U64(), Last: cairn.Stamp{Life: r.U32(), LSN: r.U64()}}
	r.Raw(out.cut.Seal[:])
	for range r.Uvarint(maxRuns) {
		run := pack.CheckpointRun{From: r.U32(), To: r.U32(), Rows: r.U64(), CutOff: r.U64()}
		parts, err := pack.ParseParts(r.Bytes(1 << 24))
		if r.Err() != nil {
			break
		}
		if err != nil || len(parts) != 1 {
			r.Fail("a run is not one content")
			break
		}
		run.Part = parts[0]
		out.runs = append(out.runs, run)
	}
	if err := r.Done(); err != nil {
		return base{}, fmt.Errorf("store: base of the index: %w", err)
	}
	return out, nil
}

// packs are those that the checkpoint lies in.
func (b base) packs() map[cairn.PackID]bool {
	ids := make(map[cairn.PackID]bool)
	for _, r := range b.runs {
		for _, e := range r.Part.Extents {
			ids[e.Pack] = true
		}
	}
	return ids
}

// loadBase reads the base of the index, and which checkpoint packs stand that it
// does not name: a crash between a root and the index leaves some, and the root
// may name them, so that they go only with the next checkpoint. A base that does
// not parse is none: the next checkpoint then has all rows.
func (s *Store) loadBase() error {
	b, err := s.idx.Base()
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ckpt.base = base{written: time.Now()}
	if len(b) > 0 {
		if known, err := parseBase(b); err == nil {
			s.ckpt.base = known
			s.chain.done, s.chain.seal = known.cut.Number, known.cut.Seal
		} else {
			s.c.Log.Error("the next checkpoint has all rows", "err", err)
		}
	}
	ours := s.ckpt.base.packs()
	for row, err := range s.idx.Packs(cairn.PackID{}) {
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		switch id := row.Params.ID; {
		case row.Kind != pack.Checkpoint || row.State != index.Spread:
		case !ours[id]:
			s.ckpt.stale = append(s.ckpt.stale, id)
		case row.Params.Epoch != s.c.Epoch: // a new epoch was to end with a checkpoint
			s.ckpt.renew = true
		}
	}
	return nil
}

// places completes runs by where their packs stand now.
func (s *Store) places(runs []pack.CheckpointRun) ([]pack.CheckpointRun, error) {
	out := make([]pack.CheckpointRun, len(runs))
	for i, r := range runs {
		out[i] = r
		out[i].Packs = nil
		for _, e := range r.Part.Extents {
			row, err := s.idx.Pack(e.Pack)
			if err != nil {
				return nil, fmt.Errorf("store: checkpoint: %w", err)
			}
			out[i].Packs = append(out[i].Packs, pack.PackPlace{Params: row.Params, Bytes: row.Bytes, At: row.At})
		}
	}
	return out, nil
}
