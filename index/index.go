// Package index knows which extents make an object, where the shards of a
// pack stand and what refers to what. It is a Pebble database without a log
// of its own: the packs are the log, and whatever a power loss takes from here
// is replayed from them. The whole of it is a view that can be rebuilt.
//
// Everything follows from the set of records applied, never from their order:
// the highest stamp wins, a record taken back (by a void, or by a later life)
// counts as never written whenever that becomes known, and a record applied
// twice is applied once. What a newer record displaced is therefore kept as
// history until DropTombstones says that nothing older can arrive any more.
//
// Reading order: index.go (open, close), engine.go (Pebble's options, and what
// happens when it errs), flush.go and gate.go (what survives, room, and who is
// in), keys.go and rows.go (the rows), apply.go (a batch), truth.go and
// learn.go (lives and voids), change.go, fact.go and history.go (versions of
// objects), registry.go and record.go (buckets, access keys, nodes, settings),
// packrow.go, pack.go and retire.go, refs.go, totals.go, object.go and list.go
// (reading), drop.go and settle.go (forgetting), destroy.go. Multipart uploads:
// uploadrow.go and partrow.go (the rows), applyupload.go and applypart.go,
// learnupload.go (voids and lives), upload.go and uploads.go (reading),
// dropupload.go and forgetupload.go (forgetting). Checkpoints: carry.go (which
// rows), mark.go (what changed, and why nothing is missed), snapshot.go and
// snaprows.go (reading them out), checkpointed.go, load.go, loadrow.go and
// loadupload.go (filling an index with them).
//
// It refuses to know nodes, frames, keys and clocks, and never decides whether
// a write is allowed: that is the committer's, who asks here first.
package index

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cockroachdb/pebble/v2"
)

// rowsVersion is the version of the rows. An index of another version is not
// converted but rebuilt; but one of version 2 differs only in that it has no
// marks, and is taken as it is (see firstEra). It must not keep its number: a
// release that knows no marks would change rows without them.
const (
	rowsVersion     = 3
	unmarkedVersion = 2
)

// openRoom is what must be free on the disk to open an index, bytes: a manifest
// and the first table.
const openRoom = 4 << 20

// Config says where an index stands and what it may use.
type Config struct {
	FS         durable.FS
	Dir        string
	Store      cairn.StoreID // an index of another store is refused
	CacheBytes int64         // of uncompressed blocks, bytes; 0 is 64 MiB
	Log        *slog.Logger  // nil logs nothing
}

// Index is safe for concurrent use. What it returns belongs to the caller.
type Index struct {
	config Config
	db     *pebble.DB
	lock   *pebble.Lock
	ill    *illness
	users  gate
	flow   flow

	// write serializes batches: each reads what it changes. It is taken
	// before mu, and mu before that of a Snapshot.
	write   sync.Mutex
	loading bool // Load is not done, and there is no other write; guarded by write

	mu        sync.RWMutex
	soft      soft               // guarded by mu; written with write held as well
	snapshots map[*Snapshot]bool // not closed; guarded by mu
}

// soft is what is small and asked for often, kept in memory beside its rows.
// The maps of truth and registry are never changed, only replaced.
type soft struct {
	truth    *truth
	registry *registry
	applied  map[uint32]uint64 // highest LSN applied, by life
	totals   map[uint64]Count  // by bucket
	floor    cairn.Stamp       // see DropTombstones
	era      era
}

// Open opens the index in c.Dir and makes it when there is none. It is
// ErrCorrupt when the index is damaged, cannot be read, or is of another store
// or version: Destroy it and replay. ErrUnavailable when somebody else has it
// open; ErrFull and ErrDenied as they say.
func Open(c Config) (*Index, error) {
	if c.CacheBytes == 0 {
		c.CacheBytes = 64 << 20
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := c.FS.MkdirAll(c.Dir); err != nil {
		return nil, fmt.Errorf("index: open: %w", err)
	}
	lock, err := takeLock(c.FS, c.Dir)
	if err != nil {
		return nil, err
	}
	x := &Index{config: c, lock: lock, ill: newIllness(c.Log), snapshots: map[*Snapshot]bool{}}
	if err := x.open(); err != nil {
		x.ill.stop()
		if x.db != nil {
			_ = x.db.Close() // the first error says more
		}
		_ = lock.Close()
		return nil, err
	}
	return x, nil
}

func (x *Index) open() error {
	if err := checkFiles(x.config.FS, x.config.Dir); err != nil {
		return err
	}
	// Pebble on a full disk does not return: it tries to write its manifest for
	// ever.
	free, _, err := x.config.FS.Free(x.config.Dir)
	if err != nil {
		return fmt.Errorf("index: open: %w", err)
	}
	if free < openRoom {
		return fmt.Errorf("index: open: %d bytes are free on the disk of %s, %d are needed to start; make room there: %w", free, x.config.Dir, openRoom, cairn.ErrFull)
	}
	db, err := openEngine(x.config.Dir, x.options())
	if err != nil {
		return openError(err)
	}
	x.db = db
	made, err := x.identify()
	if err != nil {
		return err
	}
	switch _, cut, err := get(x.db, []byte(loadingKey)); {
	case err != nil:
		return openError(err)
	case cut:
		return fmt.Errorf("index: open: a load of it did not end: %w", cairn.ErrCorrupt)
	}
	if x.soft, err = readSoft(x.db); err != nil {
		return openError(err)
	}
	if made {
		return x.Flush()
	}
	return nil
}

// openEngine is pebble.Open, which panics with the disk's error where a directory
// that it renamed a file in cannot be synced. Any other panic is let through: what
// is wrong then is not known to be the disk.
func openEngine(dir string, o *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		cause, ok := p.(error)
		if !ok || !ofDisk(classed(cause)) {
			panic(p)
		}
		db, err = nil, cause
	}()
	return pebble.Open(dir, o)
}

// identify checks that the database is this store's and of this version, or
// makes an empty one, or one without marks, so.
func (x *Index) identify() (made bool, err error) {
	want := append([]byte{rowsVersion}, x.config.Store[:]...)
	have, ok, err := get(x.db, []byte(identityKey))
	switch {
	case err != nil:
		return false, openError(err)
	case ok && len(have) > 0 && have[0] == unmarkedVersion && bytes.Equal(have[1:], want[1:]):
		return true, x.setIdentity(want)
	case ok && len(have) > 0 && have[0] != rowsVersion:
		return false, fmt.Errorf("index: open: version %d, this release knows %d: %w", have[0], rowsVersion, cairn.ErrCorrupt)
	case ok && !bytes.Equal(have, want):
		return false, fmt.Errorf("index: open: belongs to another store than %s: %w", x.config.Store.Short(), cairn.ErrCorrupt)
	case ok:
		return false, nil
	}
	empty, err := none(x.db, nil, nil)
	if err != nil {
		return false, openError(err)
	}
	if !empty {
		return false, fmt.Errorf("index: open: rows but no identity: %w", cairn.ErrCorrupt)
	}
	return true, x.setIdentity(want)
}

func (x *Index) setIdentity(row []byte) error {
	if err := x.db.Set([]byte(identityKey), row, pebble.NoSync); err != nil {
		return fmt.Errorf("index: open: %w", classed(err))
	}
	x.flow.wrote(1)
	return nil
}

// readSoft reads what is kept in memory.
func readSoft(r pebble.Reader) (soft, error) {
	s := soft{applied: map[uint32]uint64{}, totals: map[uint64]Count{}}
	var err error
	if s.floor, err = readFloor(r); err != nil {
		return s, err
	}
	if s.era, err = readEra(r); err != nil {
		return s, err
	}
	if s.truth, err = readTruth(r); err != nil {
		return s, err
	}
	if s.registry, err = readRegistry(r, s.truth); err != nil {
		return s, err
	}
	if err := readApplied(r, s.applied); err != nil {
		return s, err
	}
	return s, readTotals(r, s.totals)
}

// Close flushes and closes. The index is closed also when that failed; calls
// that run are waited for, later ones are ErrUnavailable.
func (x *Index) Close() error {
	if !x.users.close() {
		return nil
	}
	errs := append(x.closeSnapshots(), x.flush())
	x.ill.stop()
	return errors.Join(append(errs, classed(x.db.Close()), x.lock.Close())...)
}

// Applied is the highest stamp of a record applied. After a crash every batch
// applied before some moment is there and none after it.
func (x *Index) Applied() cairn.Stamp {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var s cairn.Stamp
	for life, lsn := range x.soft.applied {
		if at := (cairn.Stamp{Life: life, LSN: lsn}); at.Compare(s) > 0 {
			s = at
		}
	}
	return s
}
