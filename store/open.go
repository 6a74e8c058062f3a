package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"golang.org/x/sync/semaphore"
)

// Open takes the lock of the directory, replays the stage and starts the
// engine. An index that is lost or damaged is made again from stage and nodes;
// that needs nodes that answer.
//
// Order: what the stage holds is applied to the index first, then a new life is
// made durable, and only then is anything written. No stage of an earlier life
// is appended to: its verified prefix is sealed as it stands.
func Open(ctx context.Context, c Config) (*Store, error) {
	if err := c.defaults(); err != nil {
		return nil, err
	}
	if err := c.FS.MkdirAll(c.stageDir()); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	lock, err := c.FS.Lock(filepath.Join(c.Dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("store: %s is in use by another cairn: %w", c.Dir, err)
	}
	s := &Store{c: c, lock: lock, m: newMetrics(c.Registry), mem: semaphore.NewWeighted(c.Memory),
		packs: make(map[cairn.PackID]*staged), eased: make(chan struct{}), kicked: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.pub, s.calm = context.WithCancel(s.ctx)
	s.keys.set(c.Epochs, c.Epoch)
	s.collecting, s.compacting, s.owned = make(chan struct{}, 1), make(chan struct{}, 1), make(map[cairn.PackID]bool)
	s.ckpt, s.rootTurn, s.rootless = newCheckpoints(), make(chan struct{}, 1), make(chan struct{}, 1)
	s.jour = newJournaler(s)
	s.com = committer{s: s, in: make(chan *op), roll: make(chan chan struct{}), quit: make(chan struct{}), stopped: make(chan struct{})}
	if err := s.start(ctx); err != nil {
		s.cancel()
		for _, p := range s.packs {
			_ = p.file.Close() // read only so far
		}
		if s.idx != nil {
			_ = s.idx.Close() // what it holds is made again from the stage
		}
		_ = s.closeClock() // the first error says more
		_ = lock.Close()
		return nil, err
	}
	s.wg.Go(s.com.run)
	s.wg.Go(func() { s.jour.run(s.pub) })
	for range spreaders {
		s.wg.Go(func() { s.spreader(s.pub) })
	}
	s.wg.Go(func() { s.releaser(s.pub) })
	if c.Roots != nil {
		s.wg.Go(func() { s.checkpointer(s.pub) })
		s.wg.Go(func() { s.rooter(s.pub) })
	}
	if s.collects() {
		s.wg.Go(func() { s.collector(s.pub) })
		if c.CompactBelow > 0 {
			s.wg.Go(func() { s.compactor(s.pub) })
		}
	}
	s.wg.Go(func() { s.expirer(s.ctx) })
	return s, nil
}

func (s *Store) start(ctx context.Context) error {
	if err := s.c.unfinished(); err != nil {
		return err
	}
	lives, _, err := readLife(s.c.FS, s.c.stageDir(), s.c.Store)
	if err != nil {
		return err
	}
	files, err := s.loadStages()
	if err != nil {
		return err
	}
	if s.unseen, err = loadUnseen(s.c.FS, s.c.unseenName()); err != nil {
		for _, f := range files {
			_ = f.Close() // read only so far
		}
		return err
	}
	lost, err := s.openIndex()
	if err == nil && lives == 0 {
		err = s.newborn()
	}
	if err == nil && (lost || lives > 0 && s.idx.Applied().IsZero()) {
		files, err = s.rebuild(ctx, files)
	}
	if err == nil {
		err = s.loadBase()
	}
	if err != nil {
		for _, f := range files {
			_ = f.Close() // read only so far
		}
		return err
	}
	last, err := s.replay(files)
	if err != nil {
		return err
	}
	if err := s.openReleased(); err != nil {
		return err
	}
	if s.com.life, err = beginLife(s.c.FS, s.c.stageDir(), s.c.Store, last); err != nil {
		return err
	}
	if err := s.jour.start(); err != nil {
		return err
	}
	if err := s.openGrace(ctx); err != nil {
		return err
	}
	s.keepReserve()
	return s.nodesChanged(ctx)
}

// newborn refuses a store that has lived and whose stage is gone, the file of its
// lives with it. What the index had not flushed by then stood there only, and so
// did which stamps were issued: to go on would hide objects that the nodes have,
// and give their stamps and log numbers away again. A disk that is not mounted
// looks just like that.
func (s *Store) newborn() error {
	lived := !s.idx.Applied().IsZero()
	if ns, err := readNodes(s.c.FS, s.c.Dir, s.c.Store); err != nil {
		return err
	} else if len(ns) > 0 {
		lived = true
	}
	if s.c.Roots != nil {
		body, ok := s.c.Roots.Body()
		lived = lived || ok && body.Life > 0
	}
	if !lived {
		return nil
	}
	return fmt.Errorf("store: %s is empty, and this store has lived: is its disk mounted? If it is gone for good, so are the objects that were only there, "+
		"and `cairn recover` into another directory brings back everything else: %w", s.c.stageDir(), cairn.ErrUnavailable)
}

// rebuildName marks an index that was found damaged while it was open.
func (s *Store) rebuildName() string { return filepath.Join(s.c.Dir, "index-damaged") }

// openIndex opens the index, or an empty one in place of a damaged one; lost
// says which.
func (s *Store) openIndex() (lost bool, err error) {
	c := s.c.indexConfig()
	_, marked := s.c.FS.Size(s.rebuildName())
	if marked != nil {
		if s.idx, err = index.Open(c); err == nil || !errors.Is(err, cairn.ErrCorrupt) {
			return false, err
		}
	}
	s.c.Log.Error("the index is damaged; it is made again from the stage and the nodes", "err", err)
	if err := index.Destroy(s.c.FS, s.c.indexDir()); err != nil {
		return true, fmt.Errorf("store: damaged index: %w", err)
	}
	if s.idx, err = index.Open(c); err != nil {
		return true, err
	}
	return true, nil
}

// markDamaged makes the next start rebuild the index.
func (s *Store) markDamaged() {
	if err := durable.WriteFile(s.c.FS, s.rebuildName(), []byte("rebuild\n")); err != nil {
		s.c.Log.Error("cannot mark the index as damaged; remove it before the next start", "dir", s.c.indexDir(), "err", err)
	}
}
