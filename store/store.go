// Package store is the object engine: what a client puts is sealed into the
// stage, made durable with one fsync for many, named by the index, coded,
// spread, and read back.
//
// Reading order: api.go and api_upload.go (what the gateway sees), store.go
// (what an engine is made of), open.go, load.go, replay.go and where.go (start),
// put.go, large.go, copy.go and tags.go (writes), upload.go, part.go,
// complete.go and expire.go (multipart uploads), commit.go, group.go, txn.go and
// version.go (the committer), staged.go and finish.go (packs on this disk),
// spread.go and release.go (packs leaving it), journal.go, journal_scatter.go,
// journal_batch.go, journal_wait.go, journal_seal.go, journal_ack.go,
// journal_retire.go, journal_recover.go and journal_restage.go (writes answered
// only when they stand on nodes), get.go and window.go (reads),
// bucket.go, setting.go, access.go and node.go (state), rebuild.go (the index
// made again) and rebuild_base.go, roots.go, checkpoint.go, checkpoint_view.go,
// checkpoint_write.go, checkpoint_run.go and base.go (what survives this
// machine), recover.go, recover_report.go, recover_look.go, recover_run.go,
// recover_chain.go, recover_log.go, recover_journal.go and recover_find.go (the
// index made from nodes alone), place.go (what whoever looks after shards may
// ask and change), keyring.go, halt.go, pressure.go and quota.go (limits),
// status.go and usage.go (figures).
//
// The order of durable steps, of which everything else is a consequence:
//
//  1. frames, then the record that names them, in one group, one fsync;
//     bytes in other stages are fsynced before (group.go)
//  2. the index, unsynced; then the answer (group.go)
//  3. seal: contents and trailer fsynced in the stage (spread.go)
//  4. intent fsynced, then shards, each verified by a read of its tail (fleet)
//  5. the index flushed, and only then the stage released (release.go)
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
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
)

// Nodes is what the store needs of a fleet.
type Nodes interface {
	// Coding is the coding for a new pack: want, or what "auto" comes to with
	// the nodes that take writes now. ErrUnavailable while none does.
	Coding(want string) (cairn.Coding, error)
	// Scatter puts the files of s that are not in have, each verified by a
	// fresh read of its tail, on other nodes where one fails. intend is called
	// before any put it covers. It returns all that stand, and nil only when
	// all n do.
	Scatter(ctx context.Context, s *pack.Sealed, have []cairn.Location, intend func([]cairn.Location) error) ([]cairn.Location, error)
	// Verify returns those of at whose tail reads back and verifies.
	Verify(ctx context.Context, p pack.Params, at []cairn.Location) []cairn.Location
	// Read fills b with pack bytes from off, every block of it proven by a
	// signed root, and may read ahead bytes more into its cache.
	Read(ctx context.Context, p pack.Params, at []cairn.Location, off uint64, b []byte, ahead int) error
	// Lacks is what such a read would ask nodes for: bytes by data shard.
	Lacks(p pack.Params, off uint64, n int) map[uint8]int64
	// Contents returns the sealed contents, verified.
	Contents(ctx context.Context, p pack.Params, at []cairn.Location) ([]byte, error)
	// Survey lists every node and returns the packs whose shards are there.
	// The error names nodes that did not answer; what was found is returned
	// beside it.
	Survey(ctx context.Context) (map[cairn.PackID][]cairn.Location, error)
	// Trailer returns the verified trailer of a pack of which only places are
	// known.
	Trailer(ctx context.Context, id cairn.PackID, at []cairn.Location) (pack.Trailer, error)
	// Full reports whether user data must wait for space: no coding can be
	// placed below the user reserve.
	Full() bool
	// Spare is how many bytes of shards the nodes that take them have room for,
	// the reserve included.
	Spare() int64
	// Ready waits, for seconds at most, for nodes that answer and may take shards
	// in a moment.
	Ready(ctx context.Context)
	// Changed is closed when nodes came, went or changed their state.
	Changed() <-chan struct{}
	// SetNodes replaces the nodes by those the store's records name.
	SetNodes(ctx context.Context, nodes []pack.Node) error
	// Remove deletes one file of a pack and no other. nil: the node, its marker
	// good, says that it is not there.
	Remove(ctx context.Context, id cairn.PackID, l cairn.Location) error
	// Gone reports that nobody waits for a node any more: a person removed it or
	// gave it up, or it was away for too long.
	Gone(id cairn.NodeID) bool
}

// Config is what a Store is made of. FS, Dir, Nodes, Store, Epochs, Epoch,
// Sign and Box are needed, the rest has defaults.
type Config struct {
	FS    durable.FS
	Dir   string // holds stage/, index/, secrets/nodes and lock
	Nodes Nodes
	Store cairn.StoreID
	// Epochs are the keys by number, of which Epoch seals new packs.
	Epochs map[uint32]crypt.EpochKey
	Epoch  uint32
	Sign   crypt.SigningKey
	Box    *crypt.Box // seals secrets at rest

	Coding     string        // "auto" (default) or k+m; a setting in the store wins
	PackSize   uint32        // bytes of pack, default 16 MiB
	FlushAge   time.Duration // a log pack is sealed this long after its first record, default 30 s
	Settle     time.Duration // a spread pack stays staged this long, default 10 min; negative for no time at all
	StageLimit int64         // bytes, default 20 GiB
	Memory     int64         // bytes of bodies gathered in memory, default 64 MiB
	GroupWait  time.Duration // the longest a PUT waits for company, default 10 ms
	GroupCount int           // so many waiting PUTs start a sync, default 16
	SlowWait   time.Duration // how long a PUT waits for a full stage before 503, default 20 s
	IndexCache int64         // bytes
	// Ack says when writes are answered that no bucket's setting decides for:
	// AckStaged (default) or AckSpread.
	Ack string
	// Roots keeps the store's roots; without it there are neither roots nor
	// checkpoints.
	Roots Roots
	// CheckpointEvery is how long after a checkpoint the next is made, where
	// something changed; default 1 h.
	CheckpointEvery time.Duration
	// Clock is observed time, by which graces are measured; default is one of the
	// store's own in Dir.
	Clock Clock
	// Grace is how long a retired pack stays on nodes after every node knows that
	// it is retired, observed time; default 24 h.
	Grace time.Duration
	// CompactBelow is the live share of a pack below which it is rewritten in the
	// background, 0 to 1; default 0.5, negative: nothing is.
	CompactBelow float64
	// Traffic bounds what compaction in the background moves with nodes; nil does
	// not.
	Traffic  Traffic
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// SmallObject is the largest body, in bytes, that is gathered in memory and
// written with its record; larger ones, and tails above it, have stage files of
// their own. Packs below 4 MiB lower it to a quarter of theirs.
const SmallObject = 1 << 20

// minPack is the smallest pack size, in bytes: it has room for a small object
// and for the largest record that has a group of its own.
const minPack = 256 << 10

func (c *Config) small() int64 {
	return min(SmallObject, int64(c.PackSize)/4/pack.FrameSize*pack.FrameSize)
}

func (c *Config) defaults() error {
	if c.FS == nil || c.Dir == "" || c.Nodes == nil || c.Box == nil {
		return fmt.Errorf("store: incomplete configuration: %w", cairn.ErrInvalid)
	}
	if _, ok := c.Epochs[c.Epoch]; !ok {
		return fmt.Errorf("store: no key for epoch %d: %w", c.Epoch, cairn.ErrInvalid)
	}
	set(&c.Coding, "auto")
	set(&c.Ack, AckStaged)
	set(&c.PackSize, 16<<20)
	set(&c.FlushAge, 30*time.Second)
	set(&c.Settle, 10*time.Minute)
	c.Settle = max(c.Settle, 0)
	set(&c.StageLimit, 20<<30)
	set(&c.Memory, 64<<20)
	set(&c.GroupWait, 10*time.Millisecond)
	set(&c.GroupCount, 16)
	set(&c.SlowWait, 20*time.Second)
	set(&c.IndexCache, 64<<20)
	set(&c.CheckpointEvery, time.Hour)
	set(&c.Grace, 24*time.Hour)
	set(&c.CompactBelow, 0.5)
	if c.Ack != AckStaged && c.Ack != AckSpread {
		return fmt.Errorf("store: ack = %q; it is %q or %q: %w", c.Ack, AckStaged, AckSpread, cairn.ErrInvalid)
	}
	if c.PackSize < minPack {
		return fmt.Errorf("store: pack size %d: at least %d KiB are needed: %w", c.PackSize, minPack>>10, cairn.ErrInvalid)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

func set[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

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

	com  committer
	jour *journaler

	mu      sync.Mutex
	packs   map[cairn.PackID]*staged // on this disk, nil once closed; guarded by mu
	chain   chain                    // of log packs; guarded by mu
	seqTop  uint64                   // highest pack sequence handed out; guarded by mu
	used    int64                    // bytes of stage files; guarded by mu
	nSpread int                      // packs that the index knows as spread; guarded by mu
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

func (c *Config) stageDir() string { return filepath.Join(c.Dir, "stage") }
func (c *Config) indexDir() string { return filepath.Join(c.Dir, "index") }

func (c *Config) indexConfig() index.Config {
	return index.Config{FS: c.FS, Dir: c.indexDir(), Store: c.Store, CacheBytes: c.IndexCache, Log: c.Log}
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
