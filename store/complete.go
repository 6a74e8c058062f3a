package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// CompleteUpload makes parts of an upload the newest version of its object, all
// or nothing, and ends the upload: parts that are not named are dropped. One
// that was completed before with the same ETag, up to UploadAge ago, is answered
// with what it became, whatever happened to that since; Parts of the answer is
// not filled.
//
// Errors, first to last: ErrNoUpload, ErrNoPart, what Decide says, ErrQuota and
// what If comes to. After any of them the upload is as it was.
func (s *Store) CompleteUpload(ctx context.Context, c CompleteUpload) (out cairn.Object, err error) {
	if err := c.Key.Check(); err != nil {
		return out, err
	}
	id, err := parseUpload(c.Upload)
	if err != nil {
		if _, gone := s.bucket(c.Key.Bucket); gone != nil {
			return out, gone
		}
		return out, err
	}
	if err := c.checkNumbers(); err != nil {
		return out, err
	}
	if err := s.err(); err != nil { // not admit: the bytes are stored already
		return out, err
	}
	defer s.com.begin()()
	err = s.submitFitting(ctx, func() (*op, error) {
		room, text, err := s.completeRoom(id, c.Numbers)
		if err != nil {
			return nil, err
		}
		return &op{bytes: room, recs: 2*recordBase + pack.InlineExtents + text, alone: true, scope: scope{bucket: c.Key.Bucket}, build: func(t *txn) (err error) {
			out, err = t.complete(c, id, room)
			return err
		}}, nil
	})
	return out, err
}

// maxDigest is room for what Decide gives: an ETag and up to eight checksums.
const maxDigest = 4 << 10

func (c CompleteUpload) checkNumbers() error {
	last := 0
	for _, n := range c.Numbers {
		if n <= last || n > MaxParts {
			return fmt.Errorf("store: complete an upload: part number %d after %d; name parts in order, from 1 to %d: %w", n, last, MaxParts, cairn.ErrInvalid)
		}
		last = n
	}
	if last == 0 {
		return fmt.Errorf("store: complete an upload: no part is named: %w", cairn.ErrInvalid)
	}
	return nil
}

// completeRoom is what completing an upload may need as it is now: for the list
// of its parts and for the strings of the record, bytes. It keeps no part, so
// that any number of clients may wait with any number of parts.
func (s *Store) completeRoom(id pack.UploadID, numbers []int) (list, text int, err error) {
	u, err := s.idx.Upload(id)
	if errors.Is(err, cairn.ErrNotExist) {
		return 0, 0, nil // the committer knows whether it was completed
	}
	if err != nil {
		return 0, 0, s.indexError("upload", err)
	}
	n := 0
	for _, number := range numbers {
		p, err := s.idx.UploadPart(id, uint16(number))
		if errors.Is(err, cairn.ErrNotExist) {
			break // as above
		}
		if err != nil {
			return 0, 0, s.indexError("part of an upload", err)
		}
		n += roomForPart(p.Parts[0])
	}
	return listRoom(n), len(u.Key) + mapRoom(u.Header) + mapRoom(u.Meta) + maxDigest, nil
}

// complete decides c, in a group of its own, and adds its record unless it was
// added before. room is what the list of its parts may take.
func (t *txn) complete(c CompleteUpload, id pack.UploadID, room int) (out cairn.Object, err error) {
	s := t.c.s
	b, err := t.bucket(c.Key.Bucket)
	if err != nil {
		return out, err
	}
	u, err := s.upload(b, c.Key.Object, id)
	if errors.Is(err, ErrNoUpload) {
		return t.completed(c, b, id)
	}
	if err != nil {
		return out, err
	}
	shown, parts, err := s.collect(id, c.Numbers)
	if err != nil {
		return out, err
	}
	d := Digest{ETag: c.ETag}
	if c.Decide != nil {
		if d, err = c.Decide(shown); err != nil {
			return out, err
		}
	}
	if d.ETag != "" && d.ETag != c.ETag { // nobody could ask for it again
		return out, fmt.Errorf("store: complete an upload: the parts make ETag %q, %q was announced: %w", d.ETag, c.ETag, cairn.ErrInvalid)
	}
	rec := pack.Put{Bucket: b.ID, Key: c.Key.Object, Modified: uint64(t.now.UnixMilli()), ETag: c.ETag,
		Header: u.Header, Meta: u.Meta, Checksum: d.Checksum}
	for _, p := range parts {
		rec.Size += p.Size
	}
	more, err := t.fits(b, rec)
	if err != nil {
		return out, err
	}
	if err := t.check(b.ID, c.Key.Object, c.If); err != nil {
		return out, err
	}
	if roomForList(parts) > room {
		return out, errOutgrown
	}
	if rec.Parts, rec.List, err = t.place(parts); err != nil {
		return out, err
	}
	stamp, err := t.change(pack.UploadDone{Upload: id, Put: rec}, parts)
	if err != nil {
		return out, err
	}
	t.grow(b, more)
	rec.Parts = nil
	return object(c.Key, index.Version{Stamp: stamp, Put: rec}), nil
}

// completed answers c where its upload has ended: with what it became, or
// ErrNoUpload.
func (t *txn) completed(c CompleteUpload, b pack.Bucket, id pack.UploadID) (cairn.Object, error) {
	v, err := t.c.s.idx.UploadDone(id)
	if errors.Is(err, cairn.ErrNotExist) {
		return cairn.Object{}, ErrNoUpload
	}
	if err != nil {
		return cairn.Object{}, t.c.s.indexError("completed upload", err)
	}
	old := t.now.Sub(time.UnixMilli(int64(v.Put.Modified))) > UploadAge
	if old || v.Put.Bucket != b.ID || v.Put.Key != c.Key.Object || v.Put.ETag != c.ETag {
		return cairn.Object{}, ErrNoUpload
	}
	v.Put.Parts = nil
	return object(c.Key, v), nil
}

// collect returns the parts of those numbers, as clients see them and where
// they lie; ErrNoPart names one that is not there.
func (s *Store) collect(id pack.UploadID, numbers []int) ([]Part, []pack.Part, error) {
	shown, parts := make([]Part, 0, len(numbers)), make([]pack.Part, 0, len(numbers))
	for _, n := range numbers {
		p, err := s.idx.UploadPart(id, uint16(n))
		if errors.Is(err, cairn.ErrNotExist) {
			return nil, nil, fmt.Errorf("part %d was not uploaded: %w", n, ErrNoPart)
		}
		if err != nil {
			return nil, nil, s.indexError("part of an upload", err)
		}
		shown, parts = append(shown, partOf(p.UploadPart)), append(parts, p.Parts[0])
	}
	return shown, parts, nil
}
