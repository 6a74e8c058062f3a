// Package store is the object engine: what a client puts is sealed into the
// stage, made durable with one fsync for many, named by the index, coded,
// spread, and read back.
//
// Reading order: api.go and api_upload.go (what the gateway sees), config.go,
// nodes.go and store.go (what an engine is made of), open.go, load.go, replay.go
// and where.go (start), put.go, large.go, copy.go and tags.go (writes),
// upload.go, part.go, complete.go and expire.go (multipart uploads), commit.go,
// group.go, txn.go and version.go (the committer), staged.go and finish.go (packs
// on this disk), spread.go, seal.go, scatter.go, release.go, released.go and
// local.go (packs leaving it), journal.go, journal_scatter.go,
// journal_batch.go, journal_wait.go, journal_seal.go, journal_ack.go,
// journal_retire.go, journal_recover.go and journal_restage.go (writes answered
// only when they stand on nodes), get.go and window.go (reads), bucket.go,
// setting.go, access.go and node.go (state), rebuild.go (the index made again)
// and rebuild_base.go, roots.go, checkpoint.go, checkpoint_view.go,
// checkpoint_write.go, checkpoint_run.go, checkpoint_weak.go and base.go (what
// survives this machine), recover.go, recover_report.go, recover_look.go,
// recover_read.go, recover_run.go, recover_chain.go, recover_log.go,
// recover_journal.go and recover_find.go (the index made from nodes alone),
// place.go (what whoever looks after shards may ask and change), compactor.go,
// compact.go, compact_choose.go, compact_settle.go, traffic.go, rewrite.go,
// rewrite_read.go, move.go and gentle.go (packs written anew), purge.go, purge_find.go and purge_remove.go (a secret that
// leaked), keyring.go, halt.go, pressure.go and quota.go (limits), status.go
// and usage.go (figures).
//
// The order of durable steps, of which everything else is a consequence:
//
//  1. frames, then the record that names them, in one group, one fsync;
//     bytes in other stages are fsynced before (group.go)
//  2. the index, unsynced; then the answer (group.go)
//  3. seal: contents and trailer fsynced in the stage (seal.go)
//  4. intent fsynced, then shards, each verified by a read of its tail (fleet)
//  5. the index flushed, how far the log went noted (released.go), and only then
//     the stage released (release.go)
//
// With ack = "spread" a write is answered after a step more than 2: the packs
// that it names stand, then a journal of its records (journal.go).
//
// So a crash can only leave too much, never too little. store knows no S3 and
// no transport.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/index"
	"golang.org/x/sync/semaphore"
)

// counter is an exact count.
type counter = atomic.Uint64

// Store is an open object engine. All methods are safe for concurrent use.
type Store struct {
	c    Config // never changes
	lock io.Closer
	m    *metrics
	mem  *semaphore.Weighted // bytes of bodies in memory

	// idx is replaced by nobody while the store is open.
	idx *index.Index

	com     committer
	clients presence
	jour    *journaler

	mu      sync.Mutex
	packs   map[cairn.PackID]*staged // on this disk, nil once closed; guarded by mu
	chain   chain                    // of log packs; guarded by mu
	seqTop  uint64                   // highest pack sequence handed out; guarded by mu
	used    int64                    // bytes of stage files; guarded by mu
	moving  *staged                  // the gentle pack that a spreader has; guarded by mu
	nSpread int                      // packs that the index knows as spread; guarded by mu
	noted   uint64                   // as readReleased has it; of start and then the releaser's
	onNodes map[cairn.NodeID]int64   // bytes of the spread packs' files; guarded by mu
	damage  []string                 // found at start; guarded by mu
	eased   chan struct{}            // closed and replaced when the stage shrinks; guarded by mu
	kicked  chan struct{}            // room for one: wakes the spreader
	ahead   readAhead
	turn    chan struct{} // held by whoever tells the fleet of its nodes
	ckpt    checkpoints
	keys    keyring
	owned   map[cairn.PackID]bool        // data packs of writes under way; guarded by mu
	marks   map[cairn.PackID]cairn.Stamp // newest record when a pack was seen dead; guarded by mu
	doomed  Doomed                       // as the last collection left it; guarded by mu
	// compacted is what the compaction under way, or the last one, has done;
	// guarded by mu.
	compacted Compacted
	pins      pins

	clock      Clock
	ownClock   io.Closer     // nil where the clock is somebody else's, or there is none
	collecting chan struct{} // held by whoever collects
	compacting chan struct{} // held by whoever compacts
	grace      *grace        // of whoever collects
	unseen     *unseen

	rootTurn chan struct{} // held by whoever writes a root
	rootless chan struct{} // room for one: wakes the rooter

	failed atomic.Pointer[error] // set once: the index cannot follow the stage
	halted atomic.Pointer[error] // set once, by Halt
	ctx    context.Context       // ends with Close
	cancel context.CancelFunc
	pub    context.Context // of all that writes to nodes: ends with Halt or Close
	calm   context.CancelFunc
	wg     sync.WaitGroup
}

// chain is the end of the chain of log packs.
type chain struct {
	next uint64     // number of the next log pack to open
	seal crypt.Hash // seal hash of the newest sealed one
	done uint64     // its number
}

// Close seals what is open, stops everything and leaves a state from which the
// next Open goes on at once. Packs not yet spread stay staged. Writes whose
// body is still coming fail with ErrUnavailable and store nothing; ctx is for
// what callers wait for, Close itself waits for one group and no node.
func (s *Store) Close(ctx context.Context) error {
	err := s.com.stop(ctx)
	s.cancel()
	s.wg.Wait()
	s.mu.Lock()
	for _, p := range s.packs {
		if cerr := p.file.Close(); err == nil && cerr != nil {
			err = cerr
		}
	}
	s.packs = nil
	s.mu.Unlock()
	if cerr := s.idx.Close(); err == nil {
		err = cerr
	}
	if cerr := s.closeClock(); err == nil {
		err = cerr
	}
	if cerr := s.lock.Close(); err == nil {
		err = cerr
	}
	return err
}

// fail records that the store must not go on: the index could not take what is
// durable in the stage. Everything answers with the cause; a restart replays.
func (s *Store) fail(err error) {
	err = fmt.Errorf("store: the index failed, restart cairn to rebuild it: %w: %w", err, cairn.ErrUnavailable)
	if s.failed.CompareAndSwap(nil, &err) {
		if errors.Is(err, cairn.ErrCorrupt) {
			s.markDamaged()
		}
		s.c.Log.Error("index failed; refusing requests until a restart", "err", err)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ease() // whoever waits is told
	}
}

func (s *Store) closing() error {
	return fmt.Errorf("store: shutting down: %w", cairn.ErrUnavailable)
}

func (s *Store) err() error {
	if p := s.failed.Load(); p != nil {
		return *p
	}
	return nil
}
