package store

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// Clients go before compaction, which nobody waits for. What it writes it shares
// a disk, its journal and often a line with the groups of clients' writes, each of
// which waits for an fsync: behind a whole pack written at once that is a second
// on a disk of 30 MB/s. So while clients are served
//
//   - a stage of moved frames is synced every syncStep bytes, and the disk left
//     alone for a while (rewriter.sync, backends.Rest),
//   - one such pack leaves the machine at a time, one shard after the other, the
//     next after such a rest (fleet.Scatter of a background context),
//   - and what is read waits behind clients' calls on each node, and takes no
//     place in the cache from what they read (fleet.Read of such a context).
//
// So it has a quarter of the disk at most, and all of it has an end: no rest is
// longer than restMost, and no call waits for ever (backends.Limit). Where nodes
// have no room for user data, or the stage is over half full, clients wait for
// what leaves it, and where a leaked secret is to go a person does: then it takes
// what there is.

const (
	// syncStep is about how many bytes of a stage of moved frames are made durable
	// at a time, at most: 25 ms of a disk of 80 MB/s.
	syncStep = 2 << 20
	// quietAfter is how long no client must have been served before compaction has
	// all of the machine: longer than a client takes from one small object to the
	// next.
	quietAfter = time.Second
	// restMost is the longest rest.
	restMost = time.Second
	// aheadOfNodes is how many packs wait for nodes when the next is written.
	aheadOfNodes = 2
)

// presence knows whether clients are being served.
type presence struct {
	running atomic.Int64
	left    atomic.Int64 // when the last one was, Unix nanoseconds; 0 for never
}

// enter notes that a client is served until leave is called.
func (p *presence) enter() (leave func()) {
	p.running.Add(1)
	return func() {
		p.left.Store(time.Now().UnixNano())
		p.running.Add(-1)
	}
}

// here reports whether a client is served now, or was within quietAfter.
func (p *presence) here() bool {
	ago := time.Now().UnixNano() - p.left.Load() // less than nothing where the clock was set back
	return p.running.Load() > 0 || ago >= 0 && ago < int64(quietAfter)
}

// Clients reports whether a client's PUT or GET is served now, or was within a
// second: what nobody waits for should leave it the machine.
func (s *Store) Clients() bool { return s.clients.here() }

// yields reports whether compaction is to leave clients the machine now.
func (s *Store) yields() bool {
	if !s.clients.here() || s.c.Nodes.Full() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used <= s.c.StageLimit/2
}

// placing is the context in which p is placed: moved frames behind clients.
func (s *Store) placing(ctx context.Context, p *staged) context.Context {
	if ctx = p.within(ctx); p.gentle && s.yields() {
		ctx = backends.Background(ctx)
	}
	return ctx
}

// reading is the context in which frames are read to be moved.
func (w *rewriter) reading() context.Context {
	if w.urgent || w.s.c.Nodes.Full() {
		return w.ctx
	}
	return backends.Background(w.ctx)
}

// step is how many bytes of the open pack are made durable at a time.
func (w *rewriter) step() uint32 { return min(syncStep, w.s.c.PackSize/8) }

// sync makes durable what was written to the open pack, and rests.
//
// A pack that was synced in steps is no more durable than before its last one,
// and nothing names it before that, and before its shards stand.
func (w *rewriter) sync() error {
	start := time.Now()
	if err := w.open.file.Sync(); err != nil {
		return diskError(err)
	}
	w.synced = w.off
	if w.urgent || !w.s.yields() {
		return nil
	}
	backends.Rest(w.ctx, time.Since(start), restMost)
	if err := w.ctx.Err(); err != nil {
		return fmt.Errorf("store: compact: %w: %w", err, cairn.ErrUnavailable)
	}
	return nil
}
