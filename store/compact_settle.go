package store

import (
	"cmp"
	"slices"
)

// begun is a pack whose live frames were sealed anew; some of them may lie in the
// pack that is open still.
type begun struct {
	chosen
	objects []objectID
	places  []place
}

// rewrite seals the live frames of packs anew.
func (k *compaction) rewrite(packs []chosen) error {
	for _, p := range packs {
		l, err := k.live.of(p.id)
		if err != nil {
			return k.s.indexError("compact", err)
		}
		b := begun{chosen: p, objects: l.objects}
		k.m.from[p.id] = true
		for i, e := range l.extents {
			k.w.coming = l.extents[i+1:]
			if k.m.to[e.place], err = k.w.extent(e); err != nil {
				return err
			}
			b.places = append(b.places, e.place)
		}
		k.begun = append(k.begun, b)
		k.out.Live += int64(p.live)
		k.s.m.compacted.Add(float64(p.live))
		k.progress()
	}
	return nil
}

// settle waits until what was made stands on nodes, and logs the moves into it.
// The pack that is open goes on with the next window, so that the end of a window
// makes no small pack, unless this is the last.
func (k *compaction) settle(last bool) error {
	made, err := k.w.spread(last)
	if err != nil {
		return err
	}
	defer k.s.disown(made) // from here on moves may name them
	k.out.Made += len(made)
	k.m.open = k.w.openID()
	before := k.m.moved
	err = k.move()
	k.out.Moved += k.m.moved - before
	k.s.m.moving.Add(float64(k.m.moved - before))
	k.live.forget()
	return err
}

// move logs the moves out of the packs begun, and for those that are done with,
// moves of copies that were made meanwhile; then it counts what is empty.
func (k *compaction) move() error {
	var objects []objectID
	var whole, rest []begun
	for _, b := range k.begun {
		objects = append(objects, b.objects...)
		if slices.ContainsFunc(b.places, func(p place) bool { return !k.m.stands(k.m.to[p]) }) {
			rest = append(rest, b)
		} else {
			whole = append(whole, b)
		}
	}
	for range 5 { // each copy finds the version moved, so that few are left from the first time on
		if err := k.m.moves(k.w, unique(objects)); err != nil {
			return err
		}
		k.live.forget()
		objects = nil
		for _, b := range whole {
			l, err := k.live.of(b.id)
			if err != nil {
				return k.s.indexError("compact", err)
			}
			objects = append(objects, l.objects...)
		}
		if len(objects) == 0 {
			break
		}
	}
	for _, b := range whole {
		used, err := k.s.idx.Referenced(b.id)
		switch {
		case err != nil:
			return k.s.indexError("compact", err)
		case used: // something new lies there: an upload, or a write that came in between
			k.out.Waiting++
		default:
			k.out.Packs++
			k.out.Freed += int64(b.bytes)
		}
		delete(k.m.from, b.id)
		for _, p := range b.places {
			delete(k.m.to, p)
		}
	}
	k.begun = rest
	return nil
}

func unique(objects []objectID) []objectID {
	slices.SortFunc(objects, func(a, b objectID) int { return cmp.Or(cmp.Compare(a.bucket, b.bucket), cmp.Compare(a.key, b.key)) })
	return slices.Compact(objects)
}
