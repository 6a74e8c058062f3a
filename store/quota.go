package store

import (
	"fmt"
	"strconv"

	"github.com/cairn-storage/cairn/pack"
)

// Quotas count the bytes of a bucket's objects, copies included: the sum that
// a listing shows. Parts of uploads count once they are completed. The
// committer decides, who alone knows what comes before a write.

// quotaOf is the most bytes that b's objects may have together, 0 for no limit.
func quotaOf(b pack.Bucket) int64 {
	n, err := strconv.ParseInt(b.Setting[settingQuota], 10, 64)
	if err != nil || n < 0 {
		return 0 // what SetBucketQuota wrote parses
	}
	return n
}

// mayFit refuses early what has no chance: size bytes more of key, where size is
// known, as the bucket is now.
func (s *Store) mayFit(b pack.Bucket, key string, size int64) error {
	quota := quotaOf(b)
	if quota == 0 || size < 0 {
		return nil
	}
	v, err := s.idx.Object(b.ID, key)
	if err != nil { // none there, or an index that says so again when the write is decided
		v.Put.Size = 0
	}
	return within(quota, s.held(b.ID), size-int64(v.Put.Size))
}

// fits returns how many bytes rec, as the newest version of its object, adds to
// the objects of b, or ErrQuota where that passes its quota. Without a quota it
// is 0: nobody asks.
func (t *txn) fits(b pack.Bucket, rec pack.Put) (more int64, err error) {
	quota := quotaOf(b)
	if quota == 0 {
		return 0, nil
	}
	v, _, err := t.object(rec.Bucket, rec.Key)
	if err != nil {
		return 0, err
	}
	more = int64(rec.Size) - int64(v.Put.Size)
	return more, within(quota, t.c.s.held(b.ID)+t.grown[b.ID], more)
}

// held is how many bytes the objects of a bucket have, what is being decided
// left out.
func (s *Store) held(bucket uint64) int64 { return int64(s.idx.Totals().Buckets[bucket].Bytes) }

// within returns ErrQuota where more bytes beside used ones pass quota. What
// makes a bucket smaller is never refused.
func within(quota, used, more int64) error {
	if more > 0 && more > quota-used {
		return fmt.Errorf("store: %d of %d bytes are used, %d more do not fit: %w", used, quota, more, ErrQuota)
	}
	return nil
}

// grow notes that this group changes the bytes of b's objects by n.
func (t *txn) grow(b pack.Bucket, n int64) {
	if quotaOf(b) == 0 {
		return
	}
	if t.grown == nil {
		t.grown = make(map[uint64]int64)
	}
	t.grown[b.ID] += n
}
