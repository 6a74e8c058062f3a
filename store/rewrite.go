package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/pack"
)

const (
	rewriteWindow = 16 // frames that are read, opened and sealed at a time: 1 MiB
	// rewriteRuns bounds the runs of one pack: each takes about 30 bytes of the
	// contents, which every shard holds whole.
	rewriteRuns = 4000
)

// rewriter seals live frames into new packs of moved frames, under the present epoch and as
// the present coding has it. What a frame is bound to, content, number and
// whether it is the last, stays. Packs are owned until done.
type rewriter struct {
	s       *Store
	ctx     context.Context // of the compaction
	traffic Traffic         // may be nil
	urgent  bool            // clients do not go first
	coming  []liveExtent    // of the same pack, what is moved after the extent at hand
	window  readWindow
	open    *staged
	off     uint32
	synced  uint32 // of it
	runs    []pack.Run
	made    []*staged
	ids     []cairn.PackID
	size    int64 // bytes of the packs made
}

// extent seals e anew and returns where it lies now. Small ones are kept whole,
// so that reading one stays one request.
func (w *rewriter) extent(e liveExtent) (out []pack.Extent, err error) {
	whole := pack.SealedLength(int64(e.length))
	if w.open != nil && int64(w.off)+whole > int64(w.open.file.Capacity) && e.length <= uint64(w.s.c.PackSize/4) {
		if err := w.close(); err != nil {
			return nil, err
		}
	}
	for done := uint64(0); done < e.length; {
		if err := w.ensure(min(e.length-done, pack.FrameSize)); err != nil {
			return nil, err
		}
		at := w.off
		n, err := w.fill(e, done)
		if err != nil {
			return nil, err
		}
		first := e.first + done/pack.FrameSize
		w.runs = append(w.runs, pack.Run{Content: e.content, First: first, Offset: at, Length: n, End: first*pack.FrameSize+n == e.size})
		out = append(out, pack.Extent{Pack: w.open.id(), Offset: at, Length: n})
		done += n
	}
	return out, nil
}

// ensure opens a pack that has room for a frame of n bytes of plaintext.
func (w *rewriter) ensure(n uint64) error {
	if w.open != nil && (int64(w.off)+int64(n)+crypt.Overhead > int64(w.open.file.Capacity) || len(w.runs) >= rewriteRuns) {
		if err := w.close(); err != nil {
			return err
		}
	}
	if w.open != nil {
		return nil
	}
	if err := w.standing(w.made, aheadOfNodes); err != nil {
		return err
	}
	if err := w.s.roomWithin(w.ctx, int64(w.s.c.PackSize), 100); err != nil {
		return err
	}
	p, err := w.s.newStage(pack.Moved, w.s.com.life.number, nil, 0)
	if err != nil {
		return err
	}
	w.open, w.off, w.synced, w.runs = p, 0, 0, nil
	w.made, w.ids = append(w.made, p), append(w.ids, p.id())
	return nil
}

// fill copies frames of e from byte done of it on, as many as the open pack
// takes, and returns how many bytes of plaintext that is.
func (w *rewriter) fill(e liveExtent, done uint64) (n uint64, err error) {
	last := (e.size - 1) / pack.FrameSize
	for n < e.length-done {
		fits := uint64(w.open.file.Capacity-w.off) / pack.SealedSize * pack.FrameSize
		step := min(e.length-done-n, rewriteWindow*pack.FrameSize, fits)
		if rest := e.length - done - n; rest < pack.FrameSize && int64(w.off)+int64(rest)+crypt.Overhead <= int64(w.open.file.Capacity) {
			step = rest // the short frame at the end
		}
		if step == 0 {
			break
		}
		if err := w.ctx.Err(); err != nil {
			return n, fmt.Errorf("store: compact: %w: %w", err, cairn.ErrUnavailable)
		}
		plain, number, err := w.read(e, done+n, step)
		if err != nil {
			return n, err
		}
		end := number+(step-1)/pack.FrameSize == last
		sealed := pack.SealFrames(nil, w.open.key, uint64(w.off), e.content, number, plain, end)
		if err := w.open.file.WriteAt(sealed, w.off); err != nil {
			return n, diskError(err)
		}
		w.off += uint32(len(sealed))
		n += step
		if w.off-w.synced >= w.step() {
			if err := w.sync(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// close makes the open pack durable and hands it to the spreader.
func (w *rewriter) close() error {
	p := w.open
	if err := w.sync(); err != nil {
		return err
	}
	if err := w.spendPuts(w.off); err != nil {
		return err
	}
	w.open, p.traffic, p.gentle = nil, w.traffic, !w.urgent
	w.size += int64(w.off)
	w.s.closeData(p, w.off, w.runs...)
	return nil
}

// spread waits until all packs that were made, but the open one unless it is
// closed for the last time, stand on nodes, and hands them over: only then may a
// record name them, since a start that finds a stage of several contents must not
// depend on the record to know them.
func (w *rewriter) spread(last bool) (made []cairn.PackID, err error) {
	if last && w.open != nil {
		if err := w.close(); err != nil {
			return nil, err
		}
	}
	n := len(w.made)
	if w.open != nil {
		n-- // it is the newest
	}
	if err := w.standing(w.made[:n], 0); err != nil {
		return nil, err
	}
	made = w.ids[:n:n]
	w.made, w.ids = w.made[n:], w.ids[n:]
	return made, nil
}

// standing waits until all packs of made but most stand on nodes.
func (w *rewriter) standing(made []*staged, most int) error {
	ctx, cancel := context.WithTimeout(w.ctx, viewMost)
	defer cancel()
	return w.s.until(ctx, func() (bool, error) {
		left := 0
		var why error
		for _, p := range made {
			if p.phase < spread {
				left++
				why = errors.Join(why, p.why)
			}
		}
		return left <= most, why
	})
}

// openID is the pack that is open, if any.
func (w *rewriter) openID() (id cairn.PackID) {
	if w.open != nil {
		id = w.open.id()
	}
	return id
}

// done gives up what was made and not handed over.
func (w *rewriter) done() {
	w.s.abandon(w.ids)
	w.s.disown(w.ids)
}
