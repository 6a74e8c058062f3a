package store

import (
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// whereOf returns the parts of a record that places a content, and the content
// that lists them where there are too many.
func whereOf(b pack.Body) (parts []pack.Part, list *pack.Part) {
	switch b := b.(type) {
	case pack.Put:
		return b.Parts, b.List
	case pack.Move:
		return b.Parts, b.List
	case pack.UploadPart:
		return b.Parts, b.List
	case pack.UploadDone:
		return b.Put.Parts, b.Put.List
	}
	return nil, nil
}

// packsOf lists the packs that a change's extents lie in, those that only its
// list names included.
func packsOf(ch index.Change) (ids []cairn.PackID) {
	inline, list := whereOf(ch.Record.Body)
	parts := slices.Concat(ch.Parts, inline)
	if list != nil {
		parts = append(parts, *list)
	}
	for _, p := range parts {
		for _, e := range p.Extents {
			ids = append(ids, e.Pack)
		}
	}
	return ids
}

// resolve reads the list that r names, if any, from p.
func (s *Store) resolve(p *staged, r pack.Record) (index.Change, error) {
	ch := index.Change{Record: r}
	_, list := whereOf(r.Body)
	if list == nil {
		return ch, nil
	}
	var plain []byte
	var number uint64
	for _, e := range list.Extents {
		b := make([]byte, pack.SealedLength(int64(e.Length)))
		if e.Pack != p.id() {
			return ch, fmt.Errorf("store: record %v: its list lies in another pack: %w", r.Stamp, cairn.ErrCorrupt)
		}
		if err := p.file.ReadAt(b, e.Offset); err != nil {
			return ch, fmt.Errorf("store: record %v: %w", r.Stamp, err)
		}
		var err error
		if plain, number, err = openExtent(p.key, plain, b, *list, e, number); err != nil {
			return ch, fmt.Errorf("store: record %v: list: %w", r.Stamp, err)
		}
	}
	parts, err := pack.ParseParts(plain)
	if err != nil {
		return ch, fmt.Errorf("store: record %v: list: %w", r.Stamp, err)
	}
	ch.Parts = parts
	return ch, nil
}

// openExtent appends the plaintext of extent e of part, whose sealed bytes are
// b and whose first frame has number n, to dst.
func openExtent(key *crypt.PackKey, dst, b []byte, part pack.Part, e pack.Extent, n uint64) ([]byte, uint64, error) {
	at, last := uint64(e.Offset), (part.Size-1)/pack.FrameSize
	for len(b) > 0 {
		size := min(len(b), pack.SealedSize)
		var err error
		if dst, err = key.OpenFrame(dst, b[:size], at, part.ID, n, n == last); err != nil {
			return nil, 0, err
		}
		b, at, n = b[size:], at+uint64(size), n+1
	}
	return dst, n, nil
}

// extentOf is what a record says of a data pack.
type extentOf struct {
	part  pack.Part
	ext   pack.Extent
	first uint64      // frame number of ext
	by    cairn.Stamp // of the record
}

// note remembers the extents that ch names, by pack, and of several records that
// name one the oldest: it made the pack, and only if it does not count, none
// does. A copy or a completed upload names the same packs again.
func note(named map[cairn.PackID]extentOf, ch index.Change) {
	if _, ok := ch.Record.Body.(pack.Move); ok {
		return // the pack it names holds more contents than this one
	}
	parts, list := whereOf(ch.Record.Body)
	if list != nil {
		parts = ch.Parts
	}
	for _, part := range parts {
		var done uint64
		for _, e := range part.Extents {
			if n, ok := named[e.Pack]; !ok || ch.Record.Stamp.Compare(n.by) < 0 {
				named[e.Pack] = extentOf{part, e, done / pack.FrameSize, ch.Record.Stamp}
			}
			done += e.Length
		}
	}
}
