package store

import (
	"fmt"
	"io"
	"time"

	"github.com/cairn-storage/cairn"
)

// Errors of multipart uploads that a client is told more about than their
// class says.
var (
	ErrNoUpload = fmt.Errorf("multipart upload %w", cairn.ErrNotExist)
	ErrNoPart   = fmt.Errorf("uploaded part: %w", cairn.ErrInvalid)
)

// UploadAge is how long an upload that is neither completed nor aborted is
// kept, and how long a completed one can be completed again with the same
// answer.
const UploadAge = 7 * 24 * time.Hour

// MaxParts is the highest part number; the lowest is 1.
const MaxParts = 10_000

// Upload is a multipart upload in progress.
type Upload struct {
	Key          cairn.Key
	ID           string // 32 hex digits
	Created      time.Time
	Header, Meta map[string]string // of the object to be, as in Put
	// Algorithm is that of its parts' checksums, "" for none. FullObject: the
	// object's checksum is of its bytes, else of its parts' checksums.
	Algorithm  string
	FullObject bool
}

// PutPart is one write of one part of an upload.
type PutPart struct {
	Key    cairn.Key
	Upload string // its id
	Number int    // 1 to MaxParts; a part of that number sent before is replaced
	Body   io.Reader
	Size   int64                  // as in Put
	Digest func() (Digest, error) // as in Put
}

// Part is one uploaded part.
type Part struct {
	Number   int
	Size     int64
	ETag     string // without quotes
	Modified time.Time
	Checksum []cairn.Checksum
}

// PartList is one page of an upload's parts, by number.
type PartList struct {
	Upload Upload
	Parts  []Part
	More   bool // there are parts after the last of Parts
}

// UploadsRequest asks for one page of a bucket's uploads in progress, by key,
// then by the time they began, then by id.
type UploadsRequest struct {
	Bucket    string
	Prefix    string
	Delimiter string // any length; empty for none
	// Uploads of keys and common prefixes up to and with AfterKey are left out,
	// but with AfterUpload, an id, only those of AfterKey up to and with it.
	AfterKey, AfterUpload string
	Max                   int // entries (uploads and prefixes together), at most 1,000
}

// UploadList is one page.
type UploadList struct {
	Uploads  []Upload // without Header and Meta
	Prefixes []string
	// NextKey and NextUpload are AfterKey and AfterUpload of the next page;
	// meaningful only when More.
	NextKey, NextUpload string
	More                bool
}

// CompleteUpload makes an object of parts of an upload.
type CompleteUpload struct {
	Key    cairn.Key
	Upload string
	// Numbers are the parts to take, rising. One that is not there is ErrNoPart.
	Numbers []int
	// ETag is what the object's will be. An upload completed with this ETag up
	// to UploadAge ago is answered with what it became, whatever If says.
	ETag string
	If   Condition
	// Decide is called with the parts that Numbers name, when the write is
	// decided and before anything is logged: it refuses them, or gives the
	// digest of the object. It must be quick and may be called more than once.
	Decide func([]Part) (Digest, error)
}
