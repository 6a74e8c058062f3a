package store

import (
	"errors"
	"path/filepath"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/wire"
	"github.com/cairn-storage/cairn/pack"
)

// releasedMagic begins the file that says up to which number log packs have left
// this machine. An index that is made again knows by it how far the log goes: the
// newest log packs may lie on nodes only that do not answer then, and a start
// without them would hide what was acknowledged and give their numbers away.
const releasedMagic = "cairnrel"

func (c *Config) releasedName() string { return filepath.Join(c.Dir, "released") }

// readReleased is the highest number of a log pack that left the stage; zero
// where none was noted.
func (c *Config) readReleased() (number uint64, err error) {
	err = readLocal(c.FS, c.releasedName(), releasedMagic, c.Store, func(r *wire.Reader) { number = r.U64() })
	if errors.Is(err, cairn.ErrNotExist) {
		return 0, nil
	}
	return number, err
}

// openReleased takes up what is noted, and what the index knows to have left the
// stage: a store of before there was that file, or one where it was damaged, has it
// from then on. Rows and stages are in the books.
func (s *Store) openReleased() error {
	number, err := s.c.readReleased()
	if errors.Is(err, cairn.ErrCorrupt) {
		s.c.Log.Error("how far the log went that left this machine is noted anew, from the index", "err", err)
		number, err = 0, nil
	}
	if err != nil {
		return err
	}
	s.noted = number
	for row, err := range s.idx.Packs(cairn.PackID{}) {
		if err != nil {
			return s.indexError("packs", err)
		}
		if row.Kind == pack.Log && row.State != index.Staged && !s.Staged(row.Params.ID) {
			number = max(number, row.Number)
		}
	}
	return s.note(number)
}

// noteReleased makes durable that the log packs among due leave the stage.
func (s *Store) noteReleased(due []*staged) error {
	most := s.noted
	for _, p := range due {
		if p.file.Kind == pack.Log {
			most = max(most, p.file.Number)
		}
	}
	return s.note(most)
}

// note is of start and then of the releaser alone. A full disk is no error:
// releasing is what makes room there, and the next batch notes it.
func (s *Store) note(number uint64) error {
	if number == s.noted {
		return nil
	}
	err := writeLocal(s.c.FS, s.c.releasedName(), releasedMagic, s.c.Store, func(w *wire.Writer) { w.U64(number) })
	switch {
	case err == nil:
		s.noted = number
		return nil
	case errors.Is(err, cairn.ErrFull):
		s.c.Log.Warn("the disk is full: how far the log went that left this machine is noted later", "err", err)
		return nil
	}
	return diskError(err)
}
