package store

import (
	"context"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// PutPart stores one part of an upload in progress, in place of one of its
// number sent before. When it returns nil the part survives a power loss of
// this machine; an error means that nothing was stored, but for ErrUnavailable,
// after which the part may still turn up whole. ErrNoUpload where the upload
// has ended, also when that happens while the body comes.
func (s *Store) PutPart(ctx context.Context, p PutPart) (Part, error) {
	if p.Number < 1 || p.Number > MaxParts {
		return Part{}, fmt.Errorf("store: part number %d: parts have numbers from 1 to %d: %w", p.Number, MaxParts, cairn.ErrInvalid)
	}
	b, u, err := s.find(p.Key, p.Upload)
	if err != nil {
		return Part{}, err
	}
	if err := s.mayFit(b, p.Key.Object, p.Size); err != nil {
		return Part{}, err
	}
	if err := s.admit(ctx, max(p.Size, 0)); err != nil {
		return Part{}, err
	}
	defer s.com.begin()()
	id, err := newContentID()
	if err != nil {
		return Part{}, err
	}
	body := &body{s: s, id: id, life: s.com.life.number}
	defer body.done()
	d, err := body.take(ctx, p.Body, p.Size, p.Digest)
	if err == nil {
		err = s.mayFit(b, p.Key.Object, body.size)
	}
	if err != nil {
		body.abandon()
		return Part{}, err
	}
	rec := pack.UploadPart{Upload: u.ID, Number: uint16(p.Number), Size: uint64(body.size), ETag: d.ETag, Checksum: d.Checksum}
	o := &op{
		bytes: body.room(),
		recs:  recordBase + len(rec.ETag) + sumsRoom(rec.Checksum) + min(extentRoom*(len(body.extents)+2), pack.InlineExtents),
		packs: body.packs,
		scope: scope{bucket: p.Key.Bucket},
		build: func(t *txn) error {
			if _, err := s.upload(b, p.Key.Object, u.ID); err != nil {
				return err
			}
			rec.Modified = uint64(t.now.UnixMilli())
			parts := []pack.Part{body.part(t.g)}
			var err error
			if rec.Parts, rec.List, err = t.place(parts); err != nil {
				return err
			}
			_, err = t.change(rec, parts)
			return err
		},
	}
	if err := s.com.submit(ctx, o); err != nil {
		if !o.logged { // else the record may be found after a crash, and needs its bytes
			body.abandon()
		}
		return Part{}, err
	}
	return partOf(rec), nil
}

func partOf(p pack.UploadPart) Part {
	return Part{Number: int(p.Number), Size: int64(p.Size), ETag: p.ETag, Modified: time.UnixMilli(int64(p.Modified)).UTC(), Checksum: p.Checksum}
}
