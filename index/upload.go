package index

import (
	"fmt"
	"iter"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cockroachdb/pebble/v2"
)

// Upload is a multipart upload in progress.
type Upload struct {
	Stamp cairn.Stamp // of the record that began it
	pack.Upload
}

// UploadedPart is the newest part of its number of an upload in progress.
type UploadedPart struct {
	Stamp cairn.Stamp
	pack.UploadPart
}

// Upload returns an upload in progress, or ErrNotExist.
func (x *Index) Upload(id pack.UploadID) (Upload, error) {
	var u Upload
	err := x.view(func(r pebble.Reader) error {
		is, known, over, err := uploadState(r, id)
		if err == nil && (!known || over) {
			err = fmt.Errorf("multipart upload %w", cairn.ErrNotExist)
		}
		u = is
		return err
	})
	if err != nil {
		return Upload{}, err
	}
	return u, nil
}

// UploadDone returns the version that a completed upload became, as it was
// then and without its parts, or ErrNotExist.
func (x *Index) UploadDone(id pack.UploadID) (Version, error) {
	if !x.users.enter() {
		return Version{}, errClosed()
	}
	defer x.users.leave()
	ends, err := readEnded(x.db, id)
	if err != nil {
		return Version{}, err
	}
	for _, e := range slices.Backward(ends) {
		if e.counts && e.done {
			p, err := decodeHead(e.k, e.head)
			return Version{Stamp: e.stamp, Put: p}, err
		}
	}
	return Version{}, fmt.Errorf("completed multipart upload %w", cairn.ErrNotExist)
}

// UploadParts returns up to max parts of an upload with numbers above after,
// rising, without where they lie, and whether there are more. An upload that
// is not in progress has none.
func (x *Index) UploadParts(id pack.UploadID, after uint16, max int) (parts []UploadedPart, more bool, err error) {
	err = x.view(func(r pebble.Reader) error {
		p := partPage{upload: id, after: after, max: max}
		err := p.read(r)
		parts, more = p.parts, p.more
		return err
	})
	return parts, more, err
}

// UploadPart returns one part of an upload with where it lies, or ErrNotExist.
func (x *Index) UploadPart(id pack.UploadID, number uint16) (UploadedPart, error) {
	var u UploadedPart
	err := x.view(func(r pebble.Reader) error {
		_, known, over, err := uploadState(r, id)
		if err != nil {
			return err
		}
		p, err := readPart(r, partName{id, number})
		if err != nil {
			return err
		}
		if !known || over || p == nil {
			return fmt.Errorf("uploaded part %d %w", number, cairn.ErrNotExist)
		}
		if u, err = p.read(); err == nil {
			u.Parts, u.List, err = p.lies(r)
		}
		return err
	})
	if err != nil {
		return UploadedPart{}, err
	}
	return u, nil
}

// AllUploads gives every upload in progress of every bucket, by bucket id, key
// and stamp.
func (x *Index) AllUploads() iter.Seq2[Upload, error] {
	return func(yield func(Upload, error) bool) {
		x.rows([]byte{tableListed}, nil, func(k, _ []byte) (bool, error) {
			u, err := parseListedKey(k)
			if err != nil {
				return false, err
			}
			key := uploadKey(tableUpload, u.ID, u.Stamp)
			row, ok, err := get(x.db, key)
			if err != nil || !ok {
				return err == nil, err // forgotten since the walk began
			}
			b, err := parseBegan(key, row)
			return err == nil && yield(b.Upload, nil), err
		}, func(err error) { yield(Upload{}, err) })
	}
}

// BucketUploads tells whether any upload is in progress in the bucket with
// that id.
func (x *Index) BucketUploads(bucket uint64) (bool, error) {
	if !x.users.enter() {
		return false, errClosed()
	}
	defer x.users.leave()
	p := listedPrefix(bucket, "")
	free, err := none(x.db, p, after(p))
	return err == nil && !free, err
}

// view lets read look at all rows as they are at one moment.
func (x *Index) view(read func(pebble.Reader) error) error {
	if !x.users.enter() {
		return errClosed()
	}
	defer x.users.leave()
	s := x.db.NewSnapshot()
	defer s.Close() // only reads
	return read(s)
}

// partPage is a page of parts being made.
type partPage struct {
	upload pack.UploadID
	after  uint16
	max    int

	parts []UploadedPart
	more  bool
	stats pebble.IteratorStats // what it cost
}

func (p *partPage) read(r pebble.Reader) error {
	_, known, over, err := uploadState(r, p.upload)
	if err != nil || !known || over || p.max <= 0 {
		return err
	}
	it, err := r.NewIter(within(uploadPrefix(tablePart, p.upload)))
	if err != nil {
		return fmt.Errorf("index: read: %w", classed(err))
	}
	above := append(partName{p.upload, p.after}.key(tablePart), 0)
	for ok := it.SeekGE(above); ok && err == nil; ok = it.Next() {
		if len(p.parts) == p.max {
			p.more = true
			break
		}
		err = p.take(it)
	}
	p.stats = it.Stats()
	return closeIter(it, err)
}

func (p *partPage) take(it *pebble.Iterator) error {
	v, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	f, err := parsePart(it.Key(), v)
	if err != nil {
		return err
	}
	u, err := f.read()
	p.parts = append(p.parts, u)
	return err
}
