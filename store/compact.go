package store

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// Compaction says what to rewrite.
type Compaction struct {
	// Want chooses: it sees the row of a pack that objects lie in, and how many of
	// its bytes are live. It must not call the store.
	Want   func(row index.PackRow, live uint64) bool
	DryRun bool // only count
	// Traffic bounds what is moved with nodes; nil does not. Where it allows no
	// more the compaction ends.
	Traffic Traffic
	// Urgent writes also what nodes without room for user data need their reserve
	// for: deletes may not go through afterwards. It does not wait for clients
	// either.
	Urgent bool
	// most is how many live bytes are written anew at most, 0 for all.
	most uint64
}

// Compacted is what a compaction did so far.
type Compacted struct {
	Packs   int   `json:"packs"` // emptied
	Of      int   `json:"of"`    // chosen
	Live    int64 `json:"live_bytes"`
	Freed   int64 `json:"freed_bytes"` // of pack bytes, in packs that nothing refers to now
	Waiting int   `json:"waiting"`     // packs that uploads in progress hold
	Dear    int   `json:"dear"`        // packs whose nodes have no traffic left for it this month
	Left    int   `json:"left"`        // packs that the nodes, full as they are, have no room to write anew
	Moved   int   `json:"moved"`       // records
	Made    int   `json:"made"`        // packs written
	LiveOf  int64 `json:"live_of_bytes"`
}

// Compact rewrites the live frames of the packs that c wants into new packs of
// today's coding and epoch, and logs for every version where it lies now. It
// deletes nothing: a pack that nothing refers to any more is collected in the
// ordinary way. Packs that hold parts of uploads in progress are left alone and
// counted. progress, where not nil, is told after every step.
//
// It may be ended at any moment and done again: what is moved is moved, and the
// rest is found again.
//
// Order, and what a crash leaves after each step:
//
//  1. frames sealed into stages, durable: stages that nothing names, abandoned
//  2. spread, n shards each verified, and known to the index: packs that nothing
//     refers to, collected
//  3. moves, durable in the log, then applied: versions that lie there or here,
//     both of which stand
//
// So at every moment every version lies in packs that stand.
func (s *Store) Compact(ctx context.Context, c Compaction, progress func(Compacted)) (out Compacted, err error) {
	if err := s.writable(); err != nil {
		return out, err
	}
	select { // one at a time
	case s.compacting <- struct{}{}:
		defer func() { <-s.compacting }()
	case <-ctx.Done():
		return out, fmt.Errorf("store: compact: %w: %w", ctx.Err(), cairn.ErrUnavailable)
	case <-s.pub.Done():
		return out, s.ended()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.pub, cancel)()
	k := &compaction{s: s, ctx: ctx, c: c, tell: progress, quiet: c.most > 0, live: &liveReader{s: s}}
	err = k.all()
	if err != nil && ctx.Err() != nil && s.pub.Err() != nil {
		err = s.ended()
	}
	return k.out, err
}

// compaction is one under way.
type compaction struct {
	s    *Store
	ctx  context.Context // of the compaction
	c    Compaction
	tell func(Compacted) // may be nil
	live *liveReader
	w    *rewriter
	m    *mover
	// begun are the packs that are not empty yet, since what lies in the open pack of
	// w is not moved yet.
	begun []begun
	out   Compacted
	// quiet: it was asked for no more than fits, so what is left is no failure
	quiet bool
}

// progress tells how far it is.
func (k *compaction) progress() {
	if !k.c.DryRun {
		k.s.mu.Lock()
		k.s.compacted = k.out
		k.s.mu.Unlock()
	}
	if k.tell != nil {
		k.tell(k.out)
	}
}

func (k *compaction) all() error {
	all, err := k.choose()
	if err != nil {
		return err
	}
	k.out.Of = len(all)
	for _, p := range all {
		k.out.LiveOf += int64(p.live)
	}
	k.progress()
	if k.c.DryRun {
		return nil
	}
	k.w = &rewriter{s: k.s, ctx: k.ctx, traffic: k.c.Traffic, urgent: k.c.Urgent}
	defer k.w.done()
	k.m = &mover{s: k.s, to: make(map[place][]pack.Extent), from: make(map[cairn.PackID]bool)}
	for len(all) > 0 {
		if err := k.limit(); err != nil {
			return err
		}
		if all = k.fitting(all); len(all) == 0 {
			break
		}
		n, sum, count := 1, all[0].live, all[0].count
		for n < len(all) && sum+all[n].live <= k.window() && count+all[n].count <= windowObjects {
			sum, count = sum+all[n].live, count+all[n].count
			n++
		}
		if err := k.rewrite(all[:n]); err != nil {
			return err
		}
		all = all[n:]
		if err := k.settle(len(all) == 0 || k.s.c.Nodes.Full()); err != nil {
			return err
		}
		if k.c.most > 0 {
			if k.c.most -= min(sum, k.c.most); k.c.most == 0 {
				k.out.Left += len(all)
				break
			}
		}
		k.progress()
	}
	if len(k.begun) > 0 {
		if err := k.settle(true); err != nil {
			return err
		}
	}
	if k.out.Left > 0 && !k.quiet {
		return fmt.Errorf("store: compact: %d packs are left: the nodes are full, and the rest of their reserve is for deletes; go on when room came back, or add a node: %w", k.out.Left, cairn.ErrFull)
	}
	return nil
}

// windowObjects bounds what is remembered of a window: names of objects, and
// where extents lie now.
const windowObjects = 100_000

// windowMost is the window of a stage that is not small, bytes: two minutes of a
// line of 1 MB/s, coded 2+2, and four packs, so that the list of an object of
// 1 TiB, 2 MiB, that is written for each window adds a thirtieth.
const windowMost = 64 << 20

// window is how many live bytes are rewritten before their moves are logged: what
// of them is staged at a time, what a large object's list is written once for,
// and, with one pack more, what a gateway that is killed meanwhile has to do again.
// Nodes without room for user data have little of their reserve left: what fits is
// done then, and is done for good.
func (k *compaction) window() uint64 {
	if k.s.c.Nodes.Full() {
		return uint64(k.s.c.PackSize)
	}
	return uint64(max(min(k.s.c.StageLimit/8, windowMost), int64(k.s.c.PackSize)))
}
