package index

import (
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cockroachdb/pebble/v2"
)

// Version is one version of an object.
type Version struct {
	Stamp cairn.Stamp
	Put   pack.Put // Parts are always there; List too when the record had one
}

// Object returns the current version of an object, or ErrNotExist.
func (x *Index) Object(bucket uint64, key string) (Version, error) {
	if !x.users.enter() {
		return Version{}, errClosed()
	}
	defer x.users.leave()
	k := objectKey{bucket, key}
	f, err := readLive(x.db, k)
	if err != nil {
		return Version{}, err
	}
	if !isApart(f.where) {
		return f.read(x.db, k)
	}
	// Row and parts must be of one moment.
	s := x.db.NewSnapshot()
	defer s.Close() // only reads
	if f, err = readLive(s, k); err != nil {
		return Version{}, err
	}
	return f.read(s, k)
}

func readLive(r pebble.Reader, k objectKey) (*fact, error) {
	row := plainKey(tableLive, k)
	b, ok, err := get(r, row)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("object %w", cairn.ErrNotExist)
	}
	return parseLiveRow(row, b)
}

// read is the version that f, a put, describes.
func (f *fact) read(r pebble.Reader, k objectKey) (Version, error) {
	p, err := decodeHead(k, f.head)
	if err != nil {
		return Version{}, err
	}
	if p.Parts, p.List, err = decodeWhere(r, k, f.record, f.where); err != nil {
		return Version{}, err
	}
	return Version{Stamp: f.version, Put: p}, nil
}
