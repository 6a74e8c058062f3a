package store

import (
	"errors"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// txn is one group being decided. Conditions are judged against the index and
// what this group changed before.
type txn struct {
	c       *committer
	g       *pack.GroupBuilder
	now     time.Time
	next    uint64 // LSN
	last    cairn.Stamp
	changes []index.Change
	over    map[objectID]int // object -> change that made its newest version, this group
	grown   map[uint64]int64 // bucket with a quota -> bytes that this group adds to its objects
	useful  bool             // more than the preamble is in it
	refused *error           // why writes that must stand on nodes are, nil until one asked
}

type objectID struct {
	bucket uint64
	key    string
}

// preamble adds what the first group of a life begins with.
func (t *txn) preamble() {
	t.next, t.last = t.c.life.next, t.c.life.last
	if !t.c.life.written {
		t.add(pack.Life{Tag: t.c.life.tag, Last: t.c.life.last}, nil)
	}
}

// preambleRoom is what preamble may add, in bytes of records.
const preambleRoom = 128

// peek is the stamp that the next record gets.
func (t *txn) peek() cairn.Stamp { return cairn.Stamp{Life: t.c.life.number, LSN: t.next} }

// add stamps body and adds it. parts are the resolved parts where body names a
// list.
func (t *txn) add(body pack.Body, parts []pack.Part) cairn.Stamp {
	rec := pack.Record{Stamp: t.peek(), Body: body}
	t.next++
	t.last = rec.Stamp
	t.g.Add(rec)
	t.changes = append(t.changes, index.Change{Record: rec, Parts: parts})
	return rec.Stamp
}

// change is add for what an op asked for; parts count where body lists them
// elsewhere. A record that would not parse again is ErrInvalid and not added:
// nothing may be acknowledged that breaks replay.
func (t *txn) change(body pack.Body, parts []pack.Part) (cairn.Stamp, error) {
	if err := (pack.Record{Stamp: t.peek(), Body: body}).Check(); err != nil {
		return cairn.Stamp{}, err
	}
	if _, list := whereOf(body); list == nil {
		parts = nil
	}
	t.useful = true
	n := len(t.changes)
	stamp := t.add(body, parts)
	if p, ok := putIn(body); ok {
		t.note(objectID{p.Bucket, p.Key}, n)
	}
	if d, ok := body.(pack.Delete); ok {
		t.note(objectID{d.Bucket, d.Key}, n)
	}
	return stamp, nil
}

// putIn returns the version that a record makes, if any.
func putIn(b pack.Body) (p pack.Put, ok bool) {
	switch b := b.(type) {
	case pack.Put:
		return b, true
	case pack.UploadDone:
		return b.Put, true
	}
	return p, false
}

// log is change where nobody asks for the stamp.
func (t *txn) log(body pack.Body) error {
	_, err := t.change(body, nil)
	return err
}

func (t *txn) note(o objectID, n int) {
	if t.over == nil {
		t.over = make(map[objectID]int)
	}
	t.over[o] = n
}

// object returns the current version, this group's changes included; ok is
// false where there is none.
func (t *txn) object(bucket uint64, key string) (v index.Version, ok bool, err error) {
	if n, there := t.over[objectID{bucket, key}]; there {
		ch := t.changes[n]
		p, isPut := putIn(ch.Record.Body)
		if !isPut {
			return index.Version{}, false, nil
		}
		if p.List != nil {
			p.Parts = ch.Parts
		}
		return index.Version{Stamp: ch.Record.Stamp, Put: p}, true, nil
	}
	v, err = t.c.s.idx.Object(bucket, key)
	if errors.Is(err, cairn.ErrNotExist) {
		return index.Version{}, false, nil
	}
	return v, err == nil, err
}

// bucket returns the living bucket of that name. Buckets change only in groups
// of their own, so the index knows.
func (t *txn) bucket(name string) (pack.Bucket, error) {
	b, err := t.c.s.idx.BucketByName(name)
	if errors.Is(err, cairn.ErrNotExist) {
		return b, ErrNoBucket
	}
	return b, err
}
