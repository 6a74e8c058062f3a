package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// CreateBucket makes a bucket; ErrBucketExists where there is one.
func (s *Store) CreateBucket(ctx context.Context, name string) error {
	if err := cairn.CheckBucketName(name); err != nil {
		return err
	}
	return s.decideIn(ctx, scope{bucket: name}, func(t *txn) error {
		_, err := t.bucket(name)
		if err == nil {
			return fmt.Errorf("bucket %q: %w", name, ErrBucketExists)
		}
		if !errors.Is(err, cairn.ErrNotExist) {
			return err
		}
		return t.log(pack.Bucket{ID: t.next, Name: name, Created: uint64(t.now.UnixMilli())})
	})
}

// DeleteBucket removes an empty bucket; ErrBucketNotEmpty otherwise. Uploads in
// progress do not hold it back: they are aborted, some in each group.
func (s *Store) DeleteBucket(ctx context.Context, name string) error {
	for more := true; more; {
		err := s.decideIn(ctx, scope{bucket: name}, func(t *txn) error {
			b, err := t.bucket(name)
			if err != nil {
				return fmt.Errorf("bucket %q: %w", name, err)
			}
			empty, err := s.idx.BucketEmpty(b.ID)
			if err != nil {
				return err
			}
			if !empty {
				return fmt.Errorf("bucket %q: %w", name, ErrBucketNotEmpty)
			}
			page, err := s.idx.Uploads(b.ID, "", "", "", pack.UploadID{}, endsPerGroup)
			if err != nil {
				return err
			}
			for _, u := range page.Uploads {
				if err := t.log(pack.UploadGone{Upload: u.ID}); err != nil {
					return err
				}
			}
			if more = page.More; more {
				return nil
			}
			return t.log(pack.BucketGone{ID: b.ID})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// decide commits what build adds in a group of its own, so that it may look at
// more than one key of the index.
func (s *Store) decide(ctx context.Context, build func(*txn) error) error {
	return s.decideIn(ctx, scope{}, build)
}

// decideIn is decide with the ack of a bucket or of the store.
func (s *Store) decideIn(ctx context.Context, in scope, build func(*txn) error) error {
	defer s.com.begin()()
	return s.com.submit(ctx, &op{recs: 32 << 10, alone: true, scope: in, build: build})
}

// Bucket returns one bucket's settings; ErrNoBucket where there is none.
func (s *Store) Bucket(ctx context.Context, name string) (Bucket, error) {
	if err := s.err(); err != nil {
		return Bucket{}, err
	}
	b, err := s.bucket(name)
	if err != nil {
		return Bucket{}, fmt.Errorf("bucket %q: %w", name, err)
	}
	return bucketOf(b), nil
}

// Buckets returns all buckets in order of name.
func (s *Store) Buckets(ctx context.Context) ([]Bucket, error) {
	if err := s.err(); err != nil {
		return nil, err
	}
	bs, err := s.idx.Buckets()
	if err != nil {
		return nil, err
	}
	out := make([]Bucket, len(bs))
	for i, b := range bs {
		out[i] = bucketOf(b)
	}
	return out, nil
}

func bucketOf(b pack.Bucket) Bucket {
	return Bucket{Name: b.Name, Created: time.UnixMilli(int64(b.Created)).UTC(), Public: b.Public,
		Quota: quotaOf(b), CORS: b.Setting[settingCORS], Ack: b.Setting[settingAck]}
}

// List returns one page of a bucket's keys.
func (s *Store) List(ctx context.Context, r ListRequest) (Listing, error) {
	if err := s.err(); err != nil {
		return Listing{}, err
	}
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return Listing{}, err
	}
	entries, prefixes, next, more, err := s.idx.List(b.ID, r.Prefix, r.Delimiter, r.After, r.Max)
	if err != nil {
		return Listing{}, fmt.Errorf("store: list: %w", err)
	}
	l := Listing{Prefixes: prefixes, Next: next, More: more}
	for _, e := range entries {
		l.Objects = append(l.Objects, cairn.Object{Key: cairn.Key{Bucket: r.Bucket, Object: e.Key}, Size: int64(e.Size),
			ETag: e.ETag, Modified: time.UnixMilli(int64(e.Modified)).UTC(), Stamp: e.Stamp})
	}
	return l, nil
}
