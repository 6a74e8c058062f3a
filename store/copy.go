package store

import (
	"context"
	"fmt"
	"maps"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// Copy is one server-side copy.
type Copy struct {
	From, To cairn.Key
	// Source holds the copy back unless the source's ETag fits.
	Source Condition
	// Check, where it is not nil, holds it back unless it returns nil for the
	// source as it is when the copy is decided. It must be quick and may be
	// called more than once.
	Check func(source cairn.Object) error
	If    Condition // for the destination
	// Replace takes Header and Meta below instead of the source's.
	Replace      bool
	Header, Meta map[string]string
	// Tags replace the source's tags, "" for none; nil keeps them.
	Tags *string
}

// Copy makes To another name of From's bytes: the new version refers to the
// same extents, and each of the two keeps them alive. The source is resolved
// when the record is stamped, so a move or delete that comes first is seen.
func (s *Store) Copy(ctx context.Context, c Copy) (out cairn.Object, err error) {
	if err := c.From.Check(); err != nil {
		return out, err
	}
	if err := c.To.Check(); err != nil {
		return out, err
	}
	if err := s.admit(ctx, 0); err != nil {
		return out, err
	}
	defer s.com.begin()()
	err = s.again(ctx, c.From, c.To.Bucket, c.textRoom(), func(t *txn, v index.Version) (err error) {
		out, err = t.copy(c, v)
		return err
	})
	return out, err
}

// textRoom is what c adds to the strings of a record, bytes.
func (c Copy) textRoom() int {
	n := len(c.To.Object) + mapRoom(c.Header) + mapRoom(c.Meta)
	if c.Tags != nil {
		n += tagsRoom(*c.Tags)
	}
	return n
}

// copy makes a version of c.To from v, the current one of c.From.
func (t *txn) copy(c Copy, v index.Version) (out cairn.Object, err error) {
	to, err := t.bucket(c.To.Bucket)
	if err != nil {
		return out, err
	}
	if err := t.check(v.Put.Bucket, c.From.Object, c.Source); err != nil {
		return out, err
	}
	if c.Check != nil {
		if err := c.Check(object(c.From, v)); err != nil {
			return out, err
		}
	}
	if err := t.check(to.ID, c.To.Object, c.If); err != nil {
		return out, err
	}
	rec := v.Put
	rec.Bucket, rec.Key, rec.Modified = to.ID, c.To.Object, uint64(t.now.UnixMilli())
	tags := v.Put.Header[TagsHeader]
	if c.Replace {
		rec.Header, rec.Meta = c.Header, c.Meta
	}
	if c.Tags != nil {
		tags = *c.Tags
	}
	rec.Header = tagged(rec.Header, tags)
	more, err := t.fits(to, rec)
	if err != nil {
		return out, err
	}
	stamp, err := t.version(rec, v.Put.Parts)
	if err != nil {
		return out, err
	}
	t.grow(to, more)
	return object(c.To, index.Version{Stamp: stamp, Put: rec}), nil
}

// again commits what build adds, into a bucket, for the current version of an object, whose
// parts the new version refers to, too. The record may have text bytes of
// strings beside those of that version. ErrNotExist where there is none.
func (s *Store) again(ctx context.Context, k cairn.Key, into string, text int, build func(*txn, index.Version) error) error {
	return s.submitFitting(ctx, func() (*op, error) {
		seen, err := s.version(k)
		if err != nil {
			return nil, err
		}
		room, strings := roomForList(seen.Put.Parts), textRoom(seen.Put)
		return &op{bytes: room, recs: recordBase + pack.InlineExtents + strings + text, scope: scope{bucket: into}, build: func(t *txn) error {
			b, err := t.bucket(k.Bucket)
			if err != nil {
				return err
			}
			v, ok, err := t.object(b.ID, k.Object)
			if err != nil {
				return err
			}
			if !ok {
				return fmt.Errorf("object %w", cairn.ErrNotExist)
			}
			if roomForList(v.Put.Parts) > room || textRoom(v.Put) > strings {
				return errOutgrown
			}
			return build(t, v)
		}}, nil
	})
}

// tagsRoom is what tags may need in a record, bytes.
func tagsRoom(tags string) int { return len(TagsHeader) + len(tags) + 8 }

// tagged returns header with tags and no others; header is not changed.
func tagged(header map[string]string, tags string) map[string]string {
	if header[TagsHeader] == tags { // most have none
		return header
	}
	header = maps.Clone(header)
	if tags == "" {
		delete(header, TagsHeader)
		return header
	}
	if header == nil {
		header = make(map[string]string, 1)
	}
	header[TagsHeader] = tags
	return header
}
