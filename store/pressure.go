package store

import (
	"context"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
)

// userShare is how much of the stage and of the nodes user data may fill, in
// percent; the rest is for records, so that deletes always work.
const userShare = 95

// diskReserve is left free on the stage's file system for log packs and the
// index, bytes.
const diskReserve = 64 << 20

// admit lets a write of size bytes in, or says why not: ErrFull where nodes or
// disk have no room for user data, ErrSlowDown where the nodes are too slow and
// waiting did not help.
func (s *Store) admit(ctx context.Context, size int64) error {
	if err := s.writable(); err != nil {
		return err
	}
	if s.c.Nodes.Full() {
		return fmt.Errorf("store: the nodes are filled to %d %%; add a node or delete objects: %w", userShare, cairn.ErrFull)
	}
	free, _, err := s.c.FS.Free(s.c.stageDir())
	if err != nil {
		return diskError(err)
	}
	if free < diskReserve+uint64(min(size, int64(s.c.PackSize))) {
		return fmt.Errorf("store: the disk of the stage has %d MiB left, of which %d MiB are kept for deletes; free some space on %s: %w", free>>20, diskReserve>>20, s.c.Dir, cairn.ErrFull)
	}
	return s.room(ctx, min(size, s.c.small()))
}

// room waits until n bytes more fit the stage's share for user data.
func (s *Store) room(ctx context.Context, n int64) error { return s.roomWithin(ctx, n, userShare) }

// roomWithin is room for a share in percent: compaction, which makes room in the
// end, may use what is kept from user data.
func (s *Store) roomWithin(ctx context.Context, n, share int64) error {
	var late <-chan time.Time
	for {
		s.mu.Lock()
		used, eased := s.used, s.eased
		s.mu.Unlock()
		if err := s.halt(); err != nil {
			return err
		}
		if used+n <= s.c.StageLimit/100*share {
			return nil
		}
		if late == nil {
			t := time.NewTimer(s.c.SlowWait)
			defer t.Stop()
			late = t.C
			s.kick()
		}
		select {
		case <-eased:
		case <-late:
			return fmt.Errorf("store: %d MiB wait on this machine for the nodes, the stage allows %d: %w", used>>20, s.c.StageLimit>>20, cairn.ErrSlowDown)
		case <-ctx.Done():
			return fmt.Errorf("store: waiting for room in the stage: %w: %w", ctx.Err(), cairn.ErrSlowDown)
		case <-s.ctx.Done():
			return s.closing()
		}
	}
}
