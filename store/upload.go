package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// The ops that end an upload have groups of their own. So whoever decides about
// an upload may ask the index, which then has all that came before: nothing of
// the same group begins, ends or moves it.

// CreateUpload begins a multipart upload and returns it with its id and time.
// It survives restarts until it is completed, aborted or UploadAge old.
func (s *Store) CreateUpload(ctx context.Context, u Upload) (Upload, error) {
	if err := u.Key.Check(); err != nil {
		return Upload{}, err
	}
	if _, err := s.bucket(u.Key.Bucket); err != nil {
		return Upload{}, err
	}
	if err := s.admit(ctx, 0); err != nil {
		return Upload{}, err
	}
	rec := pack.Upload{Key: u.Key.Object, Header: u.Header, Meta: u.Meta, Algorithm: u.Algorithm, FullObject: u.FullObject}
	if _, err := rand.Read(rec.ID[:]); err != nil {
		return Upload{}, fmt.Errorf("store: random bytes: %w", err)
	}
	defer s.com.begin()()
	room := recordBase + len(rec.Key) + len(rec.Algorithm) + mapRoom(rec.Header) + mapRoom(rec.Meta)
	err := s.com.submit(ctx, &op{recs: room, scope: scope{bucket: u.Key.Bucket}, build: func(t *txn) error {
		b, err := t.bucket(u.Key.Bucket)
		if err != nil {
			return err
		}
		rec.Bucket, rec.Created = b.ID, uint64(t.now.UnixMilli())
		return t.log(rec)
	}})
	if err != nil {
		return Upload{}, err
	}
	return uploadOf(u.Key.Bucket, rec), nil
}

func uploadOf(bucket string, u pack.Upload) Upload {
	return Upload{Key: cairn.Key{Bucket: bucket, Object: u.Key}, ID: u.ID.String(), Created: time.UnixMilli(int64(u.Created)).UTC(),
		Header: u.Header, Meta: u.Meta, Algorithm: u.Algorithm, FullObject: u.FullObject}
}

// parseUpload reads an id as a client sends it; anything but 32 lower-case hex
// digits is ErrNoUpload, as an id that was never given out.
func parseUpload(text string) (id pack.UploadID, err error) {
	if len(text) == 2*len(id) {
		_, err = hex.Decode(id[:], []byte(text))
	}
	if err != nil || id.String() != text {
		return pack.UploadID{}, ErrNoUpload
	}
	return id, nil
}

// upload returns the upload in progress of that id in bucket b; ErrNoUpload for
// one of another bucket or key, and for one that has ended.
func (s *Store) upload(b pack.Bucket, key string, id pack.UploadID) (index.Upload, error) {
	u, err := s.idx.Upload(id)
	if errors.Is(err, cairn.ErrNotExist) || err == nil && (u.Bucket != b.ID || u.Key != key) {
		return index.Upload{}, ErrNoUpload
	}
	if err != nil {
		return index.Upload{}, s.indexError("upload", err)
	}
	return u, nil
}

// indexError is err of a read of the index, with what was read.
func (s *Store) indexError(what string, err error) error {
	if errors.Is(err, cairn.ErrCorrupt) {
		s.fail(err) // the index rotted: it is made again at the next start
	}
	return fmt.Errorf("store: %s: %w", what, err)
}

// find is upload for what a client names.
func (s *Store) find(k cairn.Key, text string) (pack.Bucket, index.Upload, error) {
	if err := s.err(); err != nil {
		return pack.Bucket{}, index.Upload{}, err
	}
	if err := k.Check(); err != nil {
		return pack.Bucket{}, index.Upload{}, err
	}
	b, err := s.bucket(k.Bucket)
	if err != nil {
		return b, index.Upload{}, err
	}
	id, err := parseUpload(text)
	if err != nil {
		return b, index.Upload{}, err
	}
	u, err := s.upload(b, k.Object, id)
	return b, u, err
}

// Upload returns an upload in progress, or ErrNoUpload.
func (s *Store) Upload(ctx context.Context, k cairn.Key, id string) (Upload, error) {
	_, u, err := s.find(k, id)
	if err != nil {
		return Upload{}, err
	}
	return uploadOf(k.Bucket, u.Upload), nil
}

// AbortUpload ends an upload in progress and drops its parts. ErrNoUpload where
// there is none: it was aborted before, completed, or never begun.
func (s *Store) AbortUpload(ctx context.Context, k cairn.Key, id string) error {
	_, u, err := s.find(k, id)
	if err != nil {
		return err
	}
	return s.decideIn(ctx, scope{bucket: k.Bucket}, func(t *txn) error {
		if _, err := s.upload(pack.Bucket{ID: u.Bucket}, k.Object, u.ID); err != nil {
			return err
		}
		return t.log(pack.UploadGone{Upload: u.ID})
	})
}

// Parts returns one page of an upload's parts: up to limit, with numbers above
// after.
func (s *Store) Parts(ctx context.Context, k cairn.Key, id string, after, limit int) (PartList, error) {
	pid, err := parseUpload(id)
	if err != nil {
		_, _, err = s.find(k, id) // which may have more to say of the bucket
		return PartList{}, err
	}
	// The parts come first: an upload that is still there then was there with
	// them.
	parts, more, err := s.idx.UploadParts(pid, uint16(min(max(after, 0), MaxParts)), limit)
	if err != nil {
		return PartList{}, s.indexError("parts of an upload", err)
	}
	_, u, err := s.find(k, id)
	if err != nil {
		return PartList{}, err
	}
	list := PartList{Upload: uploadOf(k.Bucket, u.Upload), More: more}
	for _, p := range parts {
		list.Parts = append(list.Parts, partOf(p.UploadPart))
	}
	return list, nil
}

// Uploads returns one page of a bucket's uploads in progress.
func (s *Store) Uploads(ctx context.Context, r UploadsRequest) (UploadList, error) {
	if err := s.err(); err != nil {
		return UploadList{}, err
	}
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return UploadList{}, err
	}
	var after pack.UploadID
	if r.AfterUpload != "" {
		if after, err = parseUpload(r.AfterUpload); err != nil {
			return UploadList{}, fmt.Errorf("store: list uploads after %q: an upload id has 32 hex digits: %w", r.AfterUpload, cairn.ErrInvalid)
		}
	}
	page, err := s.idx.Uploads(b.ID, r.Prefix, r.Delimiter, r.AfterKey, after, r.Max)
	if err != nil {
		return UploadList{}, s.indexError("list uploads", err)
	}
	list := UploadList{Prefixes: page.Prefixes, NextKey: page.NextKey, More: page.More}
	if page.NextID != (pack.UploadID{}) {
		list.NextUpload = page.NextID.String()
	}
	for _, u := range page.Uploads {
		up := uploadOf(r.Bucket, u.Upload)
		up.Header, up.Meta = nil, nil
		list.Uploads = append(list.Uploads, up)
	}
	return list, nil
}
