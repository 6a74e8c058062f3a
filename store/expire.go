package store

import (
	"context"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// expireTick is how often old uploads are looked for.
const expireTick = time.Hour

// endsPerGroup bounds how many uploads one group ends: their records have some
// 40 bytes each.
const endsPerGroup = 500

// expirer ends uploads that are older than UploadAge, at start and hourly, until
// ctx ends.
func (s *Store) expirer(ctx context.Context) {
	t := time.NewTicker(expireTick)
	defer t.Stop()
	for {
		if err := s.expire(ctx, time.Now()); err != nil && ctx.Err() == nil && cairn.Class(err) != cairn.ErrUnavailable {
			s.c.Log.Warn("old multipart uploads could not be ended; they are tried again within the hour", "err", err)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// expire ends the uploads that began more than UploadAge before now, and forgets
// what became of those that ended so long ago.
func (s *Store) expire(ctx context.Context, now time.Time) error {
	before := uint64(now.Add(-UploadAge).UnixMilli())
	for {
		old, err := s.oldUploads(before)
		if err != nil {
			return err
		}
		if len(old) == 0 {
			break
		}
		err = s.decide(ctx, func(t *txn) error {
			for _, id := range old {
				if _, err := s.idx.Upload(id); err != nil {
					continue // it ended meanwhile
				}
				if err := t.log(pack.UploadGone{Upload: id}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		s.c.Log.Info("multipart uploads ended that nobody completed", "uploads", len(old), "older_than", UploadAge)
	}
	return s.idx.ForgetUploads(before)
}

// oldUploads returns uploads that began before, Unix milliseconds, as many as
// one group ends.
func (s *Store) oldUploads(before uint64) (old []pack.UploadID, err error) {
	for u, err := range s.idx.AllUploads() {
		if err != nil {
			return nil, s.indexError("uploads", err)
		}
		if u.Created < before {
			old = append(old, u.ID)
		}
		if len(old) == endsPerGroup {
			break
		}
	}
	return old, nil
}
