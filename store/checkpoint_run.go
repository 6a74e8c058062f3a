package store

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store/stage"
)

// runWriter seals a run into checkpoint packs, through stages like any other
// pack.
type runWriter struct {
	s      *Store
	ctx    context.Context // of the checkpoint, which the writer does not outlive
	cutOff uint64

	part  pack.Part
	buf   []byte // not sealed yet; the last of it only at the end, since it is marked
	open  *staged
	off   uint32
	first uint64 // frame number of the open pack's first
	ids   []cairn.PackID
	packs []*staged
	bytes int64
}

// run writes the rows of v marked from generation from on.
func (w *runWriter) run(v view, before []pack.CheckpointRun, from uint32) (pack.CheckpointRun, error) {
	var err error
	if w.part.ID, err = newContentID(); err != nil {
		return pack.CheckpointRun{}, err
	}
	head := pack.RunHead{Store: w.s.c.Store, CutOff: v.cut, From: from, To: v.snap.Generation()}
	for _, r := range before {
		head.Before = append(head.Before, r.Part.ID)
	}
	rows, err := pack.NewRunWriter(w, head)
	if err != nil {
		return pack.CheckpointRun{}, fmt.Errorf("store: checkpoint: %w", err)
	}
	for row, err := range v.snap.Rows(from) {
		if err != nil {
			return pack.CheckpointRun{}, fmt.Errorf("store: checkpoint: %w", err)
		}
		if err := rows.Add(row); err != nil {
			return pack.CheckpointRun{}, fmt.Errorf("store: checkpoint: %w", err)
		}
	}
	if err := rows.Close(); err != nil {
		return pack.CheckpointRun{}, fmt.Errorf("store: checkpoint: %w", err)
	}
	if err := w.seal(w.buf, true); err != nil {
		return pack.CheckpointRun{}, err
	}
	return pack.CheckpointRun{From: from, To: head.To, Rows: rows.Rows(), CutOff: v.cut.Number, Part: w.part}, nil
}

// runGather is how much of a run is gathered before it is sealed, bytes.
const runGather = 16 * pack.FrameSize

// Write is for the run writer.
func (w *runWriter) Write(b []byte) (int, error) {
	w.buf = append(w.buf, b...)
	if len(w.buf) <= runGather {
		return len(b), nil
	}
	n := (len(w.buf) - 1) / pack.FrameSize * pack.FrameSize
	if err := w.seal(w.buf[:n], false); err != nil {
		return 0, err
	}
	w.buf = append(w.buf[:0], w.buf[n:]...)
	return len(b), nil
}

// seal appends frames of plain, whole ones but at the end, to the open pack and
// to as many more as it takes.
func (w *runWriter) seal(plain []byte, end bool) error {
	for len(plain) > 0 {
		if err := w.ensure(); err != nil {
			return err
		}
		room := stage.MaxFrames(w.open.file.Capacity)*pack.FrameSize - int(w.length())
		n := min(len(plain), room)
		number := w.first + w.length()/pack.FrameSize
		last := end && n == len(plain)
		sealed := pack.SealFrames(nil, w.open.key, uint64(w.off), w.part.ID, number, plain[:n], last)
		if err := w.open.file.WriteAt(sealed, w.off); err != nil {
			return diskError(err)
		}
		plain = plain[n:]
		w.off += uint32(len(sealed))
		w.part.Size += uint64(n)
		if last || n == room {
			if err := w.close(last); err != nil {
				return err
			}
		}
	}
	return nil
}

// length is how many bytes of plaintext the open pack has.
func (w *runWriter) length() uint64 { return w.part.Size - w.first*pack.FrameSize }

func (w *runWriter) ensure() error {
	if w.open != nil {
		return nil
	}
	if err := w.s.room(w.ctx, int64(w.s.c.PackSize)); err != nil {
		return err
	}
	w.off, w.first = 0, w.part.Size/pack.FrameSize
	p, err := w.s.newStage(pack.Checkpoint, w.s.com.life.number, (*crypt.ContentID)(&w.part.ID), w.first)
	if err != nil {
		return err
	}
	w.open, w.ids, w.packs = p, append(w.ids, p.id()), append(w.packs, p)
	return nil
}

// close makes the open pack durable and hands it to the spreader. Only the last
// part knows how many there are.
func (w *runWriter) close(last bool) error {
	p := w.open
	if err := p.file.Sync(); err != nil {
		return diskError(err)
	}
	n := w.length()
	p.part, p.cutOff = uint32(len(w.ids)), w.cutOff
	if last {
		p.total = p.part
	}
	w.part.Extents = append(w.part.Extents, pack.Extent{Pack: p.id(), Length: n})
	w.bytes += int64(w.off)
	w.open = nil
	w.s.closeData(p, w.off, pack.Run{Content: w.part.ID, First: w.first, Length: n, End: last})
	return nil
}

// spread reports whether all packs are spread, or why one is not; Store.mu is
// held.
func (w *runWriter) spread() (bool, error) {
	for _, p := range w.packs {
		if p.phase < spread {
			return false, p.why
		}
	}
	return true, nil
}
