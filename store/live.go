package store

import (
	"errors"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// place is where an extent stands, which all versions share that are copies of
// one another.
type place struct {
	pack   cairn.PackID
	offset uint32
	length uint64
}

// liveExtent is an extent that something refers to.
type liveExtent struct {
	place
	content crypt.ContentID
	size    uint64 // of the content
	first   uint64 // frame number
}

// live is what is referred to in one pack.
type live struct {
	extents []liveExtent // each once, by offset
	objects []objectID   // whose versions refer to it
	lists   int64        // sealed bytes of lists of extents in it
	uploads int          // parts of uploads in progress that refer to it
}

// bytes is what of the pack is live.
func (l *live) bytes() uint64 {
	n := uint64(l.lists)
	for _, e := range l.extents {
		n += uint64(pack.SealedLength(int64(e.length)))
	}
	return n
}

// liveReader finds what is live in packs. A version of many packs is decoded
// once for several of them that follow one another, as those of a large object
// do. It is not for concurrent use.
type liveReader struct {
	s    *Store
	last []*largeVersion // the most recent ones, newest last
}

type largeVersion struct {
	ref     index.Ref // without its pack
	extents map[cairn.PackID][]liveExtent
	list    *pack.Part
}

const (
	largeExtents  = 32 // a version of more is remembered
	largeVersions = 8
)

// forget is to be called when versions may lie elsewhere than before.
func (l *liveReader) forget() { l.last = nil }

// of returns what is live in a pack.
func (l *liveReader) of(id cairn.PackID) (out live, err error) {
	seen := make(map[place]bool)
	for ref, err := range l.s.idx.Refs(id) {
		if err != nil {
			return out, err
		}
		extents, list, err := l.version(ref)
		if errors.Is(err, cairn.ErrNotExist) {
			continue // it went meanwhile
		}
		if err != nil {
			return out, err
		}
		if ref.Part != 0 {
			out.uploads++
		} else {
			out.objects = append(out.objects, objectID{ref.Bucket, ref.Key})
		}
		for _, e := range extents {
			if !seen[e.place] {
				seen[e.place] = true
				out.extents = append(out.extents, e)
			}
		}
		if list != nil {
			for _, e := range list.Extents {
				if e.Pack == id {
					out.lists += pack.SealedLength(int64(e.Length))
				}
			}
		}
	}
	slices.SortFunc(out.extents, func(a, b liveExtent) int { return int(int64(a.offset) - int64(b.offset)) })
	return out, nil
}

// version returns the extents in ref.Pack of the version or part that ref is of,
// and its list if any.
func (l *liveReader) version(ref index.Ref) ([]liveExtent, *pack.Part, error) {
	id := ref.Pack
	ref.Pack = cairn.PackID{}
	for _, v := range l.last {
		if v.ref == ref {
			return v.extents[id], v.list, nil
		}
	}
	var parts []pack.Part
	var list *pack.Part
	if ref.Part != 0 {
		p, err := l.s.idx.UploadPart(ref.Upload, ref.Part)
		if err != nil {
			return nil, nil, err
		}
		parts, list = p.Parts, p.List
	} else {
		v, err := l.s.idx.Object(ref.Bucket, ref.Key)
		if err != nil {
			return nil, nil, err
		}
		parts, list = v.Put.Parts, v.Put.List
	}
	v := &largeVersion{ref: ref, extents: make(map[cairn.PackID][]liveExtent), list: list}
	n := 0
	for _, p := range parts {
		var done uint64
		for _, e := range p.Extents {
			v.extents[e.Pack] = append(v.extents[e.Pack], liveExtent{place{e.Pack, e.Offset, e.Length}, p.ID, p.Size, done / pack.FrameSize})
			done += e.Length
			n++
		}
	}
	if n > largeExtents {
		l.last = append(l.last[max(0, len(l.last)+1-largeVersions):], v)
	}
	return v.extents[id], list, nil
}
