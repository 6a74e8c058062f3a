package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/pack"
	"golang.org/x/sync/errgroup"
)

// FindCheckpoint looks for the newest complete checkpoint on the nodes of the
// fleet, for when no root is left: the packs of checkpoints say of themselves
// what they are part of, and each run which runs it completes. It reads tail and
// contents of every pack there is, and the checkpoint it returns whole.
// ErrNotExist where none is complete. Nodes that do not answer are not waited
// for; a checkpoint of which they have too much is passed over.
func FindCheckpoint(ctx context.Context, c Config) (cut pack.CutOff, runs []pack.CheckpointRun, err error) {
	if err := c.defaults(); err != nil {
		return cut, nil, err
	}
	r := &recovering{c: &c, rep: &Recovered{}}
	r.found, r.why = c.Nodes.Survey(ctx)
	some, err := r.findRuns(ctx)
	if err != nil {
		return cut, nil, fmt.Errorf("store: find a checkpoint: %w", err)
	}
	newest := make([]*foundRun, 0, len(some))
	for _, f := range some {
		newest = append(newest, f)
	}
	slices.SortFunc(newest, func(a, b *foundRun) int {
		return cmp.Or(cmp.Compare(b.head.CutOff.Number, a.head.CutOff.Number), cmp.Compare(b.head.To, a.head.To))
	})
	for _, f := range newest {
		runs, err := r.wholeCheckpoint(ctx, f, some)
		if err == nil {
			return f.head.CutOff, runs, nil
		}
		if ctx.Err() != nil {
			return cut, nil, ctx.Err()
		}
		c.Log.Warn("a checkpoint is not whole", "cut_off", f.head.CutOff.Number, "err", err)
	}
	return cut, nil, fmt.Errorf("store: no node has a complete checkpoint: %w", errors.Join(cairn.ErrNotExist, r.why))
}

// foundRun is a run of which all parts were seen.
type foundRun struct {
	pack.CheckpointRun
	head pack.RunHead
}

// runPiece is one pack of a run.
type runPiece struct {
	place       pack.PackPlace
	run         pack.Run
	part, total uint32
	cutOff      uint64
}

// findRuns returns the runs of which every part is listed and whose head opens.
func (r *recovering) findRuns(ctx context.Context) (map[crypt.ContentID]*foundRun, error) {
	pieces, err := r.runPieces(ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[crypt.ContentID]*foundRun)
	for id, some := range pieces {
		slices.SortFunc(some, func(a, b runPiece) int { return cmp.Compare(a.part, b.part) })
		f := &foundRun{CheckpointRun: pack.CheckpointRun{Part: pack.Part{ID: id}}}
		whole := int(some[len(some)-1].total) == len(some)
		for i, p := range some {
			whole = whole && int(p.part) == i+1 && p.run.First*pack.FrameSize == f.Part.Size
			f.Part.Size += p.run.Length
			f.Part.Extents = append(f.Part.Extents, pack.Extent{Pack: p.place.Params.ID, Offset: p.run.Offset, Length: p.run.Length})
			f.Packs, f.CutOff = append(f.Packs, p.place), p.cutOff
		}
		if !whole {
			continue
		}
		rd := r.openRun(ctx, f.CheckpointRun)
		run, err := pack.NewRunReader(rd)
		if err == nil {
			f.head = run.Head()
			f.From, f.To = f.head.From, f.head.To
			out[id] = f
		} else {
			r.c.Log.Warn("a run of a checkpoint cannot be read", "err", err)
		}
		rd.close()
	}
	return out, ctx.Err()
}

// runPieces reads the contents of all packs and keeps those of checkpoints, by
// run.
func (r *recovering) runPieces(ctx context.Context) (map[crypt.ContentID][]runPiece, error) {
	var mu sync.Mutex
	out := make(map[crypt.ContentID][]runPiece)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(gatherWidth)
	for id, at := range r.found {
		g.Go(func() error {
			t, c, err := r.contents(gctx, id)
			if err := gctx.Err(); err != nil {
				return err
			}
			if err != nil { // as if it were not there
				r.c.Log.Warn("a pack cannot be read", "pack", id, "err", err)
				return nil
			}
			if c.Kind != pack.Checkpoint || len(c.Runs) != 1 {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			p := runPiece{pack.PackPlace{Params: t.Params, Bytes: c.Length, At: at}, c.Runs[0], c.Part, c.Total, c.CutOff}
			out[c.Runs[0].Content] = append(out[c.Runs[0].Content], p)
			return nil
		})
	}
	return out, g.Wait()
}

// wholeCheckpoint returns the runs that make a checkpoint with f, oldest first,
// each read to its verified end.
func (r *recovering) wholeCheckpoint(ctx context.Context, f *foundRun, some map[crypt.ContentID]*foundRun) ([]pack.CheckpointRun, error) {
	var runs []pack.CheckpointRun
	for _, id := range append(slices.Clone(f.head.Before), f.Part.ID) {
		run := some[id]
		if run == nil {
			return nil, fmt.Errorf("a run that it goes on from is not there: %w", cairn.ErrNotExist)
		}
		rows, err := r.count(ctx, run.CheckpointRun)
		if err != nil {
			return nil, err
		}
		run.Rows = rows
		runs = append(runs, run.CheckpointRun)
	}
	return runs, nil
}

func (r *recovering) count(ctx context.Context, run pack.CheckpointRun) (rows uint64, err error) {
	rd := r.openRun(ctx, run)
	defer rd.close()
	in, err := pack.NewRunReader(rd)
	for err == nil {
		if _, err = in.Next(); err == nil {
			rows++
		}
	}
	if errors.Is(err, io.EOF) {
		return rows, nil
	}
	return 0, err
}
