package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store/stage"
)

// A disk that is full must still take records, since deletes are records: a log
// stage then gets only smallStage bytes, and reserveSize bytes that were
// allocated while there was room are given back for it.
const (
	smallStage  = 1 << 20
	reserveSize = 2 << 20
)

func (s *Store) reserveName() string { return filepath.Join(s.c.stageDir(), "reserve") }

// keepReserve allocates the reserve if it is not there. A disk too full for it
// is not an error: there is nothing to set aside.
func (s *Store) keepReserve() {
	f, err := s.c.FS.Create(s.reserveName())
	if errors.Is(err, fs.ErrExist) {
		return
	}
	if err == nil {
		err = errors.Join(f.Allocate(0, reserveSize), f.Close())
	}
	if err == nil {
		return
	}
	s.c.Log.Warn("no room is set aside for deletes on a full disk", "err", err)
	s.dropReserve()
}

// dropReserve gives the reserve back.
func (s *Store) dropReserve() bool { return s.c.FS.Remove(s.reserveName()) == nil }

// createStage makes the file of h, a small one for records where the disk is
// too full for a whole pack.
func (s *Store) createStage(h stage.Header) (*stage.File, error) {
	f, err := stage.Create(s.c.FS, s.c.stageDir(), h)
	if h.Kind != pack.Log || !errors.Is(err, cairn.ErrFull) {
		return f, err
	}
	h.Capacity = min(h.Capacity, smallStage)
	if f, err = stage.Create(s.c.FS, s.c.stageDir(), h); !errors.Is(err, cairn.ErrFull) {
		return f, err
	}
	if !s.dropReserve() {
		return nil, err
	}
	return stage.Create(s.c.FS, s.c.stageDir(), h)
}

// fitSmall is take without what does not fit the stage that was opened for it.
func (c *committer) fitSmall(take []*op) ([]*op, error) {
	if c.open.file.Capacity == c.s.c.PackSize {
		return take, nil
	}
	if fits := c.fit(take); len(fits) > 0 {
		return fits, nil
	}
	return nil, fmt.Errorf("store: the disk of the stage is full; free some space on %s: %w", c.s.c.Dir, cairn.ErrFull)
}
