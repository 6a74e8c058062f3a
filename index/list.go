package index

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/wire"
	"github.com/cockroachdb/pebble/v2"
)

// Entry is what a listing shows of an object.
type Entry struct {
	Stamp    cairn.Stamp
	Key      string
	Size     uint64
	Modified uint64 // Unix milliseconds
	ETag     string // without quotes
}

// List returns one page of a bucket in byte order: the objects whose key
// begins with prefix, and, with a delimiter, one common prefix in place of all
// keys that have the delimiter after prefix and are the same up to and with
// it. Keys and common prefixes at or before after are left out. A page holds
// at most max entries of both kinds; next is the after of the page that
// follows when more is true. The cost is that of the page, not of what common
// prefixes hide.
func (x *Index) List(bucket uint64, prefix, delimiter, after string, max int) (entries []Entry, prefixes []string, next string, more bool, err error) {
	if !x.users.enter() {
		return nil, nil, "", false, errClosed()
	}
	defer x.users.leave()
	p := page{bucket: bucket, prefix: prefix, delimiter: delimiter, after: after, max: max}
	if err := p.read(x.db); err != nil {
		return nil, nil, "", false, err
	}
	return p.entries, p.prefixes, p.next, p.more, nil
}

// page is a listing being made.
type page struct {
	bucket                   uint64
	prefix, delimiter, after string
	max                      int

	entries  []Entry
	prefixes []string
	next     string
	more     bool
	stats    pebble.IteratorStats // what it cost
}

func (p *page) read(r pebble.Reader) error {
	if p.max <= 0 {
		return nil
	}
	bounds := within(plainKey(tableLive, objectKey{p.bucket, p.prefix}))
	it, err := r.NewIter(bounds)
	if err != nil {
		return fmt.Errorf("index: list: %w", classed(err))
	}
	var ok bool
	if p.after < p.prefix {
		ok = it.First()
	} else {
		ok = it.SeekGE(append(plainKey(tableLive, objectKey{p.bucket, p.after}), 0))
	}
	for ok && err == nil && !p.more {
		ok, err = p.step(it)
	}
	p.stats = it.Stats()
	return closeIter(it, err)
}

// step takes the key that it stands on and moves on, past all keys that hide
// behind the same common prefix. It returns false at the end.
func (p *page) step(it *pebble.Iterator) (bool, error) {
	row := it.Key()
	if len(row) < 9+len(p.prefix) {
		return false, badRow(row)
	}
	if group := p.group(row[9:]); group >= 0 {
		common := string(row[9 : 9+group])
		if common > p.after && !p.add(common) {
			return false, nil
		}
		if common > p.after {
			p.prefixes = append(p.prefixes, common)
		}
		past := after(row[:9+group])
		if past == nil {
			return false, nil
		}
		return it.SeekGE(past), nil
	}
	key := string(row[9:])
	if !p.add(key) {
		return false, nil
	}
	v, err := it.ValueAndErr()
	if err != nil {
		return false, err
	}
	e, err := decodeEntry(row, v)
	if err != nil {
		return false, err
	}
	e.Key = key
	p.entries = append(p.entries, e)
	return it.Next(), nil
}

// group is the length of the common prefix that key belongs to; -1 for none.
func (p *page) group(key []byte) int {
	if p.delimiter == "" {
		return -1
	}
	// The conversion does not allocate: Index does not keep it.
	i := strings.Index(string(key[len(p.prefix):]), p.delimiter)
	if i < 0 {
		return -1
	}
	return len(p.prefix) + i + len(p.delimiter)
}

// add makes room for one more entry; false, with more set, when there is none.
func (p *page) add(name string) bool {
	if len(p.entries)+len(p.prefixes) >= p.max {
		p.more = true
		return false
	}
	p.next = name
	return true
}

func decodeEntry(key, row []byte) (Entry, error) {
	if len(row) < 2*stampSize {
		return Entry{}, badRow(key)
	}
	e := Entry{Stamp: stampAt(row)}
	row = row[2*stampSize:]
	n, size := binary.Uvarint(row)
	if size <= 0 || n > uint64(len(row)-size) {
		return Entry{}, badRow(key)
	}
	r := wire.NewReader(row[size : uint64(size)+n])
	e.Size, e.Modified, e.ETag = r.Uvarint(1<<62), r.U64(), r.String(maxField)
	if err := r.Err(); err != nil {
		return Entry{}, fmt.Errorf("index: version row: %w", err)
	}
	return e, nil
}
