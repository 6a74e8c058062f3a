package store

import (
	"context"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// Copy is one server-side copy.
type Copy struct {
	From, To cairn.Key
	// Source holds the copy back unless the source's ETag fits.
	Source Condition
	If     Condition // for the destination
	// Replace takes Header and Meta below instead of the source's.
	Replace      bool
	Header, Meta map[string]string
}

// Copy makes To another name of From's bytes: the new version refers to the
// same extents, and each of the two keeps them alive. The source is resolved
// when the record is stamped, so a move or delete that comes first is seen.
func (s *Store) Copy(ctx context.Context, c Copy) (cairn.Object, error) {
	if err := c.From.Check(); err != nil {
		return cairn.Object{}, err
	}
	if err := c.To.Check(); err != nil {
		return cairn.Object{}, err
	}
	seen, err := s.version(c.From)
	if err != nil {
		return cairn.Object{}, err
	}
	if err := s.admit(ctx, 0); err != nil {
		return cairn.Object{}, err
	}
	listRoom := roomForList(seen.Put.Parts)
	defer s.com.begin()()
	var out cairn.Object
	err = s.com.submit(ctx, &op{recs: recordBase + pack.InlineExtents + cairn.MaxKeyLength + 16<<10, bytes: listRoom, user: true, build: func(t *txn) error {
		from, err := t.bucket(c.From.Bucket)
		if err != nil {
			return err
		}
		to, err := t.bucket(c.To.Bucket)
		if err != nil {
			return err
		}
		v, ok, err := t.object(from.ID, c.From.Object)
		if err != nil {
			return err
		}
		if !ok {
			return cairn.ErrNotExist
		}
		if err := t.check(from.ID, c.From.Object, c.Source); err != nil {
			return err
		}
		if err := t.check(to.ID, c.To.Object, c.If); err != nil {
			return err
		}
		rec := v.Put
		rec.Bucket, rec.Key, rec.Modified = to.ID, c.To.Object, uint64(t.now.UnixMilli())
		if c.Replace {
			rec.Header, rec.Meta = c.Header, c.Meta
		}
		parts := v.Put.Parts
		if roomForList(parts) > listRoom {
			return fmt.Errorf("store: the source changed while it was copied, try again: %w", cairn.ErrUnavailable)
		}
		list, err := t.place(&rec, parts)
		if err != nil {
			return err
		}
		stamp, err := t.change(rec, list)
		if err != nil {
			return err
		}
		out = cairn.Object{Key: c.To, Size: int64(rec.Size), ETag: rec.ETag, Modified: t.now.UTC().Truncate(time.Millisecond),
			Header: rec.Header, Meta: rec.Meta, Checksum: rec.Checksum, Stamp: stamp}
		return nil
	}})
	return out, err
}

// roomForList is what a list of parts may need in frames of a group, bytes.
func roomForList(parts []pack.Part) int {
	n := 0
	for _, p := range parts {
		n += 32 + 32*len(p.Extents)
	}
	if n <= pack.InlineExtents/2 {
		return 0
	}
	return int(pack.SealedLength(int64(n)))
}
