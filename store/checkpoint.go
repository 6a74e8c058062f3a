package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/pack"
)

const (
	// checkpointPacks is how many log packs above the cut-off make a checkpoint
	// due before its time: what a recovery has to apply one by one.
	checkpointPacks = 64
	// viewMost is how long a view of the index waits for the packs that it names
	// to be spread; the rows it keeps from being dropped take room on the disk.
	viewMost = 10 * time.Minute
	// checkpointRetry is when a checkpoint that failed is tried again.
	checkpointRetry = time.Minute
)

// Checkpointed is what a checkpoint came to.
type Checkpointed struct {
	CutOff uint64 // number of the log pack that it is as of
	Full   bool   // it has all rows, not those that changed
	Rows   uint64 // written by this one
	Bytes  int64  // of the packs written
	Packs  int    // written
	Runs   int    // that the checkpoint consists of now
}

// errUnchanged is that no log pack was closed since the last checkpoint.
var errUnchanged = errors.New("nothing changed since the last checkpoint")

// checkpoints is what the store knows of its checkpoints.
type checkpoints struct {
	asks   chan *askCheckpoint
	poked  chan struct{} // room for one: a log pack was closed
	wanted atomic.Bool   // the committer is to take a view between two log packs
	taken  chan view     // room for one: that view

	// Guarded by Store.mu.
	base  base
	last  Checkpointed   // what it came to, where it was made in this life
	renew bool           // the next one has all rows: what it goes on from is of an earlier epoch
	tried time.Time      // of the last failure
	stale []cairn.PackID // checkpoint packs that the next checkpoint supersedes
	cut   uint64         // number of the log pack whose seal hash is wanted
	seal  crypt.Hash     // that, zero while it is not sealed
}

type askCheckpoint struct {
	ctx  context.Context
	out  Checkpointed
	err  error
	done chan struct{}
}

func newCheckpoints() checkpoints {
	return checkpoints{asks: make(chan *askCheckpoint), poked: make(chan struct{}, 1), taken: make(chan view, 1)}
}

// sealed notes the seal hash of a log pack if it is wanted; Store.mu is held.
func (c *checkpoints) sealed(number uint64, seal crypt.Hash) {
	if c.cut == number {
		c.seal = seal
	}
}

// Checkpoint makes a checkpoint of everything written until now: it closes the
// open log pack, waits until everything is spread, and returns when a root names
// the checkpoint. Where nothing changed it does nothing and returns what the
// last one came to, of one of an earlier life only what it is as of. ErrInvalid where the store keeps no roots.
func (s *Store) Checkpoint(ctx context.Context) (Checkpointed, error) {
	if s.c.Roots == nil {
		return Checkpointed{}, fmt.Errorf("store: checkpoint: this store keeps no roots: %w", cairn.ErrInvalid)
	}
	if err := s.writable(); err != nil {
		return Checkpointed{}, err
	}
	a := &askCheckpoint{ctx: ctx, done: make(chan struct{})}
	select {
	case s.ckpt.asks <- a:
	case <-ctx.Done():
		return Checkpointed{}, fmt.Errorf("store: checkpoint: %w: %w", ctx.Err(), cairn.ErrUnavailable)
	case <-s.pub.Done():
		return Checkpointed{}, s.ended()
	}
	<-a.done // ends with ctx or the store
	return a.out, a.err
}

// ended is why nothing is written to nodes any more.
func (s *Store) ended() error {
	if err := s.writable(); err != nil {
		return err
	}
	return s.closing()
}

// checkpointer makes checkpoints, one at a time, until ctx ends.
func (s *Store) checkpointer(ctx context.Context) {
	for ctx.Err() == nil {
		t := time.NewTimer(s.untilCheckpoint(time.Now()))
		select {
		case a := <-s.ckpt.asks:
			s.answer(ctx, a)
		case <-t.C:
			s.regular(ctx)
		case <-s.ckpt.poked:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

func (s *Store) answer(ctx context.Context, a *askCheckpoint) {
	defer close(a.done)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.ctx, cancel)()
	a.out, a.err = s.checkpoint(ctx)
	if errors.Is(a.err, errUnchanged) {
		a.err = nil
	}
	if a.err != nil && ctx.Err() != nil && a.ctx.Err() == nil {
		a.err = s.ended()
	}
}

// regular makes the checkpoint that is due.
func (s *Store) regular(ctx context.Context) {
	out, err := s.checkpoint(ctx)
	switch {
	case err == nil:
		s.c.Log.Info("checkpoint", "cut_off", out.CutOff, "rows", out.Rows, "bytes", out.Bytes, "packs", out.Packs, "full", out.Full)
		return
	case errors.Is(err, errUnchanged) || ctx.Err() != nil:
		return
	}
	s.c.Log.Warn("no checkpoint could be made; it is tried again", "again_in", checkpointRetry, "err", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ckpt.tried = time.Now()
}

// untilCheckpoint is how long it is until the next checkpoint is due, as far as
// is known now: the end of a log pack may change it.
func (s *Store) untilCheckpoint(now time.Time) time.Duration {
	const never = 1000 * time.Hour
	s.mu.Lock()
	defer s.mu.Unlock()
	above := s.aboveCutOff()
	if above == 0 && !s.ckpt.renew || s.chain.next == 1 || s.err() != nil {
		return never
	}
	wait := s.ckpt.base.written.Add(s.c.CheckpointEvery).Sub(now)
	if above >= checkpointPacks {
		wait = 0
	}
	if !s.ckpt.tried.IsZero() {
		wait = max(wait, s.ckpt.tried.Add(checkpointRetry).Sub(now))
	}
	return max(wait, 0)
}

// aboveCutOff is how many log packs were closed after the one that the newest
// checkpoint is as of; s.mu is held.
func (s *Store) aboveCutOff() uint64 {
	closed := s.chain.next - 1
	for _, p := range s.packs {
		if p.file.Kind == pack.Log && p.phase == writing && p.why == nil {
			closed = min(closed, p.file.Number-1)
		}
	}
	return closed - min(closed, s.ckpt.base.cut.Number)
}
