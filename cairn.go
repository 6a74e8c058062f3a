// Package cairn holds the nouns that every other package speaks in and the
// error classes that every caller decides by. It imports the standard library
// only and does no I/O.
//
// Reading order: cairn.go (keys and objects), id.go (packs, shards, nodes,
// stamps), errors.go (classes).
package cairn

import (
	"fmt"
	"time"
	"unicode/utf8"
)

// MaxKeyLength is the longest object key in bytes, as S3 has it.
const MaxKeyLength = 1024

// Key names one object: a bucket and a key in it.
type Key struct {
	Bucket string // bucket name, 3 to 63 bytes of [a-z0-9.-]
	Object string // object key, 1 to 1,024 bytes of UTF-8
}

// String is bucket/object, for messages; object names are private, so logs
// carry it at Debug only.
func (k Key) String() string { return k.Bucket + "/" + k.Object }

// Check returns ErrInvalid when k cannot name an object. It does not look at
// whether the bucket exists.
func (k Key) Check() error {
	if err := CheckBucketName(k.Bucket); err != nil {
		return err
	}
	switch {
	case k.Object == "":
		return fmt.Errorf("object key is empty: %w", ErrInvalid)
	case len(k.Object) > MaxKeyLength:
		return fmt.Errorf("object key has %d bytes, at most %d are allowed: %w", len(k.Object), MaxKeyLength, ErrInvalid)
	case !utf8.ValidString(k.Object):
		return fmt.Errorf("object key is not UTF-8: %w", ErrInvalid)
	}
	return nil
}

// CheckBucketName returns ErrInvalid unless name follows the S3 rules for
// general purpose buckets: 3 to 63 bytes of a-z, 0-9, dot and hyphen, with a
// letter or digit at both ends and no two dots in a row.
func CheckBucketName(name string) error {
	bad := func(why string) error {
		return fmt.Errorf("bucket name %q: %s: %w", name, why, ErrInvalid)
	}
	if len(name) < 3 || len(name) > 63 {
		return bad("needs 3 to 63 characters")
	}
	alnum := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
	for i := range len(name) {
		c := name[i]
		switch {
		case alnum(c) || c == '-':
		case c == '.' && name[max(i-1, 0)] != '.':
		default:
			return bad("use a-z, 0-9, hyphens and single dots")
		}
	}
	if !alnum(name[0]) || !alnum(name[len(name)-1]) {
		return bad("must begin and end with a letter or digit")
	}
	return nil
}

// Object is what is known of one stored object without reading it.
type Object struct {
	Key      Key
	Size     int64             // bytes of content
	ETag     string            // without quotes; hex MD5 for a single PUT
	Modified time.Time         // when the write was acknowledged, to the millisecond
	Header   map[string]string // content headers kept for the client, canonical names (Content-Type ...)
	Meta     map[string]string // x-amz-meta-*, names in lower case without the prefix
	Checksum []Checksum        // as the client sent them, verified; returned on request
	Parts    []int64           // sizes of the parts it was uploaded in; nil for a single PUT
	Stamp    Stamp             // the record that made this version
}

// Checksum is one S3 object checksum.
type Checksum struct {
	Algorithm string // CRC32, CRC32C, CRC64NVME, SHA1, SHA256
	Value     string // base64, with -N for a composite
}
