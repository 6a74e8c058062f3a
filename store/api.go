package store

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/cairn-storage/cairn"
)

// Errors that a client is told more about than their class says.
var (
	ErrNoBucket       = fmt.Errorf("bucket %w", cairn.ErrNotExist)
	ErrBucketExists   = fmt.Errorf("bucket exists already: %w", cairn.ErrPrecondition)
	ErrQuota          = fmt.Errorf("the bucket's quota is used up: %w", cairn.ErrDenied)
	ErrBucketNotEmpty = fmt.Errorf("bucket is not empty: %w", cairn.ErrPrecondition)
)

// Put is one write of one object.
type Put struct {
	Key    cairn.Key
	Body   io.Reader
	Size   int64             // bytes of Body, or -1 when not known before its end
	Header map[string]string // content headers to keep, canonical names
	Meta   map[string]string // user metadata
	If     Condition
	// Digest is called once, after Body returned io.EOF and before anything
	// is committed; it gives what can only be known then. An error of Body or
	// Digest stores nothing.
	Digest func() (Digest, error)
}

// Digest is what the edge computed over a body while it was read.
type Digest struct {
	ETag     string // without quotes
	Checksum []cairn.Checksum
}

// Condition holds a write back unless the current version fits. It is decided
// atomically with the write. The zero Condition always holds.
type Condition struct {
	Match     []string // If-Match: one of these ETags, or "*" for any version
	NoneMatch []string // If-None-Match: none of these ETags, "*" for no version at all
}

// Source reads one version of an object, whatever is written meanwhile.
type Source interface {
	// Range returns a reader of exactly n bytes from off, both within the
	// object. It returns only after the first bytes are verified and in hand;
	// the reader then gives n bytes or an error, never a short clean end.
	Range(ctx context.Context, off, n int64) (io.ReadCloser, error)
	// Close ends the pin that keeps the version's bytes readable.
	Close() error
}

// ListRequest asks for one page of a bucket's keys in byte order.
type ListRequest struct {
	Bucket    string
	Prefix    string
	Delimiter string // any length; empty for none
	After     string // keys and common prefixes at or before it are left out
	Max       int    // entries (objects and prefixes together), at most 1,000
}

// Listing is one page.
type Listing struct {
	Objects  []cairn.Object
	Prefixes []string // common prefixes, each ends with the delimiter
	Next     string   // After of the next page; meaningful only when More
	More     bool
}

// Bucket is one bucket's settings.
type Bucket struct {
	Name    string
	Created time.Time
	Public  bool // anonymous GET and HEAD of objects
	// Quota is the most bytes that its objects may have together; 0 for no
	// limit. A write beyond it is ErrQuota.
	Quota int64
	// CORS is the bucket's cross-origin rules as the edge encodes them, at most
	// 8 KiB; empty for none.
	CORS string
	// Ack is AckStaged or AckSpread; empty for the store's.
	Ack string
}

// TagsHeader is the name in a version's Header under which its tags are kept,
// URL-encoded as in a query. It is not a content header.
const TagsHeader = "X-Amz-Tagging"

// Level is what an access key may do in a bucket; each includes the former.
type Level uint8

// The levels: Read lists and reads, Write also puts and deletes objects,
// Admin also makes and removes buckets.
const (
	None Level = iota
	Read
	Write
	Admin
)

// String is the word used in flags, output and documents.
func (l Level) String() string {
	switch l {
	case Read:
		return "read"
	case Write:
		return "write"
	case Admin:
		return "admin"
	}
	return "none"
}

// Grant gives a level in one bucket, or in all of them when Bucket is "*".
type Grant struct {
	Bucket string
	Level  Level
}

// Access is one S3 access key.
type Access struct {
	ID      string
	Secret  string
	Name    string // for people; may be empty
	Grants  []Grant
	Created time.Time
}

// Allows returns the level that a has in bucket.
func (a Access) Allows(bucket string) Level {
	best := None
	for _, g := range a.Grants {
		if g.Bucket == "*" || g.Bucket == bucket {
			best = max(best, g.Level)
		}
	}
	return best
}
