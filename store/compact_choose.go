package store

import (
	"cmp"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
)

// chosen is a pack to be rewritten.
type chosen struct {
	id    cairn.PackID
	bytes uint32 // of the pack
	live  uint64
	count int // of what refers to it
}

// choose asks about every pack that objects lie in, most to be freed first.
func (k *compaction) choose() (all []chosen, err error) {
	s := k.s
	for row, err := range s.idx.Packs(cairn.PackID{}) {
		if err == nil {
			err = k.ctx.Err()
		}
		if err != nil {
			return nil, s.indexError("compact", err)
		}
		if row.State != index.Spread || !holdsObjects(row.Kind) {
			continue
		}
		l, err := k.live.of(row.Params.ID)
		if err != nil {
			return nil, s.indexError("compact", err)
		}
		live := l.bytes()
		if live == 0 || !k.c.Want(row, live) {
			continue
		}
		if l.uploads > 0 {
			k.out.Waiting++
			continue
		}
		if !k.affordable(row, live) {
			k.out.Dear++
			continue
		}
		all = append(all, chosen{row.Params.ID, row.Bytes, live, len(l.objects) + len(l.extents)})
	}
	slices.SortStableFunc(all, func(a, b chosen) int {
		return cmp.Compare(float64(a.live)/float64(max(a.bytes, 1)), float64(b.live)/float64(max(b.bytes, 1)))
	})
	return all, nil
}

// fitting is the first of all that are not too much together.
func (k *compaction) fitting(all []chosen) []chosen {
	if k.c.most == 0 {
		return all
	}
	var sum uint64
	for i, p := range all {
		if sum += p.live; sum > k.c.most {
			k.out.Left += len(all) - i
			return all[:i]
		}
	}
	return all
}
