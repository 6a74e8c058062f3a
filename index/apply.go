package index

import (
	"encoding/binary"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cockroachdb/pebble/v2"
)

// Change is one record to apply.
type Change struct {
	Record pack.Record
	// Parts are the parts where the record names a list of them; else nil.
	Parts []pack.Part
}

// Apply applies changes as one batch: all or none, at once for readers, and
// durable only after Flush. Order does not matter, neither in a batch nor
// between batches, nor does applying again. Nothing is applied on error:
// ErrInvalid for a record that this release must not pass over, ErrCorrupt for
// one that names a pack retired before, and whatever stopped the index before.
func (x *Index) Apply(changes []Change) error {
	return x.batch(func(t *tx) error {
		if err := t.learn(changes); err != nil {
			return err
		}
		for _, c := range changes {
			if err := t.apply(c); err != nil {
				return fmt.Errorf("index: apply record %v: %w", c.Record.Stamp, err)
			}
		}
		return nil
	})
}

// tx is one batch being made. It reads what it has written; what is kept in
// memory is staged here and installed after the commit.
type tx struct {
	x        *Index
	b        *pebble.Batch
	soft     soft                  // applied and totals are the index's own, read only
	applied  map[uint32]uint64     // highest LSN of this batch, by life
	counts   map[uint64]Count      // what differs from soft.totals
	rewrites bool                  // the batch wrote register rows
	inUse    map[cairn.PackID]bool // packs found to carry no retired record
}

// batch makes and commits one batch, alone.
func (x *Index) batch(fill func(*tx) error) error {
	if !x.users.enter() {
		return errClosed()
	}
	defer x.users.leave()
	if err := x.room(); err != nil {
		return err
	}
	x.write.Lock()
	defer x.write.Unlock()
	if x.loading {
		return errLoading()
	}
	x.mu.RLock()
	t := &tx{x: x, soft: x.soft, applied: map[uint32]uint64{}, counts: map[uint64]Count{}}
	x.mu.RUnlock()
	t.b = x.db.NewIndexedBatch()
	defer t.b.Close() // nothing to lose: committed, or not wanted
	if err := fill(t); err != nil {
		return err
	}
	return t.commit()
}

func (t *tx) commit() error {
	for life, lsn := range t.applied {
		if lsn <= t.soft.applied[life] {
			delete(t.applied, life)
			continue
		}
		if err := t.set(binary.BigEndian.AppendUint32([]byte{tableApplied}, life), binary.BigEndian.AppendUint64(nil, lsn)); err != nil {
			return err
		}
	}
	for bucket, c := range t.counts {
		if err := t.writeCount(bucket, c); err != nil {
			return err
		}
	}
	if t.rewrites {
		t.soft.registry.resolve(t.soft.truth)
	}
	if t.b.Empty() {
		return t.x.ill.check()
	}
	size := t.b.Len()
	if err := t.b.Commit(pebble.NoSync); err != nil {
		t.x.ill.poison(err) // Pebble's pipeline is stuck from here on
		return t.x.ill.check()
	}
	t.install()
	return t.x.wrote(size)
}

// install shows readers what the batch changed of the memory.
func (t *tx) install() {
	s := &t.x.soft
	t.x.mu.Lock()
	defer t.x.mu.Unlock()
	s.truth, s.registry, s.floor, s.era = t.soft.truth, t.soft.registry, t.soft.floor, t.soft.era
	for life, lsn := range t.applied {
		s.applied[life] = lsn
	}
	for bucket, c := range t.counts {
		if c == (Count{}) {
			delete(s.totals, bucket)
			continue
		}
		s.totals[bucket] = c
	}
}

func (t *tx) apply(c Change) error {
	s := c.Record.Stamp
	t.applied[s.Life] = max(t.applied[s.Life], s.LSN)
	if s.Compare(t.soft.floor) < 0 {
		return nil // it was applied before the tombstones it may need were dropped
	}
	switch b := c.Record.Body.(type) {
	case pack.Life, pack.Void: // learned
		return nil
	case pack.Put:
		return t.put(s, b, c.Parts)
	case pack.Delete:
		return t.drop(s, b)
	case pack.Move:
		return t.move(s, b, c.Parts)
	case pack.Retired:
		return t.retire(b.Pack, s)
	case pack.Upload:
		return t.begin(c.Record, b)
	case pack.UploadPart:
		return t.addPart(s, b, c.Parts)
	case pack.UploadDone:
		// The version and the end of the upload are of one stamp, and so count
		// or do not count together.
		if err := t.put(s, b.Put, c.Parts); err != nil {
			return err
		}
		return t.end(s, b.Upload, &b.Put)
	case pack.UploadGone:
		return t.end(s, b.Upload, nil)
	case pack.Unknown:
		return t.set(stampKey(tableCarried, s), c.Record.AppendTo(nil))
	}
	return t.register(c.Record)
}

func (t *tx) set(key, value []byte) error {
	if err := t.b.Set(key, value, nil); err != nil {
		return fmt.Errorf("index: write: %w", err)
	}
	if isCarried(key) {
		return t.mark(key)
	}
	return nil
}

func (t *tx) del(key []byte) error {
	if err := t.b.Delete(key, nil); err != nil {
		return fmt.Errorf("index: write: %w", err)
	}
	if isCarried(key) {
		return t.mark(key)
	}
	return nil
}

func readApplied(r pebble.Reader, into map[uint32]uint64) error {
	return scan(r, []byte{tableApplied}, func(k, v []byte) error {
		if len(k) != 5 || len(v) != 8 {
			return badRow(k)
		}
		into[binary.BigEndian.Uint32(k[1:])] = binary.BigEndian.Uint64(v)
		return nil
	})
}
