package index

import (
	"fmt"
	"strings"

	"github.com/cairn-storage/cairn/pack"
	"github.com/cockroachdb/pebble/v2"
)

// UploadPage is one page of uploads in progress, which are without Header and
// Meta. When More, NextKey and NextID are the afterKey and afterID of the next
// page.
type UploadPage struct {
	Uploads  []Upload
	Prefixes []string
	NextKey  string
	NextID   pack.UploadID
	More     bool
}

// Uploads returns one page of a bucket's uploads in progress, by key, then
// stamp; prefix, delimiter and max as in List. Left out is what lies at or before
// afterKey, or, where afterID is not zero, of afterKey only uploads at or before
// that one: none of them where afterID is forgotten.
func (x *Index) Uploads(bucket uint64, prefix, delimiter, afterKey string, afterID pack.UploadID, max int) (UploadPage, error) {
	p := uploadPage{bucket: bucket, prefix: prefix, delimiter: delimiter, afterKey: afterKey, afterID: afterID, max: max}
	if err := x.view(p.read); err != nil {
		return UploadPage{}, err
	}
	return p.UploadPage, nil
}

// uploadPage is a listing being made.
type uploadPage struct {
	bucket                      uint64
	prefix, delimiter, afterKey string
	afterID                     pack.UploadID
	max                         int

	UploadPage
	stats pebble.IteratorStats // what it cost
}

func (p *uploadPage) read(r pebble.Reader) error {
	if p.max <= 0 {
		return nil
	}
	from, err := p.from(r)
	if err != nil {
		return err
	}
	it, err := r.NewIter(within(listedPrefix(p.bucket, p.prefix)))
	if err != nil {
		return fmt.Errorf("index: list uploads: %w", classed(err))
	}
	ok := it.SeekGE(from) // at the lower bound if that is higher
	for ok && err == nil && !p.More {
		ok, err = p.step(it)
	}
	p.stats = it.Stats()
	return closeIter(it, err)
}

// from is the least key that is not left out; common prefixes aside.
func (p *uploadPage) from(r pebble.Reader) ([]byte, error) {
	of := listedOf(p.bucket, p.afterKey)
	if p.afterID == (pack.UploadID{}) {
		return after(of), nil
	}
	// Ended between two pages, it still marks where the last one stopped.
	begins, err := readBegan(r, p.afterID)
	if err != nil || len(begins) == 0 {
		return of, err
	}
	is, known := newest(begins)
	if !known {
		is = begins[len(begins)-1].Upload
	}
	return append(append(appendStamp(of, is.Stamp), p.afterID[:]...), 0), nil
}

// step takes the upload that it stands on and moves on, past all that hide
// behind the same common prefix. It returns false at the end.
func (p *uploadPage) step(it *pebble.Iterator) (bool, error) {
	u, err := parseListedKey(it.Key())
	if err == nil && !strings.HasPrefix(u.Key, p.prefix) {
		err = badRow(it.Key())
	}
	if err != nil {
		return false, err
	}
	if common, ok := p.common(u.Key); ok {
		if common > p.afterKey {
			if !p.add(common, pack.UploadID{}) {
				return false, nil
			}
			p.Prefixes = append(p.Prefixes, common)
		}
		past := after(listedPrefix(p.bucket, common))
		return it.SeekGE(past), nil
	}
	if !p.add(u.Key, u.ID) {
		return false, nil
	}
	v, err := it.ValueAndErr()
	if err != nil {
		return false, err
	}
	if u, err = parseListed(it.Key(), v); err != nil {
		return false, err
	}
	p.Uploads = append(p.Uploads, u)
	return it.Next(), nil
}

// common is the common prefix that key belongs to.
func (p *uploadPage) common(key string) (string, bool) {
	if p.delimiter == "" {
		return "", false
	}
	i := strings.Index(key[len(p.prefix):], p.delimiter)
	if i < 0 {
		return "", false
	}
	return key[:len(p.prefix)+i+len(p.delimiter)], true
}

// add makes room for one more entry; false, with More set, when there is none.
func (p *uploadPage) add(key string, id pack.UploadID) bool {
	if len(p.Uploads)+len(p.Prefixes) >= p.max {
		p.More = true
		return false
	}
	p.NextKey, p.NextID = key, id
	return true
}
