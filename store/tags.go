package store

import (
	"context"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
)

// SetTags replaces the tags of an object, "" for none, and nothing else of it:
// a new version of the same bytes, ETag and time. ErrNotExist where there is no
// object, ErrInvalid for more than 8 KiB.
func (s *Store) SetTags(ctx context.Context, k cairn.Key, tags string) error {
	if err := k.Check(); err != nil {
		return err
	}
	if err := s.admit(ctx, 0); err != nil {
		return err
	}
	defer s.com.begin()()
	return s.again(ctx, k, k.Bucket, tagsRoom(tags), func(t *txn, v index.Version) error {
		rec := v.Put
		rec.Header = tagged(rec.Header, tags)
		_, err := t.version(rec, v.Put.Parts)
		return err
	})
}
