package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/wire"
)

// lsnGap is left between two lives. A group is far smaller and only one is
// unanswered at a time, so no LSN that an earlier life may have written without
// being told so is issued again.
const lsnGap = 1 << 20

// lifeState is the stamps of this life, the committer's own.
type lifeState struct {
	number  uint32
	tag     [16]byte
	next    uint64      // next LSN
	last    cairn.Stamp // newest durable record, of this life or the one before
	written bool        // the life's first record is durable
}

const lifeMagic = "cairnlif"

// beginLife makes a new life durable before it writes anything: the number is
// one above every life seen, in the life file or in a record.
func beginLife(fs durable.FS, dir string, store cairn.StoreID, last cairn.Stamp) (lifeState, error) {
	number, first, err := readLife(fs, dir, store)
	if err != nil {
		return lifeState{}, err
	}
	l := lifeState{number: max(number, last.Life) + 1, last: last, next: max(last.LSN+lsnGap, first+lsnGap)}
	if _, err := rand.Read(l.tag[:]); err != nil {
		return lifeState{}, fmt.Errorf("store: random bytes: %w", err)
	}
	return l, l.write(fs, dir, store)
}

// write makes number and first LSN durable: the next life has a higher number
// and begins above.
func (l lifeState) write(fs durable.FS, dir string, store cairn.StoreID) error {
	err := writeLocal(fs, lifeName(dir), lifeMagic, store, func(w *wire.Writer) {
		w.U32(l.number)
		w.U64(l.next)
		w.Raw(l.tag[:])
	})
	if err != nil {
		return fmt.Errorf("store: begin a life: %w", err)
	}
	return nil
}

func lifeName(dir string) string { return filepath.Join(dir, "life") }

// readLife returns number and first LSN of the newest life; zeros for none.
func readLife(fs durable.FS, dir string, store cairn.StoreID) (number uint32, first uint64, err error) {
	err = readLocal(fs, lifeName(dir), lifeMagic, store, func(r *wire.Reader) {
		number, first = r.U32(), r.U64()
		var tag [16]byte
		r.Raw(tag[:])
	})
	if errors.Is(err, cairn.ErrNotExist) {
		return 0, 0, nil
	}
	return number, first, err
}
