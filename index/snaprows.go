package index

import (
	"bytes"
	"encoding/binary"
	"iter"

	"github.com/cairn-storage/cairn/pack"
	"github.com/cockroachdb/pebble/v2"
)

// Rows gives, in rising order of key, every row of a checkpoint that changed in
// generation from or after it, as the snapshot has it, or as a tombstone; from
// 0: all rows that there are. First comes one that names the generation. Rows of
// packs are as they stand now, with those that changed since the snapshot: what
// matters of them is where the shards are, and that is known best last. A row is
// valid until the next one; an error ends it.
//
// ErrPrecondition when generation from began before the marks did: after Load,
// before the first full run, and of what that run holds.
func (s *Snapshot) Rows(from uint32) iter.Seq2[pack.Row, error] {
	return func(yield func(pack.Row, error) bool) {
		if err := s.each(from, func(r pack.Row) bool { return yield(r, nil) }); err != nil {
			yield(pack.Row{}, err)
		}
	}
}

// each calls row with every row until it wants no more.
func (s *Snapshot) each(from uint32, row func(pack.Row) bool) error {
	if !s.x.users.enter() {
		return errClosed()
	}
	defer s.x.users.leave()
	if err := s.check(from); err != nil {
		return err
	}
	if !row(pack.Row{Key: []byte{kindGeneration}, Value: binary.BigEndian.AppendUint32(nil, s.era.generation)}) {
		return nil
	}
	more := true
	for _, c := range carriers() {
		var err error
		if from == 0 {
			more, err = s.all(c, row)
		} else {
			more, err = s.changed(c, from, row)
		}
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// all calls row with every row of one kind.
func (s *Snapshot) all(c carrier, row func(pack.Row) bool) (more bool, err error) {
	var buf []byte
	more = true
	err = s.scan(c.kind == kindPack, []byte(c.prefix), func(k, v []byte) (bool, error) {
		r, err := c.row(buf, k, v)
		if err != nil {
			return false, err
		}
		buf = r.Key
		more = row(r)
		return more, nil
	})
	return more, err
}

// changed calls row with every row of one kind that changed in generation from
// or after it.
func (s *Snapshot) changed(c carrier, from uint32, row func(pack.Row) bool) (more bool, err error) {
	now := c.kind == kindPack
	var it *pebble.Iterator // over the rows themselves
	defer func() {
		if it != nil {
			err = closeIter(it, err) // also when row panics
		}
	}()
	var buf []byte
	more = true
	err = s.scan(now, append([]byte{tableMark}, c.prefix...), func(k, v []byte) (bool, error) {
		key, generation, err := parseMark(k, v)
		if err != nil || generation < from {
			return true, err
		}
		// Begun after the look at the marks: a row of now is never older than
		// its mark, or a new one would look as if it were gone.
		if it == nil {
			if it, err = s.iter(now, []byte(c.prefix)); err != nil {
				return false, err
			}
		}
		r, err := c.find(it, buf, key)
		if err != nil {
			return false, err
		}
		buf = r.Key
		more = row(r)
		return more, nil
	})
	return more, err
}

// find is the row at key, which it is asked for in rising order, or a
// tombstone.
func (c carrier) find(it *pebble.Iterator, buf, key []byte) (pack.Row, error) {
	if it.SeekGE(key) && bytes.Equal(it.Key(), key) {
		v, err := it.ValueAndErr()
		if err != nil {
			return pack.Row{}, err
		}
		return c.row(buf, key, v)
	}
	r := pack.Row{Key: append(append(buf[:0], c.kind), key[len(c.prefix):]...), Gone: true}
	return r, it.Error()
}
