package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// version adds a version of an object whose bytes are parts.
func (t *txn) version(rec pack.Put, parts []pack.Part) (stamp cairn.Stamp, err error) {
	if rec.Parts, rec.List, err = t.place(parts); err != nil {
		return stamp, err
	}
	return t.change(rec, parts)
}

// place returns parts as a record carries them: themselves, or, where they are
// too long for that, a list of them in frames of this group.
func (t *txn) place(parts []pack.Part) ([]pack.Part, *pack.Part, error) {
	enc := pack.AppendParts(nil, parts)
	if len(enc) <= pack.InlineExtents {
		return parts, nil, nil
	}
	id, err := newContentID()
	if err != nil {
		return nil, nil, err
	}
	e := t.g.Frames(id, 0, enc, true)
	return nil, &pack.Part{ID: id, Size: uint64(len(enc)), Extents: []pack.Extent{e}}, nil
}

// roomForList is what a list of parts may need in frames of a group, bytes.
func roomForList(parts []pack.Part) int {
	n := 0
	for _, p := range parts {
		n += roomForPart(p)
	}
	return listRoom(n)
}

// roomForPart is what one part may need in a list, bytes.
func roomForPart(p pack.Part) int { return 32 + 32*len(p.Extents) }

// listRoom is what a list of n bytes may need in frames of a group, bytes.
func listRoom(n int) int {
	if n <= pack.InlineExtents/2 {
		return 0
	}
	return int(pack.SealedLength(int64(n)))
}

// errOutgrown is an op that found, when it was decided, more to list than it
// had asked room for: what it refers to was replaced meanwhile.
var errOutgrown = fmt.Errorf("store: what the write refers to changed meanwhile, try again: %w", cairn.ErrUnavailable)

// submitFitting submits ops that make gives until one had asked for enough room.
func (s *Store) submitFitting(ctx context.Context, make func() (*op, error)) error {
	for {
		o, err := make()
		if err != nil {
			return err
		}
		if err := s.com.submit(ctx, o); !errors.Is(err, errOutgrown) {
			return err
		}
	}
}

// check decides a condition against the current version.
func (t *txn) check(bucket uint64, key string, c Condition) error {
	if len(c.Match) == 0 && len(c.NoneMatch) == 0 {
		return nil
	}
	v, ok, err := t.object(bucket, key)
	if err != nil {
		return err
	}
	matches := func(tags []string) bool {
		return ok && (slices.Contains(tags, "*") || slices.Contains(tags, v.Put.ETag))
	}
	if len(c.Match) > 0 && !matches(c.Match) {
		if !ok {
			return fmt.Errorf("object %w, so it matches no ETag", cairn.ErrNotExist) // 404, as S3 has it
		}
		return fmt.Errorf("the object's ETag is %q: %w", v.Put.ETag, cairn.ErrPrecondition)
	}
	if matches(c.NoneMatch) {
		return fmt.Errorf("the object exists with ETag %q: %w", v.Put.ETag, cairn.ErrPrecondition)
	}
	return nil
}
