package store

import (
	"context"
	"fmt"
	"strconv"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// Names in pack.Bucket.Setting.
const (
	settingQuota = "quota" // decimal bytes
	settingCORS  = "cors"  // as the edge encodes it
	settingAck   = "ack"   // AckStaged or AckSpread
)

// maxCORS is the most bytes of cross-origin rules.
const maxCORS = 8 << 10

// SetBucketPublic says whether anonymous clients may read a bucket's objects.
func (s *Store) SetBucketPublic(ctx context.Context, name string, public bool) error {
	return s.setBucket(ctx, name, func(b *pack.Bucket) { b.Public = public })
}

// SetBucketCORS keeps a bucket's cross-origin rules, "" for none; ErrInvalid for
// more than 8 KiB.
func (s *Store) SetBucketCORS(ctx context.Context, name, rules string) error {
	if len(rules) > maxCORS {
		return fmt.Errorf("store: bucket %q: cross-origin rules of %d bytes, at most %d are kept: %w", name, len(rules), maxCORS, cairn.ErrInvalid)
	}
	return s.setBucket(ctx, name, func(b *pack.Bucket) { setIn(b, settingCORS, rules) })
}

// SetBucketQuota limits the bytes that a bucket's objects may have together; 0
// ends the limit. What is stored already stays, also where it is more.
func (s *Store) SetBucketQuota(ctx context.Context, name string, bytes int64) error {
	if bytes < 0 {
		return fmt.Errorf("store: bucket %q: quota of %d bytes; use 0 for none: %w", name, bytes, cairn.ErrInvalid)
	}
	value := ""
	if bytes > 0 {
		value = strconv.FormatInt(bytes, 10)
	}
	return s.setBucket(ctx, name, func(b *pack.Bucket) { setIn(b, settingQuota, value) })
}

// setBucket changes a bucket's settings and leaves those it does not know.
func (s *Store) setBucket(ctx context.Context, name string, change func(*pack.Bucket)) error {
	return s.decideIn(ctx, scope{bucket: name}, func(t *txn) error {
		b, err := t.bucket(name)
		if err != nil {
			return fmt.Errorf("bucket %q: %w", name, err)
		}
		change(&b)
		return t.log(b)
	})
}

// setIn sets one setting of b, or drops it where value is empty.
func setIn(b *pack.Bucket, name, value string) {
	if value == "" {
		delete(b.Setting, name)
		return
	}
	if b.Setting == nil {
		b.Setting = make(map[string]string, 1)
	}
	b.Setting[name] = value
}
