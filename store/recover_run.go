package store

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

const (
	runWindow = 16 // frames of a run that are read at a time: 1 MiB
	runWidth  = 8  // such reads under way, of one run
)

// load fills the empty index with the rows of the checkpoint.
func (r *recovering) load(ctx context.Context) error {
	if len(r.base.Runs) == 0 {
		return nil
	}
	packs := 0
	for _, run := range r.base.Runs {
		packs += len(run.Packs)
	}
	r.begin("checkpoint", packs)
	runs := make([]*runReader, 0, len(r.base.Runs))
	defer func() {
		for _, run := range runs {
			run.close()
		}
	}()
	readers := make([]*pack.RunReader, 0, len(r.base.Runs))
	for i, of := range r.base.Runs {
		run := r.openRun(ctx, of)
		runs = append(runs, run)
		rd, err := pack.NewRunReader(run)
		if err != nil {
			return fmt.Errorf("run %d of the checkpoint: %w", i+1, err)
		}
		if h := rd.Head(); h.Store != r.c.Store || h.From != of.From || h.To != of.To || h.CutOff.Number > r.base.CutOff.Number {
			return fmt.Errorf("run %d of the checkpoint is of generations %d to %d, named as %d to %d: %w", i+1, h.From, h.To, of.From, of.To, cairn.ErrCorrupt)
		}
		readers = append(readers, rd)
	}
	err := r.idx.Load(func(yield func(pack.Row, error) bool) {
		for row, err := range pack.MergeRuns(readers...) {
			if err == nil {
				r.step.Objects++
				if r.step.Objects%20_000 == 0 {
					r.tell()
				}
			}
			if !yield(row, err) {
				return
			}
		}
	})
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	r.rep.Rows = r.step.Objects
	for _, run := range r.base.Runs {
		r.step.Bytes += uint64(pack.SealedLength(int64(run.Part.Size)))
		r.step.Packs += uint64(len(run.Packs))
	}
	newest := r.base.Runs[len(r.base.Runs)-1]
	known := base{written: time.Now(), cut: r.base.CutOff, runs: r.base.Runs}
	if err := r.idx.Checkpointed(0, newest.To, known.encode()); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err := r.idx.SetPack(r.unlisted()...); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	r.saw(r.base.CutOff.Last)
	r.end()
	return nil
}

// unlisted are rows of the checkpoint's own packs that no node lists just now and
// no stage has: the checkpoint does not know them itself, as it was written
// before them, and the next root has to say where they stand.
func (r *recovering) unlisted() (rows []index.PackRow) {
	for _, run := range r.base.Runs {
		for _, p := range run.Packs {
			if id := p.Params.ID; !r.here[id] && len(r.found[id]) == 0 {
				rows = append(rows, index.PackRow{Params: p.Params, Kind: pack.Checkpoint, Bytes: p.Bytes, State: index.Spread, At: r.union(p.At, nil)})
			}
		}
	}
	return rows
}

// runReader is the plaintext of a run, read ahead over packs.
type runReader struct {
	*io.PipeReader
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func (r *runReader) close() {
	r.cancel()
	_ = r.Close() // ends the writer, never fails
	r.wg.Wait()
}

// openRun reads a run from where its packs stand: where the root says, and where
// they are listed.
func (r *recovering) openRun(ctx context.Context, run pack.CheckpointRun) *runReader {
	ctx, cancel := context.WithCancel(ctx)
	pr, pw := io.Pipe()
	out := &runReader{PipeReader: pr, cancel: cancel}
	at := make(map[cairn.PackID]pack.PackPlace, len(run.Packs))
	for _, p := range run.Packs {
		p.At = r.union(p.At, slices.Concat(r.found[p.Params.ID], r.stagedAt[p.Params.ID]))
		at[p.Params.ID] = p
	}
	windows := runWindows(run.Part)
	out.wg.Go(func() {
		err := inOrder(ctx, runWidth, len(windows), func(ctx context.Context, i int) ([]byte, error) {
			return r.c.openWindow(ctx, at[windows[i].ext.Pack], run.Part, windows[i])
		}, func(_ int, b []byte) error {
			_, err := pw.Write(b)
			return err
		})
		pw.CloseWithError(err) // io.EOF for nil
	})
	return out
}

// runPart is a window of a run: frames that lie together in one pack.
type runPart struct {
	ext   pack.Extent
	first uint64 // frame number
}

func runWindows(p pack.Part) (out []runPart) {
	var done uint64
	for _, e := range p.Extents {
		for off := uint64(0); off < e.Length; off += runWindow * pack.FrameSize {
			n := min(e.Length-off, runWindow*pack.FrameSize)
			out = append(out, runPart{first: (done + off) / pack.FrameSize,
				ext: pack.Extent{Pack: e.Pack, Offset: e.Offset + uint32(pack.SealedLength(int64(off))), Length: n}})
		}
		done += e.Length
	}
	return out
}

// openWindow returns the plaintext of w, every frame of it authenticated.
func (c *Config) openWindow(ctx context.Context, p pack.PackPlace, part pack.Part, w runPart) ([]byte, error) {
	epoch, ok := c.Epochs[p.Params.Epoch]
	if !ok {
		return nil, fmt.Errorf("pack %v: no key for epoch %d: %w", p.Params.ID, p.Params.Epoch, cairn.ErrDenied)
	}
	n := pack.SealedLength(int64(w.ext.Length))
	if uint64(w.ext.Offset)+uint64(n) > uint64(p.Bytes) {
		return nil, fmt.Errorf("pack %v: %d bytes at %d of %d: %w", p.Params.ID, n, w.ext.Offset, p.Bytes, cairn.ErrCorrupt)
	}
	b := make([]byte, n)
	if err := c.Nodes.Read(ctx, p.Params, p.At, uint64(w.ext.Offset), b, 0); err != nil {
		return nil, fmt.Errorf("pack %v: %w", p.Params.ID, err)
	}
	plain, _, err := openExtent(epoch.Pack(p.Params.ID, p.Params.Prefix), make([]byte, 0, w.ext.Length), b, part, w.ext, w.first)
	if err != nil {
		return nil, fmt.Errorf("pack %v: %w", p.Params.ID, err)
	}
	return plain, nil
}

// inOrder calls get for 0 to n-1, width of them at a time, and use with what
// they gave, in order, one at a time. The first error ends it.
func inOrder[T any](ctx context.Context, width, n int, get func(context.Context, int) (T, error), use func(int, T) error) error {
	type result struct {
		value T
		err   error
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := make(chan chan result, max(width-2, 0)) // one more is being used, one waits to be queued
	wg.Go(func() {
		defer close(queue)
		for i := range n {
			ch := make(chan result, 1)
			wg.Go(func() {
				v, err := get(ctx, i)
				ch <- result{v, err}
			})
			select {
			case queue <- ch:
			case <-ctx.Done():
				return
			}
		}
	})
	i := 0
	for ch := range queue {
		got := <-ch
		if got.err != nil {
			return got.err
		}
		if err := use(i, got.value); err != nil {
			return err
		}
		i++
	}
	if i < n { // the queue ends early only with ctx
		return ctx.Err()
	}
	return nil
}
