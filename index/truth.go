package index

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cockroachdb/pebble/v2"
)

// Life is one life of a gateway process, as its first record tells it.
type Life struct {
	Number uint32
	pack.Life
	Stamp cairn.Stamp // of the record
}

// truth knows which records do not count. It is not changed once it is shared.
type truth struct {
	lives []Life // by number, then tag
	// bounds is made from lives: a record of a life below after counts only
	// up to last. By after, both rising.
	bounds []bound
	voids  map[cairn.Stamp][]cairn.Stamp // stamp taken back -> stamps of the voids
}

type bound struct {
	after uint32
	last  cairn.Stamp
}

func (t *truth) clone() *truth {
	c := &truth{lives: slices.Clone(t.lives), bounds: t.bounds, voids: maps.Clone(t.voids)}
	if c.voids == nil {
		c.voids = map[cairn.Stamp][]cairn.Stamp{}
	}
	return c
}

// counts tells whether the record stamped s counts.
func (t *truth) counts(s cairn.Stamp) bool {
	if t.beyond(s) {
		return false
	}
	for _, v := range t.voids[s] {
		// Only what was logged later can take back, which also ends this.
		if v.Compare(s) > 0 && t.counts(v) {
			return false
		}
	}
	return true
}

// beyond tells whether a later life says that s was never written.
func (t *truth) beyond(s cairn.Stamp) bool {
	i, _ := slices.BinarySearchFunc(t.bounds, s.Life, func(b bound, life uint32) int {
		if b.after > life {
			return 1
		}
		return -1
	})
	return i < len(t.bounds) && s.Compare(t.bounds[i].last) > 0
}

// knows tells whether every life after a up to and with b is known, and so
// everything that can void records of a.
func (t *truth) knows(a, b uint32) bool {
	if a >= b {
		return true
	}
	have := uint32(0)
	for i, l := range t.lives {
		if l.Number > a && l.Number <= b && (i == 0 || t.lives[i-1].Number != l.Number) {
			have++
		}
	}
	return have == b-a
}

// addLife returns false when l was known.
func (t *truth) addLife(l Life) bool {
	i, found := slices.BinarySearchFunc(t.lives, l, func(a, b Life) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), bytes.Compare(a.Tag[:], b.Tag[:]))
	})
	if found {
		return false
	}
	t.lives = slices.Insert(t.lives, i, l)
	t.bind()
	return true
}

// bind makes bounds: from the newest life down, since a life that a newer one
// takes back has no say.
func (t *truth) bind() {
	t.bounds = nil
	for i := len(t.lives) - 1; i >= 0; {
		low := cairn.Stamp{} // the lowest end that lives of this number tell
		n := t.lives[i].Number
		for ; i >= 0 && t.lives[i].Number == n; i-- {
			l := t.lives[i]
			if l.Last.IsZero() || t.beyond(l.Stamp) {
				continue // a first life ends none
			}
			if low.IsZero() || l.Last.Compare(low) < 0 {
				low = l.Last
			}
		}
		// An end above one that a newer life tells says nothing new.
		if !low.IsZero() && (len(t.bounds) == 0 || low.Compare(t.bounds[0].last) < 0) {
			t.bounds = slices.Insert(t.bounds, 0, bound{after: n, last: low})
		}
	}
}

func (t *truth) addVoid(of, by cairn.Stamp) bool {
	if slices.Contains(t.voids[of], by) {
		return false
	}
	t.voids[of] = append(slices.Clone(t.voids[of]), by)
	return true
}

func lifeRow(l Life) (key, value []byte) {
	key = append(binary.BigEndian.AppendUint32([]byte{tableLife}, l.Number), l.Tag[:]...)
	return key, appendStamp(appendStamp(nil, l.Last), l.Stamp)
}

func voidKey(of, by cairn.Stamp) []byte { return appendStamp(stampKey(tableVoid, of), by) }

func readTruth(r pebble.Reader) (*truth, error) {
	t := &truth{voids: map[cairn.Stamp][]cairn.Stamp{}}
	err := scan(r, []byte{tableLife}, func(k, v []byte) error {
		if len(k) != 21 || len(v) != 2*stampSize {
			return badRow(k)
		}
		l := Life{Number: binary.BigEndian.Uint32(k[1:]), Stamp: stampAt(v[stampSize:])}
		copy(l.Tag[:], k[5:])
		l.Last = stampAt(v)
		t.lives = append(t.lives, l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	t.bind()
	return t, scan(r, []byte{tableVoid}, func(k, _ []byte) error {
		if len(k) != 1+2*stampSize {
			return badRow(k)
		}
		t.addVoid(stampAt(k[1:]), stampAt(k[1+stampSize:]))
		return nil
	})
}

// Lives returns every life known, in order of number.
func (x *Index) Lives() []Life {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.Clone(x.soft.truth.lives)
}
