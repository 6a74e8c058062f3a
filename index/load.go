package index

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cockroachdb/pebble/v2"
)

// loadBatch is how many bytes one batch of Load takes.
const loadBatch = 1 << 20

// Load fills an empty index with the rows of a checkpoint, merged: keys rise,
// and there are no tombstones. The index is then what Snapshot saw, with rows of
// packs as Rows gave them, and durable; generations go on behind the one of the
// checkpoint, whose rows count as standing in a run (see Checkpointed for the
// base). Memory is bounded, whatever the number of rows.
//
// ErrPrecondition, and nothing is done, when the index is not empty; ErrCorrupt
// for rows that no release wrote. Until Load returns, writes are ErrUnavailable
// and nothing that is read means anything; when it fails, or is cut off, that
// stays so, Open says ErrCorrupt, and Destroy is the way out.
func (x *Index) Load(rows iter.Seq2[pack.Row, error]) error {
	if !x.users.enter() {
		return errClosed()
	}
	defer x.users.leave()
	if err := x.beginLoad(); err != nil {
		return err
	}
	l := &loader{x: x, b: x.db.NewBatch(), counts: map[uint64]Count{}}
	defer func() { _ = l.b.Close() }() // nothing to lose: committed, or not wanted
	for r, err := range rows {
		if err == nil {
			err = l.add(r)
		}
		if err != nil {
			return fmt.Errorf("index: load: %w", err)
		}
	}
	if err := l.end(); err != nil {
		return fmt.Errorf("index: load: %w", err)
	}
	return x.flush()
}

func errLoading() error {
	return fmt.Errorf("index: a checkpoint is being loaded, or could not be: %w", cairn.ErrUnavailable)
}

// beginLoad keeps all other writes out, and notes on disk that the index is not
// whole: what survives a power loss is a prefix of the batches, and this one is
// the first of the load, while the last takes the note away.
func (x *Index) beginLoad() error {
	x.write.Lock()
	defer x.write.Unlock()
	if x.loading {
		return errLoading()
	}
	for _, r := range []struct{ lower, upper []byte }{
		{nil, []byte(identityKey)}, {append([]byte(identityKey), 0), nil},
	} {
		empty, err := none(x.db, r.lower, r.upper)
		if err != nil {
			return err
		}
		if !empty {
			return fmt.Errorf("index: load: there are rows already: %w", cairn.ErrPrecondition)
		}
	}
	x.loading = true
	b := x.db.NewBatch()
	defer func() { _ = b.Close() }()
	if err := b.Set([]byte(loadingKey), nil, nil); err != nil {
		return fmt.Errorf("index: write: %w", err)
	}
	return x.commitLoad(b)
}

// commitLoad commits a batch of a load.
func (x *Index) commitLoad(b *pebble.Batch) error {
	if err := x.ill.check(); err != nil || b.Empty() {
		return err
	}
	size := b.Len()
	if err := b.Commit(pebble.NoSync); err != nil {
		x.ill.poison(err)
		return x.ill.check()
	}
	return x.wrote(size)
}

// loader is a load under way.
type loader struct {
	x      *Index
	b      *pebble.Batch
	counts map[uint64]Count

	kind       byte   // of the last row
	last       []byte // its key
	generation uint32
	truth      *truth // once lives and voids are there

	buf      []byte        // for keys
	upload   pack.UploadID // the last that a row was about
	over     bool          // it has ended; of kindPart alone
	carriers [kindPast + 1]carrier
}

// add takes the next row. What follows from it follows from rows of lower kinds
// as well, which are all committed by then.
func (l *loader) add(r pack.Row) error {
	switch {
	case len(r.Key) == 0 || r.Gone:
		return fmt.Errorf("a tombstone, or a row without a key: %w", cairn.ErrCorrupt)
	case l.last != nil && bytes.Compare(r.Key, l.last) <= 0:
		return fmt.Errorf("a row of kind %d is out of order: %w", r.Key[0], cairn.ErrCorrupt)
	}
	l.last = append(l.last[:0], r.Key...)
	if kind := r.Key[0]; kind != l.kind {
		if err := l.begin(kind); err != nil {
			return err
		}
	}
	if l.kind == kindGeneration {
		return l.begins(r)
	}
	c := l.carriers[l.kind]
	l.buf = append(append(l.buf[:0], c.prefix...), r.Key[1:]...)
	if err := l.row(l.buf, r.Value); err != nil {
		return err
	}
	if l.b.Len() < loadBatch {
		return nil
	}
	return l.commit()
}

// begin is between two kinds.
func (l *loader) begin(kind byte) error {
	if l.kind == 0 {
		for _, c := range carriers() {
			l.carriers[c.kind] = c
		}
		if kind != kindGeneration {
			return fmt.Errorf("no row tells the generation: %w", cairn.ErrCorrupt)
		}
	}
	if int(kind) >= len(l.carriers) {
		return fmt.Errorf("row of kind %d, this release knows kinds up to %d: %w", kind, len(l.carriers)-1, cairn.ErrCorrupt)
	}
	l.kind, l.upload = kind, pack.UploadID{}
	if err := l.commit(); err != nil || kind <= kindVoid || l.truth != nil {
		return err
	}
	var err error
	l.truth, err = readTruth(l.x.db)
	return err
}

// begins takes the row that tells the generation. It has no place among the
// others: what is loaded has no marks, so they begin with the next one.
func (l *loader) begins(r pack.Row) error {
	if len(r.Key) != 1 || len(r.Value) != 4 {
		return badRow(r.Key)
	}
	l.generation = binary.BigEndian.Uint32(r.Value)
	if e := (era{l.generation + 1, l.generation + 1}); l.generation == 0 || e.generation == 0 {
		return badRow(r.Key)
	}
	return nil
}

func (l *loader) commit() error {
	if err := l.x.room(); err != nil {
		return err
	}
	if err := l.x.commitLoad(l.b); err != nil {
		return err
	}
	return l.renew()
}

func (l *loader) renew() error {
	if err := l.b.Close(); err != nil {
		return fmt.Errorf("index: write: %w", err)
	}
	l.b = l.x.db.NewBatch()
	return nil
}

func (l *loader) set(key, value []byte) error {
	if err := l.b.Set(key, value, nil); err != nil {
		return fmt.Errorf("index: write: %w", err)
	}
	return nil
}

// end writes what follows from many rows, ends the load on disk, and lets
// writes in.
func (l *loader) end() error {
	if l.kind == 0 {
		return fmt.Errorf("no row tells the generation: %w", cairn.ErrCorrupt)
	}
	if err := l.commit(); err != nil {
		return err
	}
	if err := l.list(); err != nil {
		return err
	}
	for bucket, c := range l.counts {
		if err := l.set(bucketKey(tableTotals, bucket), c.row()); err != nil {
			return err
		}
	}
	if err := l.set([]byte(generationKey), era{l.generation + 1, l.generation + 1}.row()); err != nil {
		return err
	}
	if err := l.b.Delete([]byte(loadingKey), nil); err != nil {
		return fmt.Errorf("index: write: %w", err)
	}
	if err := l.commit(); err != nil {
		return err
	}
	soft, err := readSoft(l.x.db)
	if err != nil {
		return err
	}
	l.x.write.Lock()
	defer l.x.write.Unlock()
	l.x.mu.Lock()
	defer l.x.mu.Unlock()
	l.x.soft, l.x.loading = soft, false
	return nil
}
