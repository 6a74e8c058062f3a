package store

import (
	"errors"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// What one op of moves may take at most, bytes; a version with a list longer
// than that has an op of its own.
const (
	movesRecords = 24 << 10
	movesLists   = 1 << 20
)

// mover logs moves: records that say where the current version of an object lies
// now.
type mover struct {
	s     *Store
	to    map[place][]pack.Extent
	from  map[cairn.PackID]bool // what lists lie in is written anew, too
	open  cairn.PackID          // nothing is moved into it yet
	moved int                   // records
}

// moves moves the versions of objects, whatever they are when the record is
// stamped: one that was overwritten meanwhile has other extents, one that was
// copied is another object. Doing it again does nothing.
func (m *mover) moves(w *rewriter, objects []objectID) error {
	var batch []objectID
	recs, lists := 0, 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := m.submit(w, batch)
		batch, recs, lists = nil, 0, 0
		return err
	}
	for _, o := range objects {
		r, l, err := m.room(o)
		if err != nil {
			return err
		}
		if len(batch) > 0 && (recs+r > movesRecords || lists+l > movesLists) {
			if err := flush(); err != nil {
				return err
			}
		}
		batch, recs, lists = append(batch, o), recs+r, lists+l
	}
	return flush()
}

// room is what a move of o may need now: bytes of records, and of a list.
func (m *mover) room(o objectID) (recs, list int, err error) {
	v, err := m.s.idx.Object(o.bucket, o.key)
	if errors.Is(err, cairn.ErrNotExist) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, m.s.indexError("object", err)
	}
	parts, _ := m.place(v.Put.Parts)
	n := 0
	for _, p := range parts {
		n += len(p.Extents)
	}
	return recordBase + len(o.key) + min(extentRoom*(n+len(parts)), pack.InlineExtents), roomForList(parts), nil
}

// stands reports whether all of an extent's new places stand on nodes.
func (m *mover) stands(to []pack.Extent) bool {
	return !slices.ContainsFunc(to, func(e pack.Extent) bool { return e.Pack == m.open })
}

// place returns parts as they lie now; changed tells whether that is elsewhere.
func (m *mover) place(parts []pack.Part) (out []pack.Part, changed bool) {
	for i, p := range parts {
		moved := false
		var extents []pack.Extent
		for j, e := range p.Extents {
			to, ok := m.to[place{e.Pack, e.Offset, e.Length}]
			ok = ok && m.stands(to)
			switch {
			case ok && !moved:
				extents = append(slices.Clone(p.Extents[:j]), to...)
				moved = true
			case ok:
				extents = append(extents, to...)
			case moved:
				extents = append(extents, e)
			}
		}
		if !moved {
			continue
		}
		if !changed {
			out, changed = slices.Clone(parts), true
		}
		out[i].Extents = extents
	}
	if !changed {
		return parts, false
	}
	return out, true
}

// submit logs the moves of batch in one group.
func (m *mover) submit(w *rewriter, batch []objectID) error {
	n := 0
	err := m.s.submitFitting(w.ctx, func() (*op, error) {
		o := &op{}
		rooms := make([][2]int, len(batch))
		for i, id := range batch {
			recs, list, err := m.room(id)
			if err != nil {
				return nil, err
			}
			rooms[i] = [2]int{recs, list}
			o.recs, o.bytes = o.recs+recs, o.bytes+list
		}
		o.build = func(t *txn) (err error) {
			n, err = m.build(t, batch, rooms)
			return err
		}
		return o, nil
	})
	if err == nil {
		m.moved += n
	}
	return err
}

// build decides the moves. Nothing is added before all are known to fit.
func (m *mover) build(t *txn, batch []objectID, rooms [][2]int) (int, error) {
	type next struct {
		v     index.Version
		parts []pack.Part
	}
	var all []next
	for i, o := range batch {
		v, ok, err := t.object(o.bucket, o.key)
		if err != nil {
			return 0, err
		}
		if !ok {
			continue
		}
		parts, changed := m.place(v.Put.Parts)
		if !changed && !m.listed(v.Put.List) {
			continue
		}
		extents := 0
		for _, p := range parts {
			extents += len(p.Extents)
		}
		if recordBase+len(o.key)+min(extentRoom*(extents+len(parts)), pack.InlineExtents) > rooms[i][0] || roomForList(parts) > rooms[i][1] {
			return 0, errOutgrown
		}
		all = append(all, next{v, parts})
	}
	for _, x := range all {
		rec := pack.Move{Bucket: x.v.Put.Bucket, Key: x.v.Put.Key, Of: x.v.Stamp}
		var err error
		if rec.Parts, rec.List, err = t.place(x.parts); err != nil {
			return 0, err
		}
		if _, err := t.change(rec, x.parts); err != nil {
			return 0, err
		}
	}
	return len(all), nil
}

// listed reports whether a list lies in a pack that is to be empty.
func (m *mover) listed(list *pack.Part) bool {
	return list != nil && slices.ContainsFunc(list.Extents, func(e pack.Extent) bool { return m.from[e.Pack] })
}
