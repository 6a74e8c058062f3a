package index

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/cairn-storage/cairn"
	"github.com/cockroachdb/pebble/v2"
)

// Every row that a checkpoint carries has a mark once it changes: the number of
// the generation in which it last did. One mark a row is enough, because the
// only question is which rows changed in a generation or after it. The mark is
// in the batch of the change itself, whatever the change is, so that no row can
// change without one.
//
// An index loses its newest batches when power does, and marks may go with
// them. That is harmless:
//   - A lost change is replayed, or done again, in the generation of then, and
//     marked with it.
//   - A lost advance of the generation takes all changes after it along, since
//     what survives is a prefix of the batches. They are marked with the lower
//     generation when they come again; the next Snapshot has the number that
//     was lost, with all that changed since the one before.
//   - A lost Checkpointed leaves the base and the marks as they were before it:
//     the next run is laid on the older base and holds what the lost one held.
//     Marks only grow with generations, so those of an older base are there.
//
// So a run may stand that no base names, and two runs may carry one number;
// which runs are the checkpoint is said by the base alone. Who gives up runs
// that a new base no longer names must Flush first.
const tableMark = 'g' // key of a row that a checkpoint carries -> generation

const (
	generationKey = "mgeneration"
	baseKey       = "mbase"
	loadingKey    = "mloading" // a Load is under way, or was cut off
)

// era says what the marks of the moment are worth.
type era struct {
	generation uint32 // that changes are marked with, from 1
	// whole is the first generation since which every change has its mark.
	// What changed before may have none: it was written by a release without
	// marks, is loaded, or stands in a full run, whose marks are dropped.
	whole uint32
}

// firstEra is that of an index which says nothing of it. It may hold rows of a
// release without marks, so that only a full run is sure to have them.
func firstEra() era { return era{generation: 1, whole: 2} }

func (e era) row() []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, e.generation), e.whole)
}

func readEra(r pebble.Reader) (era, error) {
	b, ok, err := get(r, []byte(generationKey))
	if err != nil || !ok {
		return firstEra(), err
	}
	if len(b) != 8 {
		return era{}, badRow([]byte(generationKey))
	}
	e := era{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
	if e.generation == 0 || e.whole == 0 || e.whole-1 > e.generation {
		return era{}, badRow([]byte(generationKey))
	}
	return e, nil
}

// advance begins the next generation.
func (t *tx) advance() error {
	if t.soft.era.generation >= math.MaxUint32-1 { // one an hour lasts for 490,000 years
		return fmt.Errorf("index: no generation is left: %w", cairn.ErrInvalid)
	}
	t.soft.era.generation++
	return t.set([]byte(generationKey), t.soft.era.row())
}

// mark notes that the row at key changes.
func (t *tx) mark(key []byte) error {
	op := t.b.SetDeferred(1+len(key), 4)
	op.Key[0] = tableMark
	copy(op.Key[1:], key)
	binary.BigEndian.PutUint32(op.Value, t.soft.era.generation)
	if err := op.Finish(); err != nil {
		return fmt.Errorf("index: write: %w", err)
	}
	return nil
}

// parseMark returns the generation of a mark, and the key that it is of as a
// part of its own key.
func parseMark(key, value []byte) (of []byte, generation uint32, err error) {
	if len(key) < 2 || len(value) != 4 {
		return nil, 0, badRow(key)
	}
	return key[1:], binary.BigEndian.Uint32(value), nil
}
